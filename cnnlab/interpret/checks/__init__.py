"""Should a heatmap be believed? Four checks, each of which a heatmap can fail.

* `randomization`: does it depend on what the network has learned at all?
* `deletion`, `insertion`: does the network need what lies at the hot places?
* `pointing_game`, `heat_inside`: does the heat lie on the object, where it is known?
* `compare_methods`: which method and layer does best?

None of them says that a map is right. A network may look next to the object for good reasons, and
an image with pixels taken out is one that it has never seen.
"""

from cnnlab.interpret.checks.cascade import Cascade, Verdict, verdict
from cnnlab.interpret.checks.comparison import compare_methods
from cnnlab.interpret.checks.deletion import Curves, deletion, insertion
from cnnlab.interpret.checks.localization import heat_inside, line_masks, pointing_game
from cnnlab.interpret.checks.masking import Masking
from cnnlab.interpret.checks.randomization import Shuffling, randomization

"""What the three notebooks share: the data, the scores, the figures and the start-up.

`lines`, `mnist`, `splits`, `metrics` and `plots` work without TensorFlow being imported;
`runtime` imports it only when `runtime.start` is called.
"""

from cnnlab.runtime import use_writable_settings_folders

__version__ = "1.0.0"

# Before anything imports Matplotlib or Keras: both write to the home folder when they are imported.
use_writable_settings_folders()

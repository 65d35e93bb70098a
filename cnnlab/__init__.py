"""What the three notebooks share: data, training, charts and the visualizer, and the command line.

The networks and experiments themselves are in the notebooks.

`lines`, `mnist`, `splits`, `metrics` and `plots` work without TensorFlow being imported;
`runtime` imports it only when `runtime.start` is called.
"""

from cnnlab.runtime import use_writable_settings_folders

__version__ = "1.0.0"

# Before anything imports Matplotlib or Keras: both write to the home folder when they are imported.
use_writable_settings_folders()

"""Run the command line: `python -m cnnlab`."""

import sys

from cnnlab import console
from cnnlab.cli import main

console.use_utf8()
sys.exit(main())

"""Run the command line: `python -m cnnlab`."""

import sys

try:
    from cnnlab import console
    from cnnlab.cli import main
except KeyboardInterrupt:
    sys.exit(130)  # as `main` does

console.use_utf8()
sys.exit(main())

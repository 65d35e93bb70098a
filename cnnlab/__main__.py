"""Run the command line: `python -m cnnlab`."""

import sys

try:
    from cnnlab.cli import main
except KeyboardInterrupt:
    sys.exit(130)  # as `main` does

if sys.stdout:
    # A terminal that cannot show a "×" is no reason to fail.
    sys.stdout.reconfigure(errors="backslashreplace")
sys.exit(main())

"""``python -m spotlight_asars``: the command line."""

import sys

from spotlight_asars.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""Entry point of ``python -m softaxis`` and of the script ``softaxis``."""

import sys

from softaxis._cli._main import main

if __name__ == "__main__":
    sys.exit(main())

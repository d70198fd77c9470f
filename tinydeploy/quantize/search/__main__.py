"""A trial's process, see `trial`."""

import sys
from pathlib import Path

from .trial import run

if __name__ == "__main__":
    run(Path(sys.argv[1]))

"""`python -m benchmarks.load URL` is `python -m benchmarks load URL`."""

import sys

from benchmarks.load.command import main

if __name__ == "__main__":
    sys.exit(main())

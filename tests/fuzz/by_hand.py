"""The request fuzzer for as long as one likes.

`python -m tests.fuzz.by_hand [--messages 1000000] [--seed N]`, from the repository's root.
"""

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.support.fuzz_run import fuzz_requests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    asked = parser.parse_args()
    began_at = time.monotonic()

    def progress(messages: int) -> None:
        elapsed_s = time.monotonic() - began_at
        _say(f"\rseed {asked.seed}: {messages} messages, {messages / elapsed_s:.0f} a second")

    with tempfile.TemporaryDirectory() as directory:
        figures = fuzz_requests(Path(directory), asked.seed, asked.messages, progress)
    _say(f"\rseed {asked.seed}: {figures}\n")


def _say(words: str) -> None:
    sys.stderr.write(words)
    sys.stderr.flush()


if __name__ == "__main__":
    main()

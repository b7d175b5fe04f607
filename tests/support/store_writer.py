"""Processes that change a store one thing after another, each told before and after, to be killed.

`python -m tests.support.store_writer FOLDER`, then the number to begin at, one line for each
process: it is a fork of this one, since starting Python for each would take too long.
"""

import os
import sys
import time
from itertools import count
from pathlib import Path

from proxy.generations.store import Store
from tests.support.store_scene import activate, name, octets, opened, signed

_PAUSE_S = 0.002  # a lock is not fair: who waits for it shall find it open at times


def client(number: int) -> str:
    """Each million has its own: an older version of the same one would be refused."""
    return f"client-{number // 1_000_000}"


def is_publication(number: int) -> bool:
    return number % 4 == 0


def change(store: Store, number: int) -> None:
    if is_publication(number):
        store.publish(client(number), "default", octets(number), signed(number))
    else:
        activate(store, number, against=name(1) if number % 2 else "")


def write(folder: Path, begin: int) -> None:
    store = opened(folder)
    for number in count(begin):
        tell(f"begun {number}")
        change(store, number)
        tell(f"done {number}")
        time.sleep(_PAUSE_S)


def tell(line: str) -> None:
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def main() -> None:
    for line in iter(sys.stdin.readline, ""):
        if not (child := os.fork()):
            write(Path(sys.argv[1]), int(line))
        tell(f"pid {child}")
        os.waitpid(child, 0)
        tell("gone 0")


if __name__ == "__main__":
    main()

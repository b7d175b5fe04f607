"""The processes of one sidecar, as the kernel knows them."""

import contextlib
import os
import signal
from pathlib import Path


def children(pid: int) -> dict[str, int]:
    """Process ids of its children, by the names that they have given themselves."""
    found = {}
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for child in listed:
        with contextlib.suppress(OSError):
            found[Path(f"/proc/{child}/comm").read_text().strip()] = int(child)
    return found


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def is_gone(pid: int) -> bool:
    """Has it ended, whether or not somebody has asked for its status?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True

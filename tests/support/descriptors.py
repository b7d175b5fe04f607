"""What this process holds open."""

from pathlib import Path


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())

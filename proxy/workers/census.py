"""How many callers are connected to all workers: a number of each, in memory that they share.

Made before anybody is forked. Each writes its own number and reads all; so it needs no lock, and no
message that would come too late.
"""

import mmap
from typing import Final

_NUMBER_BYTES: Final = 8


class Census:
    """The numbers of so many workers, whose slots begin at 1."""

    def __init__(self, workers: int) -> None:
        self._numbers = memoryview(mmap.mmap(-1, workers * _NUMBER_BYTES)).cast("q")

    def __repr__(self) -> str:
        return f"<Census {list(self._numbers)}>"

    def of(self, slot: int) -> "Count":
        """One worker's, who begins with nobody."""
        return Count(self._numbers, slot - 1)


class Count:
    """One worker's place in it (see `data_plane.roles.Census`)."""

    def __init__(self, numbers: "memoryview[int]", at: int) -> None:
        self._numbers = numbers
        self._at = at
        numbers[at] = 0

    def __repr__(self) -> str:
        return f"<Count {self._numbers[self._at]}>"

    def count(self, here: int) -> int:
        """So many are here: how many in all?"""
        self._numbers[self._at] = here
        return sum(self._numbers)

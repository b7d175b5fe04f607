"""What was in force before: one line for each activation, the newest last.

Knows the file's lines and how many are worth keeping. A line that was torn by a sudden end is
passed over, and gone with the next one; so is one that cannot be read.
"""

from collections.abc import Iterator
from typing import Final

from proxy.generations.files import Folder, OddFileError
from proxy.generations.records import Activation, read_record, written

_NAME: Final = "activations.jsonl"
_KEPT: Final = 1_000
_MOST_BYTES: Final = 64 * 1024**2  # twice as many of the longest there can be


class Activations:
    """The log; `problems` gets a sentence when some of it cannot be read."""

    def __init__(self, folder: Folder, problems: dict[str, str]) -> None:
        self._folder = folder
        self._problems = problems

    def newest(self) -> Activation | None:
        return next(self.newest_first(), None)

    def newest_first(self) -> Iterator[Activation]:
        for line in reversed(self._read()[0]):
            if activation := self._activation(line):
                yield activation

    def append(self, activation: Activation) -> None:
        line = written(activation)
        lines, whole = self._read()
        if whole and len(lines) < 2 * _KEPT and _NAME not in self._problems:
            self._folder.append(_NAME, line)
            return
        readable = [each + b"\n" for each in lines if self._activation(each)]
        self._folder.write(_NAME, b"".join([*readable[1 - _KEPT :], line]))
        self._problems.pop(_NAME, None)

    def _read(self) -> tuple[list[bytes], bool]:
        """Its lines, and whether another one may just be put behind them."""
        try:
            octets = self._folder.read(_NAME, _MOST_BYTES)
        except OddFileError as error:
            self._problems[_NAME] = f"{_NAME} is broken, and taken for missing: {error}"
            octets = None
        *lines, torn = (octets or b"").split(b"\n")
        return lines, octets is not None and not torn

    def _activation(self, line: bytes) -> Activation | None:
        try:
            return read_record(line, Activation)
        except ValueError as error:
            self._problems[_NAME] = f"{_NAME} has a line that is passed over: {error}"
            return None

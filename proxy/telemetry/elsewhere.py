"""Numbers of the moment of other processes of this sidecar, put together with ours.

Knows what each said last, and what they had counted who are no more. Knows nothing of what a number
stands for, nor of how it comes here.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final, Literal, NamedTuple

# What `/health` shows of all processes beside the metrics: by server, and by server and endpoint.
IN_FLIGHT: Final = "in_flight"
QUEUED: Final = "toolproxy_queue_depth"
ACTIVE: Final = "active"
ENDED: Final = "ended"  # by server, and how
HOW_CALLS_END: Final = ("failure", "success", "abandoned")

Labels = tuple[str, ...]
Numbers = dict[str, dict[Labels, float]]  # by the name of a series, by its labels
# How one number is made of those of all processes: theirs and ours, the worst of them, ours alone,
# or theirs alone, where ours says the same a second time.
Together = Literal["sum", "max", "ours", "theirs"]


class Part(NamedTuple):
    """What one process says of itself. What it has counted stays when the process is no more."""

    moment: Numbers
    counted: Numbers

    def of(self, name: str) -> dict[Labels, float]:
        return self.moment.get(name) or self.counted.get(name, _NONE)


_NONE: Final[dict[Labels, float]] = {}


async def _nobody() -> None:
    """There is nobody else."""


class Elsewhere:
    """All other processes. `renew` asks them; without them, it costs nothing."""

    def __init__(self) -> None:
        self.renew: Callable[[], Awaitable[None]] = _nobody
        self._parts: dict[int, Part] = {}
        self._gone: Numbers = {}

    def __repr__(self) -> str:
        return f"<Elsewhere {len(self._parts)} processes>"

    @property
    def is_there(self) -> bool:
        return bool(self._parts or self._gone)

    # --- what they say ---

    def said(self, slot: int, part: Part) -> None:
        """It is the newest of this one."""
        self._parts[slot] = part

    def left(self, slot: int) -> None:
        """Another one may have its place, and counts from nought."""
        part = self._parts.pop(slot, None)
        for name, numbers in part.counted.items() if part is not None else ():
            gone = self._gone.setdefault(name, {})
            for labels, number in numbers.items():
                gone[labels] = gone.get(labels, 0) + number

    # --- what it comes to ---

    def number(self, name: str, *labels: str) -> float:
        """The sum of one series."""
        return sum(numbers.get(labels, 0) for numbers in self._each(name))

    def with_ours(
        self, name: str, together: Together, ours: Iterable[tuple[Labels, float]]
    ) -> Iterable[tuple[Labels, float]]:
        """All series of a name."""
        if together == "ours" or not self.is_there:
            return ours
        found = dict(() if together == "theirs" else ours)
        for numbers in self._each(name):
            for labels, number in numbers.items():
                before = found.get(labels, 0)
                found[labels] = max(before, number) if together == "max" else before + number
        return found.items()

    def least(self, name: str) -> float:
        """Of a series without labels; infinite where nobody has it."""
        return min((min(it.values()) for it in self._each(name) if it), default=float("inf"))

    def _each(self, name: str) -> Iterator[dict[Labels, float]]:
        for part in self._parts.values():
            yield part.of(name)
        yield self._gone.get(name, _NONE)

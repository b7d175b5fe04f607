"""What a sidecar holds: descriptors, connections, calls; and whether it is back to what it was."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from tests.support.caller import Answer
from tests.support.messages import get
from tests.support.sidecar import Sidecar
from tests.support.waiting import eventually

BACK_WITHIN_S: Final = 10.0
_STILL_FOR_S: Final = 0.4
_UPSTREAM: Final = re.compile(
    r'^toolproxy_upstream_connections\{server="[^"]*",state="(\w+)"\} (\d+)', re.MULTILINE
)
_QUEUED: Final = re.compile(r"^toolproxy_queue_depth\{.*\} (\d+)", re.MULTILINE)
_CALLERS: Final = re.compile(r"^toolproxy_open_connections (\d+)", re.MULTILINE)

T = TypeVar("T")


class Holdings(NamedTuple):
    """One moment. The connection that asks is among them; kept upstream connections are not."""

    descriptors: int
    callers: int
    busy: int
    queued: int


def holdings(sidecar: Sidecar) -> Holdings:
    with sidecar.caller() as caller:
        caller.send(get("/metrics"))
        answer = caller.answer()
        descriptors = descriptors_of(sidecar)
    states, queued = _upstream_states(answer), _sum(_QUEUED, answer)
    return Holdings(descriptors - states["idle"], _callers(answer), states["busy"], queued)


def settled_holdings(sidecar: Sidecar) -> Holdings:
    """What it holds once start-up (first probes, first look at the registry) is over."""
    return settled(lambda: holdings(sidecar))


def assert_back(sidecar: Sidecar, before: Holdings) -> None:
    """All that an abuse took is given back."""
    eventually(lambda: holdings(sidecar) == before, within_s=BACK_WITHIN_S)
    now = holdings(sidecar)
    assert now == before, f"{now} is not {before}"


def descriptors_of(sidecar: Sidecar) -> int:
    return sum(1 for _ in Path(f"/proc/{sidecar.pid}/fd").iterdir())


def cpu_s(sidecar: Sidecar) -> float:
    """Processor time that it has used."""
    fields = Path(f"/proc/{sidecar.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def settled(fact: Callable[[], T], *, still_for_s: float = _STILL_FOR_S) -> T:
    """The answer once it has stood still for a while."""
    seen, since = fact(), time.monotonic()

    def stands_still() -> bool:
        nonlocal seen, since
        if (now := fact()) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > still_for_s

    assert eventually(stands_still), seen
    return seen


def _callers(answer: Answer) -> int:
    found = _CALLERS.search(answer.body.decode())
    assert found, answer
    return int(found[1])


def _sum(numbers: re.Pattern[str], answer: Answer) -> int:
    return sum(int(number) for number in numbers.findall(answer.body.decode()))


def _upstream_states(answer: Answer) -> dict[str, int]:
    states = {"idle": 0, "busy": 0}
    for state, number in _UPSTREAM.findall(answer.body.decode()):
        states[state] += int(number)
    return states

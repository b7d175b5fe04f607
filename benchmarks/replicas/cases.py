"""The scenes as cases: what becomes of one of three replicas."""

import signal
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from benchmarks.cases import Case, Upstream
from benchmarks.replicas.course import (
    FAILED_AFTER,
    FAILED_UNTIL,
    LONG_AFTER,
    P50_AFTER,
    P99_AFTER,
    P99_BEFORE,
    P99_FIRST,
)
from benchmarks.replicas.peers import PEERS
from benchmarks.replicas.scene import BEFORE_S, CONNECTIONS, Replica, play

RATE_PER_S: Final = 3000.0


class Scene(NamedTuple):
    """What becomes of the replica."""

    key: str
    title: str
    how: str
    change: Callable[[Replica], None]
    quick: bool = False


def _slow_down(replica: Replica) -> None:
    replica.send_signal(signal.SIGUSR1)


def _fail(replica: Replica) -> None:
    replica.send_signal(signal.SIGUSR2)


SCENES: Final = (
    Scene("slow", "One turns slow", "it takes 200 ms for each call", _slow_down, quick=True),
    Scene("failing", "One fails fast", "it answers 503 at once", _fail),
    Scene("dead", "One dies", "it is killed (`kill -9`): connections are refused", Replica.kill),
)


def cases(rate_per_s: float = RATE_PER_S) -> tuple[Case, ...]:
    """The scenes at a rate."""
    load = (
        f"{rate_per_s:,g} POSTs/s on a schedule, {CONNECTIONS} connections, three replicas that"
        " take 1 ms each"
    )
    return tuple(
        Case(
            key=scene.key,
            title=scene.title,
            how=f"{load}; after {BEFORE_S:g} s, one of them goes bad: {scene.how}",
            figures=(
                P99_BEFORE,
                P99_FIRST,
                FAILED_UNTIL,
                P50_AFTER,
                LONG_AFTER,
                P99_AFTER,
                FAILED_AFTER,
            ),
            ratio=None,
            measure=partial(play, scene.change, rate_per_s),
            upstream=Upstream.OWN,
            peers=PEERS,
            warmed=False,
            quick=scene.quick,
        )
        for scene in SCENES
    )


CASES: Final = cases()

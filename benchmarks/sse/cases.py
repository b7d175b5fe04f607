"""The fan-outs as cases."""

from functools import partial
from typing import Final

from benchmarks.cases import Case, Upstream
from benchmarks.sse.calls import CONNECTIONS
from benchmarks.sse.figures import (
    BUSY,
    CALL_P99,
    CALL_RISE,
    CPU_DELIVERY,
    CPU_FAN_OUT,
    DELAY_BEFORE,
    DELAY_BESIDE,
    DELAY_P50,
    DELAY_P99,
    DELAY_RISE,
    EVENT,
    GROWTH,
    LOST,
    PER_SUBSCRIBER,
    RATE,
)
from benchmarks.sse.hall import WITNESSES
from benchmarks.sse.peers import NCHAN, PEERS
from benchmarks.sse.scene import Scene, beside_a_deaf_one, fan_out

_SOME: Final = Scene(500, 200)
_MANY: Final = Scene(5000, 20)
_FIGURES: Final = (
    CPU_DELIVERY,
    CPU_FAN_OUT,
    RATE,
    LOST,
    DELAY_P50,
    DELAY_P99,
    CALL_P99,
    CALL_RISE,
    PER_SUBSCRIBER,
    EVENT,
    BUSY,
)


def _how(scene: Scene) -> str:
    return (
        f"{scene.rate_per_s:g} calls/s on a schedule over {CONNECTIONS} connections, an event each,"
        f" to {scene.subscribers:,} subscribers, {WITNESSES} of whom read and check every message"
    )


def _fan_out(key: str, scene: Scene, title: str, *, quick: bool = False) -> Case:
    return Case(
        key=key,
        title=title,
        how=_how(scene),
        figures=_FIGURES,
        ratio=CPU_DELIVERY,
        base=NCHAN.key,
        measure=partial(fan_out, scene),
        upstream=Upstream.OWN,
        peers=PEERS,
        warmed=False,
        quick=quick,
    )


CASES: Final = (
    _fan_out("fan500", _SOME, "500 subscribers, 200 events/s", quick=True),
    _fan_out("fan5000", _MANY, "5,000 subscribers, 20 events/s"),
    Case(
        key="unfiltered",
        title="500 subscribers, 200 events/s, no filter",
        how="the same as the first, but they ask for `/events`, not `/events?types=tool_invoked`",
        figures=_FIGURES,
        ratio=None,
        measure=partial(fan_out, _SOME._replace(everything=True)),
        upstream=Upstream.OWN,
        peers=tuple(peer for peer in PEERS if peer is not NCHAN),
        warmed=False,
        quick=False,
    ),
    Case(
        key="deaf",
        title="One more who reads nothing",
        how=f"{_how(_SOME)}; then the same beside one more, who reads nothing at all. Delays and"
        " losses are the others'",
        figures=(DELAY_BEFORE, DELAY_BESIDE, DELAY_RISE, GROWTH, LOST),
        ratio=None,
        measure=partial(beside_a_deaf_one, _SOME),
        upstream=Upstream.OWN,
        peers=PEERS,
        warmed=False,
        quick=False,
    ),
)

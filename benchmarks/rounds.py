"""Interleaved rounds: every case on every peer once a round, so that all share the machine's moods.

Knows when what runs. Knows nothing of what is measured.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import upstreams
from benchmarks.cases import Case, Turn, Upstream
from benchmarks.figures import Measurements
from benchmarks.peers.peer import Front, Peer, Running, running
from benchmarks.processes import OTHER_CORES, on_cores
from benchmarks.progress import Progress

Plan = Sequence[tuple[Case, Sequence[Peer]]]

_WARM_UP_S: Final = 0.5
_BEHIND: Final[dict[Upstream, Callable[[Path], AbstractContextManager[Sequence[str]]]]] = {
    Upstream.ANSWERS: upstreams.answers,
    Upstream.ALONE: partial(upstreams.answers, hosts=upstreams.ONE),
    Upstream.BODIES: upstreams.bodies,
    Upstream.SOCKETS: upstreams.sockets,
    Upstream.OWN: lambda _: nullcontext(()),
}


class Stage:
    """What runs all the time: upstreams, and each peer before each; all started when needed."""

    def __init__(self, folder: Path, until: ExitStack) -> None:
        self._folder = folder
        self._until = until
        self._addresses: dict[Upstream, Sequence[str]] = {}
        self._standing: dict[tuple[str, Upstream, Front], Running] = {}

    def __repr__(self) -> str:
        return f"<Stage {[*self._standing]}>"

    def turn(self, case: Case, peer: Peer, seconds: float) -> Turn:
        return Turn(
            peer,
            self._upstream(case.upstream),
            partial(self._peer, peer, case.upstream, case.front),
            seconds,
            self._scratch(case),
        )

    def _scratch(self, case: Case) -> Path:
        return Path(tempfile.mkdtemp(prefix=case.key, dir=self._folder))

    def _upstream(self, upstream: Upstream) -> Sequence[str]:
        if upstream not in self._addresses:
            folder = self._folder / upstream.value
            folder.mkdir()
            self._addresses[upstream] = self._until.enter_context(_BEHIND[upstream](folder))
        return self._addresses[upstream]

    def _peer(self, peer: Peer, upstream: Upstream, front: Front) -> Running:
        key = peer.key, upstream, front
        if key not in self._standing:
            folder = self._folder / f"{peer.key}-{len(self._standing)}"
            started = running(peer, folder, self._upstream(upstream), front=front)
            self._standing[key] = self._until.enter_context(started)
        return self._standing[key]


def measure(plan: Plan, rounds: int, seconds: float) -> Measurements:
    """All of the plan, round by round; the order of the peers moves on with each."""
    pairs = [(case, peer) for case, peers in plan for peer in peers]
    warm = [(case, peer) for case, peer in pairs if case.warmed]
    measured = Measurements()
    with tempfile.TemporaryDirectory() as name, on_cores(OTHER_CORES), ExitStack() as until:
        stage = Stage(Path(name), until)
        progress = until.enter_context(
            Progress(len(warm) + rounds * sum(case.slices for case, _ in pairs))
        )
        for case, peer in warm:
            progress.at(f"warming up: {case.title}, {peer.title}")
            case.measure(stage.turn(case, peer, min(_WARM_UP_S, seconds / 2)))
        for number in range(rounds):
            for case, peer in turned(plan, number):
                progress.at(f"round {number + 1}: {case.title}, {peer.title}")
                measured.add(
                    case.key, peer.key, case.measure(stage.turn(case, peer, seconds / case.slices))
                )
    return measured


def turned(plan: Plan, by: int) -> Iterator[tuple[Case, Peer]]:
    """Case by case; who comes first moves on by so many places."""
    for case, peers in plan:
        for number in range(case.slices):
            first = (by + number) % len(peers)
            for peer in [*peers[first:], *peers[:first]]:
                yield case, peer

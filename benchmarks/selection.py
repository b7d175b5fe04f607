"""Who takes part: what was asked for, what this machine has, and why the rest is left out."""

import shutil
import subprocess
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from benchmarks import wrk
from benchmarks.cases import Case, Upstream
from benchmarks.peers import nginx
from benchmarks.peers.peer import Peer
from benchmarks.peers.table import PEERS
from benchmarks.processes import UnusableError
from benchmarks.rounds import Plan


class Keyed(Protocol):
    """What can be named on the command line."""

    @property
    def key(self) -> str:
        """Its name there."""

    @property
    def kin(self) -> str:
        """The name that brings it along as well."""


K = TypeVar("K", bound=Keyed)


class Field(NamedTuple):
    """The peers that run, with their versions, and the others with the reason."""

    versions: dict[Peer, str]
    left_out: dict[str, str]

    def plan(self, cases: Iterable[Case]) -> Plan:
        """Each case with its peers that are here; a case with none is dropped."""
        pairs = ((case, [peer for peer in case.peers if peer in self.versions]) for case in cases)
        return [(case, peers) for case, peers in pairs if peers]


def named(kind: str, known: Sequence[K], keys: str | None) -> Sequence[K]:
    """Those of a comma-separated list, in their own order; all when there is no list."""
    if keys is None:
        return known
    asked = keys.split(",")
    if strangers := set(asked) - {each.key for each in known}:
        words = ", ".join(each.key for each in known)
        raise UnusableError(f"no such {kind}: {', '.join(sorted(strangers))}; there are {words}")
    return [each for each in known if each.key in asked or each.kin in asked]


def take_the_field(asked: Container[Peer], cases: Sequence[Case], *, patient: bool) -> Field:
    """Look who of those asked is here for the cases; `patient` allows for minutes of building."""
    _require(cases)
    by_key = {peer.key: peer for peer in PEERS}
    field = Field({}, {})
    for peer in dict.fromkeys(peer for case in cases for peer in case.peers):
        if peer not in asked and by_key.get(peer.kin) not in asked:
            continue
        if patient:
            peer.prepare()
        if why := peer.missing():
            field.left_out[peer.title] = why
            continue
        try:
            field.versions[peer] = peer.version()
        except (OSError, subprocess.CalledProcessError) as error:
            field.left_out[peer.title] = f"does not run: {error}"
    return field


def _require(cases: Iterable[Case]) -> None:
    """Every case that has no upstream of its own needs these two: nginx is the upstream."""
    if all(case.upstream in {Upstream.OWN, Upstream.SOCKETS} for case in cases):
        return
    ways = {"nginx": nginx.HOW_TO_GET, "wrk": wrk.HOW_TO_GET}
    if absent := [way for name, way in ways.items() if shutil.which(name) is None]:
        raise UnusableError(f"the benchmarks need nginx and wrk: {' && '.join(absent)}")

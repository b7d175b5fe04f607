"""Facts about hearsay: what one process learns of a server, others know as well as if seen."""

from collections.abc import Callable

import pytest

from proxy.policy.circuit import State
from proxy.policy.health import Verdict
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint
from proxy.registry.hearsay import Fact, Hearsay, all_of
from proxy.registry.live import LiveRegistry
from proxy.registry.load import load
from tests.support.offices import new_registry

TWO = (
    "servers:\n- {namespace: o, name: o, endpoints: ['http://a', 'http://b'], tools: [{name: t}],"
    " circuit: {failures: 3}}\n"
)
NOW = 5.0


class Process:
    """One of those that carry calls to the same servers; `told` is what it tells others."""

    def __init__(self) -> None:
        self.told: list[Fact] = []
        self.registry: LiveRegistry = new_registry()
        self.registry.take_first(load(TWO.encode(), "registry.yaml", self.registry.rules, {}))
        self.registry.hearsay = self.hearsay = Hearsay(self.told.append)

    @property
    def cluster(self) -> Cluster:
        return self.registry.current.servers[b"o"].cluster

    @property
    def first(self) -> Endpoint:
        return self.cluster.endpoints[0]

    def hears(self, *facts: Fact) -> None:
        for fact in facts:
            self.hearsay.hear(self.registry.current, fact)

    def fails(self, times: int) -> None:
        for _ in range(times):
            self.cluster.attempt_failed(self.first, "upstream_closed", NOW)


def shown(process: Process) -> tuple[object, ...]:
    cluster, first = process.cluster, process.first
    return (
        cluster.circuit.state,
        cluster.circuit.failure_count,
        first.verdict,
        first.reason,
        first.outlier.errors,
        first.outlier.ejected,
        len(cluster.usable),
    )


def probe_fails(process: Process) -> None:
    process.cluster.probed(process.first, Verdict.UNREACHABLE, "refused", NOW)


def calls_fail(process: Process) -> None:
    for _ in range(3):
        process.cluster.call_failed(process.cluster.begin(NOW), NOW)


def a_call_fails(process: Process) -> None:
    process.cluster.call_failed(process.cluster.begin(NOW), NOW)


def attempts_fail(process: Process) -> None:
    process.fails(5)


def recovers(process: Process) -> None:
    a_call_fails(process)
    process.fails(1)
    process.cluster.succeeded(process.first, process.cluster.begin(NOW))


@pytest.mark.parametrize(
    "happens", [probe_fails, calls_fail, a_call_fails, attempts_fail, recovers]
)
async def test_what_happens_in_one_is_so_in_the_other(happens: Callable[[Process], None]) -> None:
    one, other = Process(), Process()

    happens(one)
    other.hears(*one.told)

    assert shown(other) == shown(one)
    assert one.told


async def test_what_was_told_is_not_told_on() -> None:
    one, other = Process(), Process()
    attempts_fail(one)
    calls_fail(one)

    other.hears(*one.told)

    assert other.told == []


@pytest.mark.parametrize("happens", [probe_fails, calls_fail, attempts_fail])
async def test_who_knows_nothing_yet_is_told_all(happens: Callable[[Process], None]) -> None:
    one, newcomer = Process(), Process()
    happens(one)

    newcomer.hears(*all_of(one.registry.current))

    told = newcomer.cluster, newcomer.first
    assert (told[0].circuit.state, told[1].verdict, told[1].reason) == (
        one.cluster.circuit.state,
        one.first.verdict,
        one.first.reason,
    )


def test_where_nothing_has_happened_there_is_nothing_to_tell() -> None:
    assert list(all_of(Process().registry.current)) == []


@pytest.mark.parametrize(
    "fact",
    [
        pytest.param(("call failed", "unknown"), id="another-server"),
        pytest.param(("attempt failed", "o", "http://c:80", "reset"), id="another-endpoint"),
        pytest.param(("ejected", "o", "http://c:80", "why"), id="likewise"),
        pytest.param(("unheard of", "o"), id="another-word"),
        pytest.param(("unheard of", "o", "http://a:80"), id="of-an-endpoint"),
    ],
)
async def test_what_means_nothing_here_changes_nothing(fact: Fact) -> None:
    process = Process()
    before = shown(process)

    process.hears(fact)

    assert shown(process) == before


async def test_a_circuit_that_opens_tells_so_once() -> None:
    one, other = Process(), Process()
    calls_fail(one)

    other.hears(*one.told)

    assert (other.cluster.circuit.state, other.cluster.circuit.state_changes) == (State.OPEN, 1)


async def test_an_endpoint_that_is_out_already_is_not_ejected_again() -> None:
    process = Process()
    attempts_fail(process)

    process.hears(("ejected", "o", process.first.url, "another reason"))

    assert process.first.outlier.ejections == 1

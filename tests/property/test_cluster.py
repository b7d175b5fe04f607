"""Whatever happens to a server's calls, endpoints and settings, in whatever order, adds up.

The data plane is played by hand (see `transcript`), so it is the real way of a call that counts.
"""

from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.policy.circuit import State
from proxy.policy.health import Verdict
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint
from tests.support.messages import get, post
from tests.support.replicas import EVENTS, LONG, call, reloads, status, waits
from tests.support.transcript import Peer, Transcript

IPS: Final = ("10.0.0.9", "10.0.0.8", "10.0.0.7")
NAMES: Final = ("10.1.0.1", "10.1.0.2", "10.1.0.3")
TIGHT: Final = (
    "timeout: 1s\nconnect_timeout: 200ms\nidle_timeout: 500ms\nslow_start: 200ms\n"
    "limits: {max_connections: 3, max_pending: 2}\n"
    "outlier: {consecutive_errors: 2, base_ejection: 400ms, max_ejection: 1s}\n"
    "circuit: {failures: 3, open_for: 300ms}\nretry: {attempts: 3}\n"
    "tools: [{name: call, upstream_dependencies: {concurrency_safe: false}},"
    " {name: again, idempotent: true}]\n"
)
LOOSE: Final = TIGHT.replace("failures: 3", "failures: 9").replace(
    "max_connections: 3", "max_connections: 9"
)
BALANCES: Final = ("least_request", "round_robin", "peak_ewma", "{hash: {header: x-key}}")
CALLS: Final = {
    "get": get("/servers/o/x", b"X-Key: a"),
    "post": post("/servers/o/x"),
    "turns": post("/tools/o.call"),
    "again": post("/tools/o.again", b"Request-Timeout: 0.3"),
}
ANSWERS: Final = {
    **{str(code): status(code) for code in (200, 404, 429, 500, 503)},
    "half": LONG,
    "events": EVENTS,
    "nonsense": b"nonsense\r\n\r\n",
    "nothing": b"",
}


def entry(hosts: list[str], balance: str, more: str) -> str:
    urls = ", ".join(f"http://{host}" for host in hosts)
    return f"endpoints: [{urls}]\nbalance: {balance}\n{more}"


class Server(RuleBasedStateMachine):
    """One server; everything that may happen to it, one thing after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.t = Transcript(entry([*IPS[:2], "svc"], "round_robin", TIGHT))
        self.callers: list[Peer] = []
        self.begun = 0
        self.clusters: set[Cluster] = {self.t.cluster}
        self.endpoints: set[Endpoint] = set(self.t.cluster.endpoints)

    def teardown(self) -> None:
        """All callers leave: then nothing may be held any more."""
        for each in self.callers:
            each.ends()
        held = [each for each in self.endpoints if each.active]
        taken = [
            each
            for each in self.clusters
            if each.gate.busy or each.queued or each.retries.busy or each.retries.queued
        ]
        turns = [repr(each.serial_gate("call")) for each in self.clusters]
        busy = [pool for pool in self.t.plane.pools if pool.busy]
        kept = sum(pool.idle for pool in self.t.plane.pools)
        open_still = [each for each in self.t.upstreams if each.fate == "open"]
        shut = [each for each in self.clusters if not each.circuit.admits(float("inf"))]
        self.t.close()
        assert (held, taken, busy, shut, len(open_still)) == ([], [], [], [], kept)
        assert set(turns) == {"<Gate 0 busy, 0 queued>"}
        assert len(self.t.records) == self.begun

    def _meet(self) -> None:
        self.clusters.add(self.t.cluster)
        self.endpoints.update(self.t.cluster.endpoints)

    # --- what may happen ---

    @rule(request=st.sampled_from(sorted(CALLS)))
    def call_begins(self, request: str) -> None:
        peer = self.t.another_client()
        peer.sends(CALLS[request])
        self.begun += 1
        self.callers.append(peer)

    @rule(
        host=st.sampled_from(IPS + NAMES), code=st.sampled_from([200, 503]), times=st.integers(1, 9)
    )
    def calls_come_and_go(self, host: str, code: int, times: int) -> None:
        for _ in range(times):
            call(self.t, {host: code})
            self.begun += 1

    @precondition(lambda self: self.t.upstreams)
    @rule(at=st.integers(0, 9), answer=st.sampled_from(sorted(ANSWERS)), resets=st.booleans())
    def upstream_answers(self, at: int, answer: str, *, resets: bool) -> None:
        busy = [each for each in self.t.upstreams if each.fate == "open"]
        if busy:
            peer = busy[at % len(busy)]
            peer.sends(ANSWERS[answer])
            if resets and peer.fate == "open":
                peer.resets()

    @precondition(lambda self: self.callers)
    @rule(at=st.integers(0, 9))
    def caller_leaves(self, at: int) -> None:
        self.callers.pop(at % len(self.callers)).ends()

    @rule(hosts=st.sets(st.sampled_from(IPS + NAMES)), at_once=st.booleans())
    def network_changes(self, hosts: set[str], *, at_once: bool) -> None:
        self.t.refusing = hosts
        self.t.connects_at_once = at_once

    @precondition(lambda self: self.t.connecting)
    @rule(well=st.booleans())
    def connection_comes(self, *, well: bool) -> None:
        self.t.connects(None if well else ConnectionRefusedError())

    @rule(
        at=st.integers(0, 9),
        result=st.sampled_from([Verdict.HEALTHY, Verdict.UNHEALTHY, Verdict.UNREACHABLE]),
    )
    def probe_ends(self, at: int, result: Verdict) -> None:
        cluster = self.t.cluster
        endpoint = cluster.endpoints[at % len(cluster.endpoints)]
        cluster.probed(endpoint, result, "", self.t.loop.time())

    @rule(seconds=st.sampled_from([0.05, 0.2, 0.5]), stalls=st.booleans())
    def time_passes(self, seconds: float, *, stalls: bool) -> None:
        if stalls:
            self.t.passes(seconds)
        else:
            waits(self.t, seconds)

    @rule(
        hosts=st.lists(st.sampled_from([*IPS, "svc"]), min_size=1, max_size=4, unique=True),
        balance=st.sampled_from(BALANCES),
        more=st.sampled_from([TIGHT, LOOSE]),
    )
    def registry_changes(self, hosts: list[str], balance: str, more: str) -> None:
        self._meet()
        reloads(self.t, entry(hosts, balance, more))

    @rule(ips=st.sets(st.sampled_from(NAMES), min_size=1))
    def name_moves(self, ips: set[str]) -> None:
        self._meet()
        now = self.t.loop.time()
        gone = self.t.cluster.resolved("svc", tuple(sorted(ips)), now)
        self.t.does(lambda: self.t.plane.pools.forget(gone))

    # --- what always holds ---

    @invariant()
    def usable_are_endpoints_that_may_be_used(self) -> None:
        cluster = self.t.cluster
        assert set(cluster.usable) <= set(cluster.endpoints)
        for each in cluster.endpoints:
            assert each.usable is (each in cluster.usable)
            assert each.usable <= (each.health.usable and not each.outlier.ejected)

    @invariant()
    def who_is_gone_is_no_endpoint(self) -> None:
        self._meet()
        for each in self.endpoints:
            assert each.gone is (each not in self.t.cluster.endpoints)

    @invariant()
    def last_endpoint_is_never_ejected(self) -> None:
        cluster = self.t.cluster
        up = [each for each in cluster.endpoints if each.health.usable]
        assert bool(cluster.usable) is bool(up)

    @invariant()
    def never_fewer_than_half_are_left_by_ejections(self) -> None:
        cluster = self.t.cluster
        up = [each for each in cluster.endpoints if each.health.usable]
        assert len(cluster.usable) == len(up) or 2 * len(cluster.usable) >= len(cluster.endpoints)

    @invariant()
    def nothing_is_counted_below_nought_or_above_its_limit(self) -> None:
        self._meet()
        assert all(each.active >= 0 for each in self.endpoints)
        for each in self.clusters:
            assert each.gate.busy >= 0
            assert 0 <= each.retries.busy <= each.gate.busy
            assert sum(end.active for end in each.endpoints) <= each.gate.busy

    @invariant()
    def pools_count_what_is_open(self) -> None:
        pools = list(self.t.plane.pools)
        assert all(0 <= pool.idle <= pool.open for pool in pools)
        assert all(pool.endpoint in self.t.cluster.endpoints for pool in pools)

    @invariant()
    def circuit_is_sound(self) -> None:
        circuit, now = self.t.cluster.circuit, self.t.loop.time()
        assert circuit.closed is (circuit.state is State.CLOSED)
        assert circuit.admits(now) or not circuit.closed
        assert (circuit.retry_after_s(now) > 0) <= (circuit.state is State.OPEN)
        assert circuit.state is State.HALF_OPEN or not circuit.success_count
        assert circuit.total_calls >= circuit.total_failures + circuit.total_successes
        assert 0.0 <= circuit.failure_rate <= 1.0
        assert (circuit.last_failure_at is None) is (not circuit.total_failures)

    @invariant()
    def no_call_is_tried_more_often_than_it_may(self) -> None:
        assert all(record.attempts <= 3 for record in self.t.records)


Server.TestCase.settings = settings(
    deadline=None,
    max_examples=60,
    stateful_step_count=40,
)
TestServer = Server.TestCase

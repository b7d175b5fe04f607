"""Calls take and give back, upstreams close, time passes: no connection is lost or too many."""

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy import errors
from proxy.data_plane.pool import Pool
from proxy.data_plane.upstream import Upstream
from tests.support.transcript import Transcript

MOST = 3  # connections to both endpoints of the server together
SERVER = f"endpoints: [http://10.0.0.9, http://10.0.0.8]\nlimits: {{max_connections: {MOST}}}"
WHICH = st.integers(0, 9)


class PoolMachine(RuleBasedStateMachine):
    """Two pools of one server, beside a list of what is held; a call holds a permit, as it must."""

    def __init__(self) -> None:
        super().__init__()
        self.t = Transcript(SERVER)
        first, second = self.t.cluster.endpoints
        self.pools = [self.of(first), self.of(second)]
        self.held: list[tuple[Pool, Upstream]] = []
        self.failures = 0

    def of(self, endpoint: object) -> Pool:
        async def pool() -> Pool:
            return self.t.plane.pools.of(endpoint)  # type: ignore[arg-type]  # an endpoint it is

        return self.t.runs(pool())

    @precondition(lambda self: len(self.held) < MOST)
    @rule(which=WHICH)
    def take(self, which: int) -> None:
        pool = self.pools[which % 2]

        async def taken() -> Upstream:
            return pool.take_kept() or await pool.connect()

        upstream = self.t.runs(taken())

        assert upstream not in [each for _, each in self.held]
        self.held.append((pool, upstream))

    @precondition(lambda self: len(self.held) < MOST)
    @rule(which=WHICH)
    def fail_to_connect(self, which: int) -> None:
        pool, t = self.pools[which % 2], self.t
        t.connects_at_once = False

        async def refused() -> None:
            try:
                await pool.connect()
            except errors.ConnectFailedError:
                self.failures += 1

        attempt = t.starts(refused())
        t.connects(ConnectionRefusedError())
        t.connects_at_once = True
        assert attempt.done()

    @precondition(lambda self: len(self.held) < MOST)
    @rule(which=WHICH)
    def leave_while_connecting(self, which: int) -> None:
        pool, t = self.pools[which % 2], self.t
        t.connects_at_once = False
        attempt = t.starts(pool.connect())
        t.does(attempt.cancel)
        t.connecting.clear()
        t.connects_at_once = True
        assert attempt.cancelled()

    @precondition(lambda self: self.held)
    @rule(which=WHICH, reusable=st.booleans())
    def give_back(self, which: int, *, reusable: bool) -> None:
        pool, upstream = self.held.pop(which % len(self.held))
        upstream.reusable = reusable
        self.t.does(lambda: pool.give_back(upstream, self.t.loop.time()))

    @precondition(lambda self: self.t.upstreams)
    @rule(which=WHICH)
    def upstream_closes(self, which: int) -> None:
        self.t.upstreams[which % len(self.t.upstreams)].ends()

    @rule(seconds=st.sampled_from([0.1, 5.0, 16.0]))
    def pass_time(self, seconds: float) -> None:
        self.t.passes(seconds)

    @precondition(lambda self: self.pools)
    @rule()
    def endpoint_goes(self) -> None:
        gone, *_ = self.t.cluster.endpoints
        self.t.does(lambda: self.t.plane.pools.forget([gone]))
        self.pools[0] = self.of(gone)  # the next generation has one of that name again

    @invariant()
    def no_connection_is_lost(self) -> None:
        alive = [peer for peer in self.t.upstreams if peer.fate == "open"]
        idle = sum(pool.idle for pool in self.pools)
        held = [upstream for _, upstream in self.held if not upstream.gone]
        assert len(alive) == idle + len(held)

    @invariant()
    def each_counts_once(self) -> None:
        for pool in self.pools:
            assert pool.busy == sum(each is pool for each, _ in self.held)

    @invariant()
    def none_is_too_many(self) -> None:
        assert sum(pool.open for pool in self.pools) <= MOST

    def teardown(self) -> None:
        while self.held:
            self.give_back(0, reusable=False)
        assert not [task for task in asyncio.all_tasks(self.t.loop) if not task.done()]
        self.t.close()


PoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestPool = PoolMachine.TestCase

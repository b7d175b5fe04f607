"""The registry that runs: the current snapshot, and how the next one takes its place.

One assignment swaps the whole. Knows nothing of where the next one comes from (`generations`), and
of those who want to know of a change only that they can be called.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from proxy.policy.health import Verdict
from proxy.policy.limits import Gate
from proxy.registry.changes import changes
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint
from proxy.registry.hearsay import Hearsay
from proxy.registry.load import Loaded, LoadRules
from proxy.registry.secrets import resolve_template
from proxy.registry.snapshot import Snapshot, adopt, succeed
from proxy.registry.surroundings import Surroundings
from proxy.registry.witness import Parts, Room

_LOG = logging.getLogger("toolproxy.registry")
_LOG_HEALTH = logging.getLogger("toolproxy.health")
_SLICE_S: Final = 0.002
_MOST_TOLD: Final = 500  # changes of one reload

Listener = Callable[[Snapshot, list[Endpoint]], None]
Doubter = Callable[[Endpoint], None]
Tell = Callable[[str, Mapping[str, object]], None]  # an event's type, and its facts


def _tell_nobody(kind: str, facts: Mapping[str, object]) -> None:
    del kind, facts


class LiveRegistry:
    """The table that calls are routed by. `current` is replaced whole, and only here.

    It is the `Witness` of its clusters: what happens to them is logged, and told on.
    """

    def __init__(
        self, rules: LoadRules, environ: Mapping[str, str], tell: Tell = _tell_nobody
    ) -> None:
        self.rules = rules
        self._tell = tell
        self.current = Snapshot()
        self.hearsay: Hearsay | None = None  # where other processes carry calls too
        self.parts: Parts | None = None  # likewise
        self._environ = environ
        self.restless: set[Cluster] = set()  # to be ticked, as `Cluster.tick` says
        self._listeners: list[Listener] = []
        self._doubters: list[Doubter] = []

    def __repr__(self) -> str:
        return f"<LiveRegistry {self.current!r}>"

    def listen(self, listener: Listener, doubter: Doubter | None = None) -> None:
        """Be told of each new snapshot and of endpoints that are gone; and of failed attempts."""
        self._listeners.append(listener)
        if doubter is not None:
            self._doubters.append(doubter)

    # --- what happens to clusters (see `cluster.Witness`) ---

    def health_changed(self, endpoint: Endpoint, previous: Verdict) -> None:
        now = endpoint.verdict
        _LOG_HEALTH.log(
            logging.INFO if now.usable else logging.WARNING,
            "%s %s: %s (was %s), %s",
            endpoint.namespace,
            endpoint.url,
            now.value,
            previous.value,
            endpoint.reason,
        )
        self._tell(
            "server_health",
            {
                "server_name": endpoint.namespace,
                "endpoint": endpoint.shown,
                "status": now.value,
                "previous": previous.value,
                "reason": endpoint.reason,
            },
        )

    def circuit_changed(self, cluster: Cluster, previous: str) -> None:
        circuit = cluster.circuit
        if self.hearsay is not None:
            self.hearsay.circuit_changed(cluster)
        _LOG_HEALTH.log(
            logging.INFO if circuit.closed else logging.WARNING,
            "Circuit %s for %s (was %s), %d failures in a row",
            circuit.state.value,
            cluster.spec.namespace,
            previous,
            circuit.failure_count,
        )
        self._tell(
            "circuit_state",
            {
                "server_name": cluster.spec.namespace,
                "state": circuit.state.value,
                "previous": previous,
                "retry_after_s": circuit.retry_after_s(_now()),
            },
        )

    def panicked(self, cluster: Cluster) -> None:
        _LOG_HEALTH.warning(
            "Too few endpoints of %s are left: what was ejected is taken back",
            cluster.spec.namespace,
        )

    def attempt_failed(self, cluster: Cluster, endpoint: Endpoint, code: str) -> None:
        for doubter in self._doubters:
            doubter(endpoint)
        if self.hearsay is not None:
            self.hearsay.attempt_failed(cluster, endpoint, code)

    def call_failed(self, cluster: Cluster) -> None:
        if self.hearsay is not None:
            self.hearsay.call_failed(cluster)

    def call_succeeded(self, cluster: Cluster, endpoint: Endpoint) -> None:
        if self.hearsay is not None:
            self.hearsay.call_succeeded(cluster, endpoint)

    def ejected(self, cluster: Cluster, endpoint: Endpoint) -> None:
        if self.hearsay is not None:
            self.hearsay.ejected(cluster, endpoint)

    def probed(self, cluster: Cluster, endpoint: Endpoint, result: Verdict, reason: str) -> None:
        if self.hearsay is not None:
            self.hearsay.probed(cluster, endpoint, result, reason)

    def fit(self, gate: Gate, name: str, room: Room) -> None:
        if self.parts is None:
            gate.configure(*room)
        else:
            self.parts.fit(gate, name, room)

    def moved(self, cluster: Cluster) -> None:
        self.restless.add(cluster)

    def tick(self, now: float) -> None:
        """Let time pass for whatever it changes."""
        if self.restless:
            self.restless = {cluster for cluster in self.restless if cluster.tick(now)}

    def endpoints_moved(self, removed: list[Endpoint]) -> None:
        """Clusters have other endpoints than before, in the same snapshot."""
        for listener in self._listeners:
            listener(self.current, removed)

    # --- the next one ---

    def take_first(self, loaded: Loaded) -> None:
        """The first of all, before anybody is served."""
        *_, new = succeed(self.current, loaded, self._surroundings())
        self._swap(new, loaded, 0.0)

    async def take_up(self, loaded: Loaded) -> None:
        """Build the next snapshot beside this one, swap, and tell what has changed."""
        loop = asyncio.get_running_loop()
        new, began = self.current, loop.time()
        for new in succeed(self.current, loaded, self._surroundings()):  # noqa: B007
            if loop.time() - began > _SLICE_S:
                await asyncio.sleep(0)
                began = loop.time()
        old = self.current
        self._swap(new, loaded, loop.time())
        for number, change in enumerate(changes(old, new)):
            if number == _MOST_TOLD:  # the counts of `registry_reloaded` say the rest
                break
            facts = {"server_name": change.namespace, "changes": change.changes}
            self._tell(change.event_type, facts)
            if loop.time() - began > _SLICE_S:
                await asyncio.sleep(0)
                began = loop.time()

    def _swap(self, new: Snapshot, loaded: Loaded, now: float) -> None:
        old = self.current
        removed = adopt(old, new, now)
        self.current = new
        for finding in loaded.findings:
            _LOG.log(_LEVELS[finding.severity], "%s", finding)
        _LOG.info(
            "Registry generation %d: %d servers, %d tools, %d quarantined",
            new.generation,
            len(new.servers),
            len(new.tools),
            len(new.quarantined),
        )
        for listener in self._listeners:
            listener(new, removed)

    def _surroundings(self) -> Surroundings:
        """What servers are resolved against, read anew for each generation."""
        moment = datetime.now(UTC).timestamp()
        return Surroundings(self._fill, self._is_set, self, moment)

    def _fill(self, template: str) -> str | None:
        try:
            return resolve_template(template, self._environ, self.rules.secrets_dir)
        except ValueError as error:
            _LOG.error("A secret can't be filled in, the last good one stays: %s", error)
            return None

    def _is_set(self, name: str) -> bool:
        return bool(self._environ.get(name)) or Path(self.rules.secrets_dir, name).is_file()


_LEVELS: Final = {"error": logging.ERROR, "warning": logging.WARNING}


async def let_go(fading: list[object]) -> None:
    """Free what nobody else needs, by and by: 100 000 tools at once hold up the loop for 20 ms."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while fading:
        fading.pop()
        if clock() - began > _SLICE_S:
            await asyncio.sleep(0)
            began = clock()


def _now() -> float:
    return asyncio.get_running_loop().time()

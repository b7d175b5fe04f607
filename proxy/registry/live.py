"""The registry that runs: the current snapshot, and how the next one takes its place.

One reload at a time, one assignment to swap; a bad text changes nothing. Knows nothing of when to
look again (`watch`), and of those who want to know of a change only that they can be called.
"""

import asyncio
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from proxy.policy.health import Verdict
from proxy.registry.changes import changes
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint
from proxy.registry.load import Loaded, LoadRules, RegistryRejectedError, load_file
from proxy.registry.offload import NotLoadedError, load_elsewhere
from proxy.registry.secrets import resolve_template
from proxy.registry.snapshot import Snapshot, adopt, succeed
from proxy.registry.surroundings import Surroundings

_LOG = logging.getLogger("toolproxy.registry")
_LOG_HEALTH = logging.getLogger("toolproxy.health")
_SLICE_S: Final = 0.002
_MOST_TOLD: Final = 500  # changes or problems of one reload

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
        self, path: str, rules: LoadRules, environ: Mapping[str, str], tell: Tell = _tell_nobody
    ) -> None:
        self.path = path
        self.rules = rules
        self._tell = tell
        self.current = Snapshot()
        self.reloads: Counter[str] = Counter()  # by result: accepted, rejected
        self.problem = ""  # why the newest text is not in force; empty when it is
        self._environ = environ
        self.restless: set[Cluster] = set()  # to be ticked, as `Cluster.tick` says
        self._listeners: list[Listener] = []
        self._doubters: list[Doubter] = []
        self._seen = ""  # the digest of the newest text, good or bad
        self._turn = asyncio.Lock()

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

    def doubted(self, endpoint: Endpoint) -> None:
        for doubter in self._doubters:
            doubter(endpoint)

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

    def load_first(self) -> None:
        """The first load, before anybody is served; raises `RegistryRejectedError`."""
        loaded = load_file(self.path, self.rules, self._environ)
        self._seen = loaded.sha256
        *_, new = succeed(self.current, loaded, self._surroundings())
        self._swap(new, loaded, 0.0)

    async def refresh(self, *, force: bool = False) -> None:
        """Look at the text again; take it up if it is new (or `force`) and good."""
        async with self._turn:
            digest = await asyncio.get_running_loop().run_in_executor(None, _digest, self.path)
            if digest == self._seen and not force:
                return
            try:
                loaded = await load_elsewhere(self.path, self.rules)
            except RegistryRejectedError as error:
                if not isinstance(error, NotLoadedError):  # else it is worth another look
                    self._seen = digest
                self._reject(error)
                return
            self._seen = loaded.sha256
            fading: list[object] = [*loaded.servers, *self.current.tools_of.values()]
            await self._take_up(loaded)
            del loaded
            await _let_go(fading)

    def _reject(self, error: RegistryRejectedError) -> None:
        self.problem = str(error)
        self.reloads["rejected"] += 1
        _LOG.error(
            "Registry rejected, generation %d stays: %s", self.current.generation, self.problem
        )
        self._tell(
            "registry_rejected",
            {
                "status": "failure",
                "generation": self.current.generation,
                "problems": self.problem.split("\n")[:_MOST_TOLD],
                "error_code": "registry_rejected",
                "error_message": self.problem.partition("\n")[0],
            },
        )

    async def _take_up(self, loaded: Loaded) -> None:
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
        self.problem = ""
        self.reloads["accepted"] += 1
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
        self._tell(
            "registry_reloaded",
            {
                "generation": new.generation,
                "identity": new.identity,
                "change_class": None,  # until generations are compared
                "counts": {
                    "servers": len(new.servers),
                    "tools": len(new.tools),
                    "quarantined": len(new.quarantined),
                },
                "problems": [str(finding) for finding in loaded.findings[:_MOST_TOLD]],
            },
        )

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


async def _let_go(fading: list[object]) -> None:
    """Free what nobody else needs, by and by: 100 000 tools at once hold up the loop for 20 ms."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while fading:
        fading.pop()
        if clock() - began > _SLICE_S:
            await asyncio.sleep(0)
            began = clock()


def _digest(path: str) -> str:
    """The text's SHA-256, or why there is none: a file that goes and comes is two changes."""
    try:
        with open(path, "rb") as text:  # noqa: PTH123 - hashlib reads the open file
            return hashlib.file_digest(text, "sha256").hexdigest()
    except OSError as error:
        return f"{type(error).__name__} {os.strerror(error.errno or 0)}"


def _now() -> float:
    return asyncio.get_running_loop().time()

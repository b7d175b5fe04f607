"""One server's endpoints, and what was learnt of them: which one gets this call, if any may?

Kept over reloads, and given what was newly configured. The decisions are `policy`'s; this is where
they meet. Knows nothing of connections, and of requests only the key that balancing hashes.
"""

from collections.abc import Callable
from math import ceil
from random import random
from typing import Final

from proxy import errors
from proxy.policy import retry
from proxy.policy.balancing import (
    least_request,
    peak_ewma,
    rendezvous,
    round_robin,
    slow_start_factor,
)
from proxy.policy.circuit import Circuit
from proxy.policy.health import Verdict
from proxy.policy.limits import Gate
from proxy.policy.outlier import is_panic, may_eject
from proxy.registry.address import is_name
from proxy.registry.endpoint import LONG_AGO, Endpoint
from proxy.registry.model import Server
from proxy.registry.traits import room_of
from proxy.registry.witness import Witness


class Cluster:
    """One server's endpoints, circuit and limits. `now` is always the loop's time, in seconds."""

    def __init__(
        self, spec: Server, witness: "Witness[Cluster]", chance: Callable[[], float] = random
    ) -> None:
        self.spec = spec
        self.endpoints: tuple[Endpoint, ...] = ()
        self.usable: tuple[Endpoint, ...] = ()  # those in use
        self.spare: tuple[Endpoint, ...] = ()  # backups that could be in use, and are not
        self.circuit = Circuit(spec.circuit, chance)
        self.gate = Gate(0, 0, 0)
        self.retries = Gate(0, 0, 0)  # of calls at their second try or a later one; see `may_retry`
        self.panics = 0
        self.measures = False  # does anybody want to know latencies?
        self._retired = False
        self._serial: dict[str, Gate] = {}
        self._answers: dict[str, tuple[str, ...]] = {}  # by name: the last good answer
        self._witness = witness
        self._chance = chance
        self._fit(self.gate)
        self._rebuild(0.0)

    def __repr__(self) -> str:
        return f"<Cluster {self.spec.namespace} {len(self.usable)} of {len(self.endpoints)} usable>"

    # --- what it is made of ---

    def configure(self, spec: Server, now: float) -> list[Endpoint]:
        """Take up what a new generation says; gives the endpoints that are gone."""
        before, self.spec = self.spec, spec
        self.circuit.configure(spec.circuit)
        self._fit(self.gate)
        if self._serial:
            names = {tool.name for tool in spec.tools}
            self._serial = {name: gate for name, gate in self._serial.items() if name in names}
        for name, gate in self._serial.items():
            self._fit(gate, name)
        if spec.endpoints != before.endpoints:
            return self._rebuild(now)
        for each in self.endpoints:
            each.configure(each.address, spec)
        self._sort_out(now)
        return []

    def resolved(self, name: str, ips: tuple[str, ...], now: float) -> list[Endpoint]:
        """A name's newest answer, without what is denied; gives the endpoints that are gone."""
        if self._answers.get(name) == ips:
            return []
        self._answers[name] = ips
        return self._rebuild(now)

    def retire(self) -> list[Endpoint]:
        """No generation has it any more; gives its endpoints, whose last calls may still run."""
        self._retired = True
        for each in self.endpoints:
            each.gone = True
            each.usable = False
        return list(self.endpoints)

    def serial_gate(self, tool: str) -> Gate:
        """The gate of a tool that takes one call at a time."""
        gate = self._serial.get(tool)
        if gate is None:
            gate = self._serial[tool] = Gate(0, 0, 0)
            self._fit(gate, tool)
        return gate

    def _fit(self, gate: Gate, tool: str = "") -> None:
        self._witness.fit(gate, *room_of(self.spec, tool))

    def _rebuild(self, now: float) -> list[Endpoint]:
        """Make the endpoints anew; who stays is kept, with what was learnt."""
        known = {(each.address.url, each.ip): each for each in self.endpoints}
        # What is there from the beginning has nobody to be ramped up beside.
        anew = {url for url, ip in known if not ip} if known else None
        new: dict[tuple[str, str], Endpoint] = {}
        for address in self.spec.endpoints:
            for ip in self._answers.get(address.host, ("",)):
                key = (address.url, ip)
                # Before the first answer there was one without an IP: it goes on as the first.
                each = new.get(key) or known.pop(key, None) or known.pop((address.url, ""), None)
                if each is None:
                    each = Endpoint(self.spec.namespace, address, ip, self.spec)
                    first = anew is None or address.url in anew
                    each.came_at = LONG_AGO if first else now
                elif each.ip != ip:
                    each.settle_at(ip)
                each.configure(address, self.spec)
                new[key] = each
        self.endpoints = tuple(new.values())
        for each in known.values():
            each.gone = True
            each.usable = False
        self._sort_out(now)
        return list(known.values())

    # --- for a call ---

    def choose(self, key: bytes | None, now: float, failed: tuple[Endpoint, ...] = ()) -> Endpoint:
        """The endpoint for one attempt; not one that has `failed` while another is usable.

        Raises `NoHealthyEndpointError`.
        """
        usable = self.usable
        if failed:
            usable = (
                tuple(each for each in usable if each not in failed)
                or tuple(each for each in self.spare if each not in failed)
                or tuple(each for each in usable if each is not failed[-1])
                or usable
            )
        if len(usable) == 1:
            return usable[0]
        if not usable:
            raise self._nothing_usable()
        method = self.spec.balance.method
        if method == "least_request" or (method == "hash" and key is None):
            return least_request(usable, now, self._chance)
        if method == "round_robin":
            return round_robin(usable)
        if method == "peak_ewma" or key is None:
            return peak_ewma(usable, now, self._chance)
        return rendezvous(usable, key)

    def may_retry(self) -> bool:
        """Take a place for a retry, if the budget leaves one; `retries.leave` must follow."""
        calls = self.gate.busy
        self.retries.configure(retry.most_in_flight(self.spec.retry, calls), calls, 2 * calls)
        return self.retries.try_enter()

    def check(self, now: float) -> None:
        """Raise what stands against a call: `CircuitOpenError` or `NoHealthyEndpointError`."""
        if not self.circuit.admits(now):
            wait_s = max(1, ceil(self.circuit.retry_after_s(now)))
            raise errors.CircuitOpenError(
                f"Circuit open for {self.spec.namespace}, retry in {wait_s} s", retry_after_s=wait_s
            )
        if not self.usable:
            raise self._nothing_usable()

    def begin(self, now: float) -> int:
        """A call begins, by the circuit's leave; its ticket. Raises as `check` does."""
        self.check(now)
        previous = self.circuit.state.value
        ticket = self.circuit.begin(now)
        self.tell_circuit(previous)
        return ticket

    def _nothing_usable(self) -> errors.NoHealthyEndpointError:
        wait_s = max(1, round(self.spec.health.fast_interval_s))
        return errors.NoHealthyEndpointError(
            f"Backend server unhealthy: {self.spec.namespace}", retry_after_s=wait_s
        )

    # --- what calls and probes have shown ---

    def succeeded(self, endpoint: Endpoint, ticket: int) -> None:
        """A call was answered by this endpoint, and well."""
        circuit = self.circuit
        if circuit.failure_count or not endpoint.outlier.well:
            endpoint.outlier.succeed()
            self._witness.call_succeeded(self, endpoint)
        if circuit.closed:
            circuit.succeed(ticket)
            return
        previous = circuit.state.value
        circuit.succeed(ticket)
        self.tell_circuit(previous)

    def call_failed(self, ticket: int, now: float) -> None:
        """A call failed, whatever was tried."""
        previous = self.circuit.state.value
        self._witness.call_failed(self)
        self.circuit.fail(ticket, now, partly_well=self.partly_well)
        self.tell_circuit(previous)

    def attempt_failed(self, endpoint: Endpoint, code: str, now: float) -> None:
        """An attempt failed by the endpoint's fault; a retry may still make the call good."""
        endpoint.latency.penalize(now)
        outlier, rules = endpoint.outlier, self.spec.outlier
        outlier.fail()
        self._witness.attempt_failed(self, endpoint, code)
        if endpoint.usable and outlier.suspicious(rules):
            self.eject(endpoint, f"{outlier.errors} calls in a row failed, last {code}", now)

    def eject(self, endpoint: Endpoint, reason: str, now: float) -> None:
        """Take it out for a while, if so many may be out."""
        rules = self.spec.outlier
        ejected = sum(each.outlier.ejected for each in self.endpoints)
        left = len(self.usable) + len(self.spare)
        if may_eject(rules, len(self.endpoints), left, ejected):
            previous = endpoint.verdict
            endpoint.outlier.eject(rules, reason, now)
            self._witness.ejected(self, endpoint)
            self._witness.health_changed(endpoint, previous)
            self._sort_out(now)

    def probed(self, endpoint: Endpoint, result: Verdict, reason: str, now: float) -> None:
        """An active probe came to this result."""
        self._witness.probed(self, endpoint, result, reason)
        check, previous = endpoint.server.health, endpoint.verdict
        was_usable = endpoint.health.usable
        changed = endpoint.health.probed(
            result,
            reason,
            now,
            healthy_after=check.healthy_after,
            unhealthy_after=check.unhealthy_after,
        )
        if not changed:
            return
        if endpoint.health.usable and not was_usable:
            endpoint.outlier.take_back(now)  # what calls met was what probes have seen end
        if endpoint.verdict is not previous:
            self._witness.health_changed(endpoint, previous)
        self._sort_out(now)

    def tick(self, now: float) -> bool:
        """Let time pass: end ejections, ramp up who came. True while there is more to come."""
        if self._retired:
            return False
        over = [each for each in self.endpoints if each.outlier.is_over(now)]
        for each in over:
            self._take_back(each, now)
        if over:
            self._sort_out(now)
        ramping = self._weigh(now)
        return ramping or any(each.outlier.ejected for each in self.endpoints)

    def _take_back(self, endpoint: Endpoint, now: float) -> None:
        previous = endpoint.verdict
        endpoint.outlier.take_back(now)
        if endpoint.verdict is not previous:
            self._witness.health_changed(endpoint, previous)

    def _sort_out(self, now: float) -> None:
        """Who is usable now? Too few are a panic, which undoes ejections."""
        if self._retired:
            return
        up = [each for each in self.endpoints if each.health.usable]
        usable = [each for each in up if not each.outlier.ejected]
        if len(usable) < len(up) and is_panic(len(self.endpoints), len(usable)):
            self.panics += 1
            self._witness.panicked(self)
            for each in up:
                if each.outlier.ejected:
                    self._take_back(each, now)
            usable = up
        for each in self.endpoints:
            was_usable, each.usable = each.usable, each in usable
            if each.usable and not was_usable:
                each.came_at = now
        self.usable = tuple(each for each in usable if not each.address.backup) or tuple(usable)
        self.spare = tuple(each for each in usable if each not in self.usable)
        self.measures = len(up) > 1 and self.spec.balance.method in _BY_LATENCY
        if self._weigh(now) or any(each.outlier.ejected for each in self.endpoints):
            self._witness.moved(self)

    def _weigh(self, now: float) -> bool:
        """Weigh each endpoint by how long ago it came; True while one has not its full weight."""
        window_s = self.spec.slow_start_s
        ramping = False
        for each in self.endpoints:
            factor = slow_start_factor(now - each.came_at, window_s)
            each.weight = each.full_weight * factor
            ramping = ramping or factor < 1.0
        return ramping

    def tell_circuit(self, previous: str) -> None:
        """Its state may be another than before."""
        if self.circuit.state.value != previous:
            self._witness.circuit_changed(self, previous)

    # --- questions ---

    @property
    def verdict(self) -> Verdict:
        """The best of its endpoints': it is down only when all are."""
        verdicts = {endpoint.verdict for endpoint in self.endpoints}
        # There may be none: if what its names stand for is denied.
        return next((each for each in _BEST_FIRST if each in verdicts), Verdict.UNREACHABLE)

    @property
    def partly_well(self) -> bool:
        """Has an endpoint that is in use answered well when it was last asked?"""
        return any(each.outlier.well for each in self.usable)

    @property
    def is_hopeful(self) -> bool:
        """Is there an endpoint in use of which the last call, if any, did not fail?"""
        return any(not each.outlier.errors for each in (*self.usable, *self.spare))

    def has_other(self, endpoint: Endpoint | None) -> bool:
        """Would one more attempt get another?"""
        return bool(self.spare) or any(each is not endpoint for each in self.usable)

    @property
    def queued(self) -> int:
        """Calls that wait for their turn, at the server or at one of its tools."""
        return self.gate.queued + sum(gate.queued for gate in self._serial.values())

    @property
    def queue_timeout_s(self) -> float | None:
        """How long a call may wait for a permit; None: until its deadline."""
        configured = self.spec.limits.queue_timeout_s
        if configured is None and self.spec.upstream_dependencies.concurrency_safe:
            return _QUEUE_TIMEOUT_S
        return configured

    @property
    def names(self) -> set[str]:
        """The names among its addresses, which may come to stand for something else."""
        return {address.host for address in self.spec.endpoints if is_name(address)}


_BY_LATENCY: Final = frozenset({"least_request", "peak_ewma"})
_QUEUE_TIMEOUT_S: Final = 1.0
_BEST_FIRST: Final = (Verdict.HEALTHY, Verdict.UNKNOWN, Verdict.UNHEALTHY, Verdict.UNREACHABLE)

"""The stage that calls pass before an endpoint is chosen: the desk, the policy, the rates.

What `data_plane.entrance` asks (see `data_plane.roles.Admission`). One for each reading of the
settings; what was counted and learnt is handed on to the next.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping
from time import monotonic, time  # noqa: TID251 - tokens speak of dates
from typing import Final, Protocol

from proxy import errors
from proxy.admission.desk import Desk, Verifier
from proxy.admission.opa import Opa, Question
from proxy.admission.rates import Limit, Rates, Verdict
from proxy.admission.shared_rates import SharedRates
from proxy.config.settings import Settings
from proxy.events.bus_link import BusUnavailableError
from proxy.policy.grants import Visitor
from proxy.registry.snapshot import LiveTool, Route
from proxy.telemetry.record import Calendar
from proxy.wire.plain_object import read_object, write_object

_LOG = logging.getLogger("toolproxy.admission")
_QUICK_BYTES: Final = 32 * 1024  # a body of so much is read in a millisecond
_MOST_REMEMBERED: Final = 10_000  # callers and what they call, with the limits that hold for them


class AdmissionError(Exception):
    """Something that the settings name can't be had."""


class Together(Protocol):
    """Where calls are counted together with those of others."""

    async def take(self, limits: tuple[Limit, ...], now: float) -> bytes: ...

    def sweep(self, now: float) -> None: ...


class Admission:
    """Who may call what, and how often, by the settings."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        before: "Admission | None" = None,
        together: Together | None = None,
    ) -> None:
        """Count `together` with others of this sidecar, if there are any: they know of Redis.

        Raises `AdmissionError`.
        """
        self.settings = settings
        self._calendar = Calendar()
        self._counting: asyncio.Task[None] | None = None
        self._trouble = ""  # with the policy, now
        self._limits: dict[tuple[str, str, bytes, str], tuple[Limit, ...]] = {}
        self.rates: Rates = Rates() if before is None else before.rates
        try:
            self.tokens = self._next_tokens(before)
            self.desk = desk = Desk(settings.auth, environ, self.tokens, time)
            self.opa = self._next_opa(before)
            self.shared = self._next_shared(before) if together is None else None
        except (BusUnavailableError, ValueError) as error:
            raise AdmissionError(str(error)) from None
        self.at_once = desk.at_once
        self.identify = desk.identify
        self.asks_who = settings.auth.on
        self._together = self.shared if together is None else together
        self.counts_together = self._together is not None

    def __repr__(self) -> str:
        return f"<Admission {'asks who calls' if self.asks_who else 'open'}>"

    def knows_the_same(self, other: "Admission") -> bool:
        """Who is let in by the other, and sees what they see there, is here too."""
        return self.settings.auth == other.settings.auth and self.desk.knows_the_same(other.desk)

    def needed(self, *, rated: bool) -> bool:
        """Is there anything to admit by? `rated` when the registry has limits of its own."""
        limited = self.settings.rate.caller is not None
        return self.asks_who or self.opa is not None or limited or rated

    # --- policy ---

    def judges(self, namespace: str) -> bool:
        return self.opa is not None and self.opa.asks_for(namespace)

    async def judge(
        self, visitor: Visitor, route: Route, body: bytes, address: bytes, request_id: bytes
    ) -> bytes:
        if self.opa is None or not isinstance(route, LiveTool):
            return body
        if len(body) <= _QUICK_BYTES:
            parameters = read_object(body)
        else:
            loop = asyncio.get_running_loop()
            parameters = await loop.run_in_executor(None, read_object, body)
        spec, server = route.spec, route.server.spec
        verdict = await self.opa.judge(
            Question(
                user={
                    "id": visitor.subject,
                    "teams": sorted(visitor.teams),
                    "application": visitor.application or None,
                },
                server=server.namespace,
                tool=spec.name,
                sensitivity=spec.sensitivity_level or server.sensitivity_level,
                parameters=parameters,
                request_id=request_id.decode(),
                client_ip=address.decode("ascii", "replace"),
                timestamp=self._calendar.now().decode(),
            )
        )
        self._say_trouble(verdict.reason if verdict.failed else "")
        if verdict.failed:
            raise errors.ForbiddenError(
                "The policy could not be asked, so nothing is allowed; try again later",
                reason="policy_unavailable",
            )
        if not verdict.allow:
            raise errors.ForbiddenError(
                f"The policy says no: {verdict.reason}", reason=f"policy: {verdict.reason}"
            )
        return write_object(parameters if verdict.filtered is None else verdict.filtered)

    def _say_trouble(self, trouble: str) -> None:
        """Once, when it changes: calls are many."""
        if trouble and not self._trouble:
            _LOG.error("The policy can't be asked, so all is denied: %s", trouble)
        elif self._trouble and not trouble:
            _LOG.info("The policy can be asked again")
        self._trouble = trouble

    # --- how often ---

    def limits_of(self, visitor: Visitor, address: bytes, route: Route) -> tuple[Limit, ...]:
        key = (visitor.application, visitor.subject, address, route.name)
        limits = self._limits.get(key)
        if limits is None:
            if len(self._limits) >= _MOST_REMEMBERED:
                self._limits.clear()
            limits = self._limits[key] = tuple(self._find_limits(visitor, address, route))
        return limits

    def take(self, limits: tuple[Limit, ...]) -> bytes:
        return self.rates.take(limits, monotonic())

    async def take_together(self, limits: tuple[Limit, ...]) -> bytes:
        if self._together is None:
            return self.take(limits)
        return await self._together.take(limits, monotonic())

    async def decide(self, calls: list[tuple[Limit, ...]]) -> list[Verdict]:
        """The same for calls of another process of this sidecar, which will settle them."""
        now, shared = monotonic(), self.shared
        if shared is None:
            return [self.rates.decide(limits, now) for limits in calls]
        return list(await asyncio.gather(*(shared.decide(limits, now) for limits in calls)))

    def _find_limits(self, visitor: Visitor, address: bytes, route: Route) -> Iterator[Limit]:
        spec, each = route.server.spec, self.settings.rate.caller
        if visitor.rate is not None:
            yield Limit(f"key:{visitor.application}", "key", visitor.rate)
        if each is not None:
            who = visitor.subject or address.decode("ascii", "replace")
            yield Limit(f"caller:{visitor.application}:{who}", "caller", each)
        if spec.rate is not None:
            yield Limit(f"server:{spec.namespace}", "server", spec.rate)
        if isinstance(route, LiveTool) and route.spec.rate is not None:
            yield Limit(f"tool:{route.name}", "tool", route.spec.rate)

    def registry_changed(self) -> None:
        """Servers and tools may have other limits."""
        self._limits.clear()

    def sweep(self) -> None:
        """Let go of what nobody needs any more."""
        (self._together or self.rates).sweep(monotonic())

    # --- from one reading of the settings to the next ---

    def _next_tokens(self, before: "Admission | None") -> Verifier | None:
        rules = self.settings.auth.jwt
        if rules is None:
            return None
        # PyJWT and cryptography take 90 ms and 10 MB: only where there are tokens.
        from proxy.admission.tokens import Tokens  # noqa: PLC0415

        if before is not None and before.settings.auth.jwt == rules and rules.jwks_url:
            return before.tokens  # with the keys that it has; a file is read anew
        return Tokens(rules, time)

    def _next_opa(self, before: "Admission | None") -> Opa | None:
        rules = self.settings.policy.opa
        if rules is None:
            return None
        if before is not None and before.settings.policy.opa == rules:
            return before.opa
        return Opa(rules, monotonic)

    def _next_shared(self, before: "Admission | None") -> SharedRates | None:
        url = self.settings.rate.redis
        if not url:
            return None
        if before is not None and before.settings.rate.redis == url:
            return before.shared
        return SharedRates(url, self.rates)

    def start(self, before: "Admission | None" = None) -> None:
        """Begin to count with other sidecars, unless the one before does already."""
        if before is not None and before.shared is self.shared:
            self._counting = before._counting  # noqa: SLF001 - of another of its kind
        elif self.shared is not None:
            self._counting = asyncio.get_running_loop().create_task(self.shared.run())

    async def close(self, after: "Admission | None" = None) -> None:
        """Let go of everything that the next one has not taken over."""
        kept = () if after is None else (after.tokens, after.opa)
        for each in (self.tokens, self.opa):
            if each is not None and each not in kept:
                await each.close()
        if self._counting is not None and (after is None or after.shared is not self.shared):
            self._counting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._counting

    def state(self) -> Iterator[tuple[str, str]]:
        """What is switched on, and what is wrong with it, if anything is."""
        if self.opa is not None:
            yield "policy.opa", self._trouble
        if self.shared is not None:
            yield "rate", self.shared.problem

"""Rates that mean all workers: each call that has one is decided by the office.

What comes while one question is on its way goes with the next. While the office is away, each
worker lets in its part: the rate, divided by the workers. Decides nothing itself, see
`admission.rates`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Final

from proxy.admission.rates import Limit, Rates, Verdict
from proxy.admission.stage import Admission
from proxy.config.units import Rate
from proxy.workers.crew import Crew
from proxy.workers.link import AwayError, Link
from proxy.workers.post import Post
from proxy.workers.words import TAKE

_WITHIN_S: Final = 0.2  # Redis has half of it
_MOST_AT_ONCE: Final = 200

Limits = tuple[Limit, ...]


class CommonRates:
    """The worker's end (see `admission.stage.Together`)."""

    def __init__(self, post: Post, workers: int) -> None:
        self._post = post
        self._workers = workers
        self._local = Rates()
        self._waiting: deque[tuple[Limits, asyncio.Future[Verdict | None]]] = deque()
        self._asking: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<CommonRates of {self._workers}, {len(self._waiting)} waiting>"

    async def take(self, limits: Limits, now: float) -> bytes:
        loop = asyncio.get_running_loop()
        verdict: asyncio.Future[Verdict | None] = loop.create_future()
        self._waiting.append((limits, verdict))
        if self._asking is None:
            self._asking = loop.create_task(self._ask())
        decided = await verdict
        if decided is not None:
            return self._local.settle(limits, decided, now)
        ours = [each._replace(rate=_part(each.rate, self._workers)) for each in limits]
        return self._local.take(tuple(ours), now)

    def sweep(self, now: float) -> None:
        self._local.sweep(now)

    async def _ask(self) -> None:
        """Until nobody waits."""
        try:
            while self._waiting:
                many = min(len(self._waiting), _MOST_AT_ONCE)
                some = [self._waiting.popleft() for _ in range(many)]
                verdicts = await self._decided([limits for limits, _ in some])
                for (_, waiter), verdict in zip(some, verdicts, strict=True):
                    if not waiter.done():  # else the caller has left
                        waiter.set_result(verdict)
        finally:
            self._asking = None

    async def _decided(self, calls: list[Limits]) -> list[Verdict | None]:
        try:
            verdicts: list[Verdict | None] = await self._post.ask(TAKE, calls, within_s=_WITHIN_S)
        except AwayError:
            return [None] * len(calls)
        return verdicts


class RateDesk:
    """The office's end. `admission` is the one that holds now."""

    def __init__(self, crew: Crew, admission: Callable[[], Admission]) -> None:
        self._admission = admission
        crew.serve(TAKE, self._take)

    def _take(self, _: Link, calls: list[Limits]) -> Awaitable[list[Verdict]]:
        same = [tuple([_same(*each) for each in limits]) for limits in calls]
        return self._admission().decide(same)


def _same(name: str, policy: str, rate: Rate) -> Limit:
    """The same object for the same rate, as `Limit` wants it."""
    return Limit(name, policy, _rate(*rate))


@lru_cache(maxsize=1024)
def _rate(amount: float, span_s: int) -> Rate:
    return Rate(amount, span_s)


@lru_cache(maxsize=1024)
def _part(rate: Rate, workers: int) -> Rate:
    return Rate(rate.amount / workers, rate.span_s)

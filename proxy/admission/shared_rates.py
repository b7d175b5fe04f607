"""Shared rates: limits that several sidecars count together, in Redis; each alone while it is away.

Decides nothing itself: a script in Redis does, by Redis' clock and the arithmetic of `policy.rate`,
for all calls that wait in one round. Redis 6.2 or newer; not a cluster, since the keys of a round
are in no one slot of it.
"""

import asyncio
import hashlib
import logging
import re
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from random import uniform
from typing import Final

from proxy.admission.rates import Limit, Rates, Verdict
from proxy.config.units import Rate
from proxy.events.bus_link import Address, BusError, Link
from proxy.policy.rate import ROUNDING, Bucket

_LOG = logging.getLogger("toolproxy.rates")

DECIDED_WITHIN_S: Final = 0.1
_AGAIN_S: Final = 1.0
_AGAIN_MOST_S: Final = 1.25
_PING_EVERY_S: Final = 30.0  # what is idle for minutes is forgotten by many a balancer
_ROUND_CALLS: Final = 100  # Redis does nothing else meanwhile
_WAITING_MOST: Final = 1_000
_KEY: Final = b"toolproxy:rate:"
_NAME_MOST_BYTES: Final = 128
_COUNT: Final = re.compile(rb"\d+(\.\d+)?(e[+-]\d{1,3})?")
_UNKNOWN_SCRIPT: Final = "No matching script"

# KEYS: one for each limit of each call. ARGV: for each call the count of its limits, then `most`
# and `per_s` of each. Answers, for each call: does it go (1, 0), then what counts for each limit.
# A value is what counts and the microsecond at which it did. One that cannot be, since the clock
# was set back, the rate has changed or somebody else wrote it, is as much as there may be.
_SCRIPT: Final = b"""
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function keep(key, used, per_s)
  local value = string.format('%.17g %.0f', used, now)
  local full_ms = string.format('%.0f', math.ceil(used / per_s * 1000) + 1)
  redis.call('SET', key, value, 'PX', full_ms)
end

local function used_of(key, most, per_s)
  local value = redis.pcall('GET', key)
  if not value then return 0 end
  local used, at
  if type(value) == 'string' then used, at = string.match(value, '^(%S+) (%S+)$') end
  used = (tonumber(used) or math.huge) - (now - (tonumber(at) or now)) / 1000000 * per_s
  if used <= most then return math.max(used, 0) end
  keep(key, most, per_s)
  return most
end

local answers, key, word = {}, 0, 1
while word <= #ARGV do
  local limits = tonumber(ARGV[word])
  local goes, used = 1, {}
  for i = 1, limits do
    local most, per_s = tonumber(ARGV[word + 2 * i - 1]), tonumber(ARGV[word + 2 * i])
    used[i] = used_of(KEYS[key + i], most, per_s)
    if used[i] + 1 - most > ROUNDING then goes = 0 end
  end
  local answer = {goes}
  for i = 1, limits do
    if goes == 1 then
      used[i] = used[i] + 1
      keep(KEYS[key + i], used[i], tonumber(ARGV[word + 2 * i]))
    end
    answer[i + 1] = string.format('%.17g', used[i])
  end
  answers[#answers + 1] = answer
  key, word = key + limits, word + 1 + 2 * limits
end
return answers
""".replace(b"ROUNDING", b"%g" % ROUNDING)
_DIGEST: Final = hashlib.sha1(_SCRIPT, usedforsecurity=False).hexdigest().encode()
# Asked first: that Redis takes writes, and the script with it.
_TRIAL: Final = (Limit("trial", "", Rate(1_000.0, 1)),)


class _Question:
    """A call that waits for a verdict; None: there will be none."""

    __slots__ = ("limits", "verdict")

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        self.limits = limits
        self.verdict: asyncio.Future[Verdict | None] = asyncio.get_running_loop().create_future()

    def answer(self, verdict: Verdict | None) -> None:
        if not self.verdict.done():  # else the caller has left
            self.verdict.set_result(verdict)


class SharedRates:
    """Limits counted in the Redis at `url`, together with all who name the same.

    `problem` is empty, or one sentence for people: each sidecar counts for itself then, beginning
    with what Redis said last. Raises `BusUnavailableError`.
    """

    def __init__(
        self, url: str, local: Rates | None = None, *, within_s: float = DECIDED_WITHIN_S
    ) -> None:
        self._address = Address(url, "rate.redis")
        self._local = Rates() if local is None else local
        self._round_s = within_s / 2  # who comes during one round is in the next
        self._is_here = False
        self._waiting: deque[_Question] = deque()
        self._wanted = asyncio.Event()
        self.problem = self._alone("not connected yet")

    def __repr__(self) -> str:
        state = "connected" if self._is_here else "away"
        return f"<SharedRates {state} {self._address} waiting={len(self._waiting)}>"

    async def take(self, limits: tuple[Limit, ...], now: float) -> bytes:
        """As `Rates.take`, within `within_s`; `now` is for counting alone."""
        verdict = await self._ask(limits) if limits else None
        if verdict is None:
            return self._local.take(limits, now)
        return self._local.settle(limits, verdict, now)

    async def decide(self, limits: tuple[Limit, ...], now: float) -> Verdict:
        """The same, for somebody who will `settle` it."""
        verdict = await self._ask(limits)
        return self._local.decide(limits, now) if verdict is None else verdict

    async def _ask(self, limits: tuple[Limit, ...]) -> Verdict | None:
        if not self._is_here or len(self._waiting) >= _WAITING_MOST:
            return None
        question = _Question(limits)
        self._waiting.append(question)
        self._wanted.set()
        return await question.verdict

    def sweep(self, now: float) -> None:
        """As `Rates.sweep`; what is in Redis expires."""
        self._local.sweep(now)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    async with self._address.link() as link:
                        await self._try(link)
                        await self._serve(link)
                except BusError as error:
                    self._leave(str(error))
                await asyncio.sleep(uniform(_AGAIN_S, _AGAIN_MOST_S))  # noqa: S311 - spreads, guards nothing
        finally:
            self._is_here = False  # and nothing to warn of
            self._leave("stopped")

    async def _try(self, link: Link) -> None:
        words = _words((_TRIAL,))
        _verdicts(await link.ask(b"EVAL", _SCRIPT, *words), (_TRIAL,))
        self._is_here, self.problem = True, ""
        _LOG.info("rate.redis: connected to %s", self._address)

    async def _serve(self, link: Link) -> None:
        while True:
            if not self._waiting:
                self._wanted.clear()
                await self._idle(link)
                continue
            batch = [each.limits for each in islice(self._waiting, _ROUND_CALLS)]
            for verdict in await self._decide(link, batch):
                self._waiting.popleft().answer(verdict)

    async def _idle(self, link: Link) -> None:
        try:
            async with asyncio.timeout(_PING_EVERY_S):
                await self._wanted.wait()
        except TimeoutError:
            await link.ask(b"PING", within_s=self._round_s)

    async def _decide(self, link: Link, batch: list[tuple[Limit, ...]]) -> list[Verdict]:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._round_s
        words = _words(batch)
        try:
            answer = await link.ask(b"EVALSHA", _DIGEST, *words, within_s=self._round_s)
        except BusError as error:
            if _UNKNOWN_SCRIPT not in str(error):
                raise
            # Its scripts were flushed, or it is another Redis behind the same address.
            left_s = ends_at - loop.time()
            answer = await link.ask(b"EVAL", _SCRIPT, *words, within_s=left_s)
        return _verdicts(answer, batch)

    def _leave(self, why: str) -> None:
        self.problem = self._alone(why)
        if self._is_here:
            _LOG.warning("rate.redis: %s", self.problem)
        self._is_here = False
        while self._waiting:
            self._waiting.popleft().answer(None)

    def _alone(self, why: str) -> str:
        return f"{self._address} is away, limits are counted by this sidecar alone: {why}"


def _words(calls: Sequence[tuple[Limit, ...]]) -> list[bytes]:
    """All that comes after the script: how many keys, the keys, the arguments."""
    keys = [_key(limit.name) for limits in calls for limit in limits]
    words = [b"%d" % len(keys), *keys]
    for limits in calls:
        words.append(b"%d" % len(limits))
        for limit in limits:
            words += _numbers(limit.rate)
    return words


def _key(name: str) -> bytes:
    octets = name.encode(errors="surrogatepass")  # it may come from a token
    if len(octets) > _NAME_MOST_BYTES:
        octets = hashlib.sha256(octets).hexdigest().encode()
    return _KEY + octets


@lru_cache(maxsize=1024)
def _numbers(rate: Rate) -> tuple[bytes, bytes]:
    bucket = Bucket(rate)
    return repr(bucket.most).encode(), repr(bucket.per_s).encode()


def _verdicts(answer: object, calls: Sequence[tuple[Limit, ...]]) -> list[Verdict]:
    if not isinstance(answer, list) or len(answer) != len(calls):
        raise BusError("the answer of the script is none")
    return [_verdict(each, len(limits)) for each, limits in zip(answer, calls, strict=True)]


def _verdict(answer: object, limits: int) -> Verdict:
    match answer:
        case [0 | 1 as goes, *used] if len(used) == limits:
            return Verdict(bool(goes), tuple([_count(each) for each in used]))
        case _:
            raise BusError("the answer of the script is none")


def _count(word: object) -> float:
    if not (isinstance(word, bytes) and _COUNT.fullmatch(word)):
        raise BusError("the answer of the script has no number where one belongs")
    return float(word)

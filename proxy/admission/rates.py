"""Rates: does this call pass all of its limits, and what is it told about them?

Knows names, buckets and the fields of draft-ietf-httpapi-ratelimit-headers-11. Does not know whose
limits they are, nor what time it is.
"""

from itertools import islice
from math import ceil
from typing import Final, NamedTuple

from proxy.config.units import Rate
from proxy.errors import RateLimitedError
from proxy.policy.rate import ROUNDING, Bucket

MOST_BUCKETS: Final = 100_000
# Looked at in one go, for half a millisecond; where there is no room, a tenth of them makes it.
_SLICE: Final = 1_000
_NAME_MOST: Final = 128
_INTEGER_MOST: Final = 999_999_999_999_999  # RFC 9651, 3.3.1


class Limit(NamedTuple):
    """A limit that a call falls under.

    `name` says what is limited (`caller:…`, `server:ns`, `tool:ns.t`), `policy` what kind of thing
    that is (`caller`, `server`, `tool`). A new `rate` object is a new rate: give the same one as
    long as nothing changed.
    """

    name: str
    policy: str
    rate: Rate


class Verdict(NamedTuple):
    """What was decided elsewhere: does the call go, and how many calls count for each limit now?"""

    admitted: bool
    used: tuple[float, ...]


class Rates:
    """How much was called lately, of up to `most` things at a time."""

    def __init__(self, most: int = MOST_BUCKETS) -> None:
        self._most = most
        self._counters: dict[str, _Counter] = {}

    def __repr__(self) -> str:
        return f"<Rates {len(self)} buckets>"

    def __len__(self) -> int:
        return len(self._counters)

    def take(self, limits: tuple[Limit, ...], now: float) -> bytes:
        """Count a call against all of them, or against none.

        Gives the field lines `RateLimit-Policy` and `RateLimit` of the tightest, each with its
        CRLF; nothing if there is no limit. Raises `RateLimitedError`, which carries the same.
        """
        if len(limits) != 1:
            return self._take_all(limits, now) if limits else b""
        # The usual case. The way of several costs it three times as much.
        name, _, rate = limits[0]
        counter = self._counters.get(name)
        if counter is None or counter.rate is not rate:
            (counter,) = self._counters_of(limits, now)
        bucket = counter.bucket
        if bucket.wait_s(now):
            raise counter.refusal(now)
        return counter.fields(bucket.take(now), now)

    def decide(self, limits: tuple[Limit, ...], now: float) -> Verdict:
        """As `take`, for somebody who will `settle` it."""
        counters = self._counters_of(limits, now)
        admitted = not any(counter.bucket.wait_s(now) for counter in counters)
        for counter in counters if admitted else ():
            counter.bucket.take(now)
        return Verdict(admitted, tuple([counter.bucket.used(now) for counter in counters]))

    def settle(self, limits: tuple[Limit, ...], verdict: Verdict, now: float) -> bytes:
        """As `take`, when it was decided elsewhere: remembers what was said there."""
        counters = self._counters_of(limits, now)
        for counter, used in zip(counters, verdict.used, strict=True):
            counter.bucket.assume(used, now)
        if not verdict.admitted:
            raise _slowest(counters, now).refusal(now)
        return _tightest(counters, [counter.bucket.remaining(now) for counter in counters], now)

    def sweep(self, now: float) -> None:
        """Let go of buckets that are full again: a new one would be the same.

        Looks at a thousand at most, next time at others.
        """
        self._look_through(now, at_least=0)

    def _take_all(self, limits: tuple[Limit, ...], now: float) -> bytes:
        counters = self._counters_of(limits, now)
        for counter in counters:
            if counter.bucket.wait_s(now):
                raise _slowest(counters, now).refusal(now)
        return _tightest(counters, [counter.bucket.take(now) for counter in counters], now)

    def _counters_of(self, limits: tuple[Limit, ...], now: float) -> "list[_Counter]":
        # First: a new bucket is a full one, and would be let go of at once.
        if len(self._counters) + len(limits) > self._most:
            a_tenth = min(self._most, _SLICE) // 10
            self._look_through(now, at_least=max(a_tenth, len(limits)))
        return [self._counter(limit) for limit in limits]

    def _counter(self, limit: Limit) -> "_Counter":
        counter = self._counters.get(limit.name)
        if counter is None:
            counter = self._counters[limit.name] = _Counter(limit)
        elif counter.rate is not limit.rate:
            counter.configure(limit)
        return counter

    def _look_through(self, now: float, *, at_least: int) -> None:
        """The oldest that are full go, and those nearest to it until so many have gone."""
        oldest = list(islice(self._counters.values(), _SLICE))
        oldest.sort(key=lambda counter: counter.bucket.full_s(now))
        for place, counter in enumerate(oldest):
            del self._counters[counter.name]
            if place >= at_least and counter.bucket.full_s(now):
                self._counters[counter.name] = counter  # behind those that are still to be seen


class _Counter:
    """A bucket, and what is said of it."""

    __slots__ = ("_lines", "_policy", "bucket", "name", "rate")

    def __init__(self, limit: Limit) -> None:
        self.name = limit.name
        self.bucket = Bucket(limit.rate)
        self.configure(limit)

    def configure(self, limit: Limit) -> None:
        self.rate = limit.rate
        self.bucket.configure(limit.rate)
        self._policy = limit.policy
        # Where a call more may come every second, all but one number is known beforehand.
        lines = f'RateLimit-Policy: {self._quota()}\r\nRateLimit: "{limit.policy}";r=%d;t=1\r\n'
        self._lines = lines.encode() if self.bucket.per_s >= 1.0 else b""

    def fields(self, left: int, now: float) -> bytes:
        """Both field lines, when `left` more calls may come."""
        if self._lines and left < _INTEGER_MOST:
            return self._lines % left
        return f"RateLimit-Policy: {self._quota()}\r\nRateLimit: {self._state(now)}\r\n".encode()

    def refusal(self, now: float) -> RateLimitedError:
        again_s = _whole_s(self.bucket.more_s(now))
        return RateLimitedError(
            f"At most {self.rate} for {_words(self.name)}: come back in {again_s} s",
            retry_after_s=again_s,
            headers=(("RateLimit-Policy", self._quota()), ("RateLimit", self._state(now))),
        )

    def _quota(self) -> str:
        """So many in so many seconds; where it is less than one: one in so many more."""
        amount, span_s = self.rate
        if amount < 1.0:
            amount, span_s = 1.0, _whole_s(1.0 / self.bucket.per_s)
        return f'"{self._policy}";q={min(int(amount), _INTEGER_MOST)};w={span_s}'

    def _state(self, now: float) -> str:
        """`r` may come now, and one more in `t` seconds."""
        left = min(self.bucket.remaining(now), _INTEGER_MOST)
        return f'"{self._policy}";r={left};t={_whole_s(self.bucket.more_s(now))}'


def _slowest(counters: list[_Counter], now: float) -> _Counter:
    return max(counters, key=lambda counter: counter.bucket.wait_s(now))


def _tightest(counters: list[_Counter], lefts: list[int], now: float) -> bytes:
    least = min(lefts)
    return counters[lefts.index(least)].fields(least, now)


def _whole_s(span_s: float) -> int:
    return max(1, ceil(span_s - ROUNDING))


def _words(name: str) -> str:
    """`caller ci` of `caller:ci`: a name may come from a token, so it may be anything."""
    printable = "".join(each if each.isprintable() else "?" for each in name[:_NAME_MOST])
    return printable.replace(":", " ", 1).rstrip()

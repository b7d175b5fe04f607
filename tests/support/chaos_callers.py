"""Callers of a server that is in trouble: what came of each call, and when."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, Self

from tests.support.caller import PATIENCE_S, Answer, BrokenOffError, Caller
from tests.support.messages import post
from tests.support.sidecar import Sidecar
from tests.support.waiting import eventually

CALL: Final = "/tools/o.call"
_NUMBERS: Final[Iterator[int]] = itertools.count()


class Span(NamedTuple):
    """The time in which something happened: not before it began, and over when it ended."""

    began_at: float
    ended_at: float


class Outcome(NamedTuple):
    """One call: `said` is the upstream's status, our `status code`, or `broken off`.

    `by` is the upstream that answered.
    """

    call: str
    said: str
    by: str
    retry_after: str | None
    began_at: float
    ended_at: float

    @property
    def took_s(self) -> float:
        return self.ended_at - self.began_at

    @property
    def ok(self) -> bool:
        return self.said == "200"

    def was_under_way(self, span: Span) -> bool:
        return self.began_at < span.ended_at and span.began_at < self.ended_at


def call_on(
    caller: Caller, target: str = CALL, *, once_heard: Callable[[], None] | None = None
) -> Outcome:
    """One call on a connection that is there; `once_heard` when an answer begins to come."""
    call = f"call-{next(_NUMBERS)}"
    began_at = time.monotonic()
    try:
        caller.send(post(target, b"X-Call: " + call.encode()))
        if once_heard and caller.has_something(within_s=PATIENCE_S):
            once_heard()
        answer = caller.answer()
    except (BrokenOffError, ConnectionError):
        return Outcome(call, "broken off", "", None, began_at, time.monotonic())
    by = answer.value("x-served-by") or ""
    retry_after = answer.value("retry-after")
    return Outcome(call, _said(answer), by, retry_after, began_at, time.monotonic())


def call(
    sidecar: Sidecar, target: str = CALL, *, once_heard: Callable[[], None] | None = None
) -> Outcome:
    """One call on a connection of its own."""
    with sidecar.caller() as caller:
        return call_on(caller, target, once_heard=once_heard)


class Pending:
    """One call that is under way in a thread of its own."""

    def __init__(self, sidecar: Sidecar, target: str = CALL) -> None:
        self._came: list[Outcome] = []
        self._thread = threading.Thread(
            target=lambda: self._came.append(call(sidecar, target)), name="pending"
        )
        self._thread.start()

    @property
    def over(self) -> bool:
        return bool(self._came)

    def outcome(self) -> Outcome:
        """Wait for it."""
        self._thread.join()
        return self._came[0]


class Load:
    """Callers that call, each one call after the other, for as long as the `with` lasts."""

    def __init__(
        self, sidecar: Sidecar, target: str = CALL, *, callers: int = 9, pause_s: float = 0.0
    ) -> None:
        self._sidecar = sidecar
        self._target = target
        self._pause_s = pause_s
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._call_until_over, name=f"caller-{number}")
            for number in range(callers)
        ]
        self.outcomes: list[Outcome] = []

    def __repr__(self) -> str:
        took_ms = sorted(round(each.took_s * 1000, 1) for each in self.outcomes if each.ok)
        middle = took_ms[len(took_ms) // 2] if took_ms else None
        return f"<Load {dict(said(self.outcomes))}, ms: median {middle}, worst {took_ms[-1:]}>"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        print(self)  # noqa: T201 - the figures are worth seeing (`pytest -s`)

    @property
    def failures(self) -> list[Outcome]:
        return [outcome for outcome in list(self.outcomes) if not outcome.ok]

    def goes_on(self, calls: int = 100) -> None:
        """Wait for so many calls that begin from now on."""
        now, heard = time.monotonic(), len(self.outcomes)

        def enough() -> bool:
            return sum(each.began_at > now for each in self.outcomes[heard:]) >= calls

        assert eventually(enough), self

    def is_served_by(self, name: str, calls: int = 20) -> bool:
        """Whether this upstream answers so many calls that begin from now on, before long."""
        now, heard = time.monotonic(), len(self.outcomes)

        def enough() -> bool:
            fresh = [each for each in self.outcomes[heard:] if each.began_at > now]
            return Counter(each.by for each in fresh)[name] >= calls

        return eventually(enough)

    def _call_until_over(self) -> None:
        while not self._over.is_set():
            with self._sidecar.caller() as caller:
                self._call_while_kept(caller)

    def _call_while_kept(self, caller: Caller) -> None:
        goes_well = True
        while goes_well and not self._over.wait(self._pause_s):
            outcome = call_on(caller, self._target)
            self.outcomes.append(outcome)
            goes_well = outcome.ok  # else the connection may have been closed


def said(outcomes: Iterable[Outcome]) -> Counter[str]:
    return Counter(outcome.said for outcome in outcomes)


def _said(answer: Answer) -> str:
    if answer.value("content-type") != "application/problem+json":
        return str(answer.status)
    return f"{answer.status} {answer.json()['code']}"

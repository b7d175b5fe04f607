"""A well-behaved caller that goes on calling while others misbehave, and keeps a record of it."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, Self

from tests.support.caller import Caller
from tests.support.messages import post
from tests.support.sidecar import Sidecar
from tests.support.waiting import eventually

PAUSE_S: Final = 0.005
WORST_S: Final = 3.0  # on a busy machine; some milliseconds are usual
_CALL: Final = post("/tools/o.call")
_NEWCOMER_EVERY: Final = 5
_LEAST_CALLS: Final = 20  # some abuses are over in no time


class Bystander:
    """Calls in a thread of its own for as long as its `with` lasts.

    On one kept connection; every fifth call is a newcomer's, unless there is no room for any.
    """

    def __init__(self, sidecar: Sidecar, *, newcomers: bool = True) -> None:
        self._sidecar = sidecar
        self._newcomers = newcomers
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._call_until_over, name="bystander")
        self._came: Counter[str] = Counter()
        self._latencies_s: list[float] = []

    def __repr__(self) -> str:
        ordered_ms = sorted(round(each * 1000, 1) for each in self._latencies_s)
        middle = ordered_ms[len(ordered_ms) // 2] if ordered_ms else None
        return f"<Bystander {dict(self._came)}, ms: median {middle}, worst {ordered_ms[-1:]}>"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        eventually(lambda: self.calls >= _LEAST_CALLS or not self._thread.is_alive())
        self._over.set()
        self._thread.join()
        print(self)  # noqa: T201 - the figures are worth seeing (`pytest -s`)

    @property
    def calls(self) -> int:
        """How many are over."""
        return len(self._latencies_s)

    def assert_undisturbed(self) -> None:
        """Every call succeeded, and none was slow."""
        assert set(self._came) == {"200"}, self
        assert max(self._latencies_s) < WORST_S, self

    def _call_until_over(self) -> None:
        with self._sidecar.caller() as kept:
            count = 0
            while not self._over.wait(PAUSE_S):
                count += 1
                if self._newcomers and count % _NEWCOMER_EVERY == 0:
                    self._record(self._call_as_newcomer)
                else:
                    self._record(lambda: self._call(kept))

    def _record(self, call: Callable[[], int]) -> None:
        began_at = time.monotonic()
        try:
            said = str(call())
        except (AssertionError, OSError) as error:
            said = repr(error)
            self._over.set()  # its connection is of no more use
        self._came[said] += 1
        self._latencies_s.append(time.monotonic() - began_at)

    def _call(self, caller: Caller) -> int:
        caller.send(_CALL)
        return caller.answer().status

    def _call_as_newcomer(self) -> int:
        with self._sidecar.caller() as caller:
            return self._call(caller)

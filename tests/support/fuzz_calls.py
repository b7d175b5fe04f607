"""One call to an upstream that says odd things: what it says, and what its caller may get of it.

What was said to this very call, read strictly; or an error of the sidecar's; or an answer that
visibly breaks off.
"""

from dataclasses import dataclass
from typing import Final

from tests.support.fuzz_reading import Answer, Odd, read_answer
from tests.support.fuzz_scripts import Ending, Script
from tests.support.messages import message

# May be sent again, when a kept connection turns out to be dead.
REPEATABLE: Final = (b"GET", b"HEAD", b"PUT")
METHODS: Final = (*REPEATABLE, b"POST", b"POST")
_ONCE: Final = (b"x-request-id", b"x-chora-trace-id", b"date")
_ADDED: Final = frozenset({*_ONCE, b"via", b"transfer-encoding", b"connection", b"content-length"})
_NEVER: Final = frozenset({b"keep-alive", b"upgrade", b"te", b"proxy-connection", b"x-poison"})
_OWN_ERRORS: Final = frozenset({502, 504})


@dataclass(frozen=True, slots=True)
class Call:
    """One request, and what the upstream will say to it."""

    method: bytes
    number: int
    script: Script

    @property
    def octets(self) -> bytes:
        line = b"%b /servers/f/call?n=%d HTTP/1.1" % (self.method, self.number)
        return message(line, b"Host: a", b"Content-Length: 0")

    @property
    def bodiless(self) -> bool:
        return self.method == b"HEAD"

    def judge(self, interim: list[Answer], got: Answer | None) -> None:
        """May its caller have got this? An answer that is not complete is one that broke off."""
        if got is None:
            raise Odd("no answer at all")
        if got.values(b"content-type") == [b"application/problem+json"]:
            self._judge_refusal(got)
            return
        said_before, said = self._strictly()
        if said is None:
            raise Odd(f"an answer out of nothing: {got!r}")
        _judge_relayed(said, got)
        if self.script.is_plain and not got.complete:
            raise Odd(f"a good answer broke off: {got!r}")
        for each in interim:
            if each.status not in {other.status for other in said_before} - {100, 101}:
                raise Odd(f"an interim answer out of nowhere: {each!r}")

    def _judge_refusal(self, got: Answer) -> None:
        may_fail = not self.script.is_plain or self.method not in REPEATABLE
        if got.status not in _OWN_ERRORS or not may_fail:
            raise Odd(f"refused: {got!r}")

    def _strictly(self) -> tuple[list[Answer], Answer | None]:
        """What the script says in a strict reading: interim answers, and the final one."""
        octets, position, interim = self.script.octets, 0, list[Answer]()
        ended = self.script.ending is Ending.CLOSES
        while True:
            said, position = read_answer(octets, position, bodiless=self.bodiless, ended=ended)
            if said is None or said.status >= 200:
                return interim, said
            interim.append(said)


def _judge_relayed(said: Answer, got: Answer) -> None:
    if got.status != said.status:
        raise Odd(f"another status: {got!r} for {said!r}")
    if not said.body.startswith(got.body) or (got.complete and got.body != said.body):
        raise Odd(f"another body: {got!r} for {said!r}")
    if got.complete and not said.complete:
        raise Odd(f"a clean end of what broke off: {got!r} for {said!r}")
    names = [name for name, _ in got.fields]
    if any(names.count(name) != 1 for name in _ONCE):
        raise Odd(f"a field of ours that is not there once: {got!r}")
    for name, value in got.fields:
        if name in _NEVER or (name not in _ADDED and (name, value) not in said.fields):
            raise Odd(f"a field out of nowhere: {name!r}: {value!r} for {said!r}")

"""What an upstream of the fuzzers says to one request: answers drawn at random, good and odd."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from tests.support.fuzz_mutations import mutated
from tests.support.fuzz_reading import Odd, read_answer
from tests.support.messages import chunked, message, ok

_STATUSES: Final = (b"200 OK", b"201 Created", b"404 Not Found", b"500 Oh", b"302", b"599 \x80 x")
_BODILESS: Final = (b"204 No Content", b"304 Not Modified")
_INTERIM: Final = (
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\nX-Step: 1\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
)
_FIELDS: Final = (
    b"Content-Type: application/json",
    b"Server: upstream/1.0",
    b"Set-Cookie: a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    b"Set-Cookie: c=d",
    b"Date: Thu, 01 Jan 1970 00:00:00 GMT",
    b"X-Empty:",
    b"X-Text: \x80\xff  ",
    b"X_Underscore: kept",
    b"Connection: keep-alive",
    b"Connection: X-Empty, Keep-Alive",
    b"Keep-Alive: timeout=5, max=100",
    b"Via: 1.0 fred",
    b"X-Request-Id: theirs",
    b"X-Chora-Trace-Id: theirs",
    b"Upgrade: h2c",
    b"Trailer: X-Sum",
    b"Vary: Origin, Accept",
    b'Alt-Svc: h2=":443"',
)
_STATUS_LINES: Final = (
    *(b"HTTP/1.0 200 OK", b"HTTP/2 200 OK", b"HTTP/0.9 200 OK", b"HTTP/1.2 200 OK", b"ICY 200 OK"),
    *(b"HTTP/1.1 0200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 -200 OK", b"200 OK"),
    *(
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1\t200 OK",
        b"HTTP/1.1 200\tOK",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1",
    ),
    *(b"http/1.1 200 OK", b"HTTP/1.1 099 x", b"HTTP/1.1 999 x", b"HTTP/1.1 101 Switching", b""),
    *(b"HTTP/1.1 200 a\x00b", b"HTTP/1.1 200 a\nb: c", b"HTTP/1.1 200 a\rb", b" HTTP/1.1 200 OK"),
    *(
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 1xx x",
        b"HTTP/1.1 20\xb2 OK",
        b"<html>",
        b"HTTP/1.1 101",
    ),
)
_POISON: Final = ok(b"poison", b"X-Poison: 1")
_BEHIND: Final = (
    _POISON,
    _POISON * 2,
    b"\r\n",
    b"x",
    b"0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"\r\n\r\n",
)


class Ending(Enum):
    """What the upstream does when it has said all."""

    STAYS = auto()
    CLOSES = auto()
    RESETS = auto()


@dataclass(frozen=True, slots=True)
class Script:
    """What to say, in which pieces, and how to end."""

    pieces: tuple[bytes, ...]
    ending: Ending
    is_plain: bool = False

    @property
    def octets(self) -> bytes:
        return b"".join(self.pieces)


class Scripts:
    """Makes scripts; `number` stands in each body, so that no two are alike.

    Nothing is said after a complete answer in a later piece: that may meet the next request on its
    way, and no proxy can tell it from an answer to that.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def plain(self, number: int, *, bodiless: bool) -> Script:
        """A good answer that leaves the connection open."""
        answer = ok(b"answer %d" % number)
        if bodiless:
            answer = answer.partition(b"answer")[0]
        return Script((answer,), Ending.STAYS, is_plain=True)

    def odd(self, number: int, *, bodiless: bool) -> Script:
        """Mostly an odd answer; sometimes a good one, or a good one with something behind it."""
        chance = self._chance
        octets, until_close = self._answer(number, bodiless=bodiless)
        drawn = chance.random()
        if drawn < 0.15 and not until_close:
            return Script((octets,), chance.choice((Ending.STAYS, Ending.CLOSES)), is_plain=True)
        if drawn < 0.3 and not until_close:
            octets += chance.choice(_BEHIND)
        elif drawn < 0.95:
            octets = chance.choice(_WAYS)(chance, octets)
        ending = chance.choice((Ending.CLOSES, Ending.CLOSES, Ending.RESETS))
        if not until_close and chance.random() < 0.2:
            ending = Ending.STAYS
        return Script(self._cut(octets, bodiless=bodiless), ending)

    def _answer(self, number: int, *, bodiless: bool) -> tuple[bytes, bool]:
        """A good answer, and whether only the connection's end can end it."""
        chance = self._chance
        lines = chance.sample(_FIELDS, k=chance.randrange(6))
        body = b"answer %d" % number
        interim = b"".join(chance.choices(_INTERIM, k=chance.choice((0, 0, 0, 1, 3))))
        framing, coded = self._framed(body)
        status = chance.choice(_STATUSES)
        if chance.random() < 0.1:
            status, framing, coded = chance.choice(_BODILESS), [], b""
        until_close = not framing and bool(coded) and not bodiless
        lines += framing
        chance.shuffle(lines)
        answer = message(b"HTTP/1.1 " + status, *lines, body=b"" if bodiless else coded)
        return interim + answer, until_close

    def _framed(self, body: bytes) -> tuple[list[bytes], bytes]:
        drawn = self._chance.random()
        if drawn < 0.45:
            return [b"Content-Length: %d" % len(body)], body
        if drawn < 0.9:
            coded = chunked(body[:3], body[3:])
            if drawn < 0.6:
                coded = coded[:-2] + b"X-Sum: 1\r\nSet-Cookie: e=f\r\n\r\n"
            return [b"Transfer-Encoding: chunked"], coded
        return [], body

    def _cut(self, octets: bytes, *, bodiless: bool) -> tuple[bytes, ...]:
        at = self._chance.randrange(len(octets) + 1)
        if self._chance.random() < 0.5 or _holds_an_answer(octets[:at], bodiless=bodiless):
            return (octets,)
        return octets[:at], octets[at:]


def _holds_an_answer(octets: bytes, *, bodiless: bool) -> bool:
    position, answer = 0, None
    try:
        while answer is None or answer.status < 200:
            answer, position = read_answer(octets, position, bodiless=bodiless, ended=False)
            if answer is None:
                return False
    except Odd:
        return False
    return answer.complete


def change_status_line(chance: random.Random, octets: bytes) -> bytes:
    return chance.choice(_STATUS_LINES) + octets[octets.find(b"\r\n") :]


def stall_in_interim(chance: random.Random, octets: bytes) -> bytes:
    return chance.choice(_INTERIM) * chance.choice((5, 40)) + octets


_WAYS: Final[tuple[Callable[[random.Random, bytes], bytes], ...]] = (
    *(mutated, mutated, mutated, mutated, change_status_line, stall_in_interim),
)

"""One fuzzed connection's story: what was sent, what of it was forwarded, what came back.

Every rule of the fuzzers is here. Each raises `Odd` at what nobody should have seen.
"""

import re
from dataclasses import dataclass, field
from typing import Final

import h11
import orjson

from tests.support.fuzz_reading import (
    Answer,
    End,
    Odd,
    Request,
    read_answer,
    read_requests,
    tokens_in,
)
from tests.support.reparsing import Reparsed, requests_in

BASE: Final = b"/base"
TOOLS: Final = {
    b"f.call": (b"POST", b"/tools/call"),
    b"f.dotted.name": (b"POST", b"/tools/dotted.name"),
    b"f.own": (b"GET", b"/things/own"),
}
ECHO: Final = b"x-echo"
# What the sidecar sets, whatever the caller says (contract, Headers to the upstream).
_ONCE: Final = (b"host", b"traceparent", b"x-request-id", b"x-chora-trace-id")
_ONCE_FORWARDED: Final = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")
_OURS: Final = frozenset(
    {*_ONCE, *_ONCE_FORWARDED, b"via", b"tracestate", b"content-length", b"transfer-encoding"}
    | {b"max-forwards", b"content-type"}
    # A repeated one is joined with a comma.
    | {b"origin", b"access-control-request-method", b"access-control-request-headers"}
)
_NEVER: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"http2-settings"}
    | {b"expect", b"request-timeout", b"forwarded", b"authorization", b"cookie", b"x-api-key"}
)
_TUNNELLING: Final = frozenset({b"connection", b"upgrade"})
_ESCAPE: Final = re.compile(
    rb"%(?:25)*(?:2f|5c)|\\|/(?:\.|%(?:25)*2e){1,2}(?:[;/]|$)", re.IGNORECASE
)
_BUGS: Final = frozenset({500, 502, 503, 504})


@dataclass(slots=True)
class Story:
    """What may happen for one caller's bytes, and what of it has happened."""

    address: bytes
    octets: bytes
    requests: list[Request] = field(init=False)
    end: End = field(init=False)
    answers: list[Answer] = field(default_factory=list)
    closed_by_us: bool = False
    _read_to: int = 0
    _forwarded_to: int = 0

    def __post_init__(self) -> None:
        self.requests, self.end, _ = read_requests(self.octets)

    # --- what reaches the upstream ---

    def forwarded(self, request: Request, octets: bytes) -> int:
        """Which of the caller's requests this is; it can't be one that was forwarded before."""
        for index in range(self._forwarded_to, len(self.requests)):
            if _is_forwarded_as(self.requests[index], request):
                self._forwarded_to = index + 1
                self._check(index, request, octets)
                return index
        raise Odd(f"forwarded, though not sent: {octets!r}, of {self.octets!r}")

    def grew(self, index: int, request: Request, octets: bytes) -> None:
        """So much has come of this request."""
        if not _is_forwarded_as(self.requests[index], request):
            raise Odd(f"another body than was sent: {octets!r}, of {self.octets!r}")
        self._check(index, request, octets)

    def _check(self, index: int, request: Request, octets: bytes) -> None:
        check_forwarded(request, octets)
        _check_fields(self.requests[index], request)

    def echo_of(self, index: int) -> bytes:
        """What the upstream says to this request, and the caller must hear."""
        return b"%b %d" % (self.address, index)

    # --- what the caller gets ---

    def heard(self, octets: bytes, *, ended: bool) -> None:
        """Read the answers as far as they have come."""
        while self._read_to < len(octets):
            asked = self._answered()
            bodiless = asked is not None and asked.method == b"HEAD"
            answer, after = read_answer(octets, self._read_to, bodiless=bodiless, ended=ended)
            if answer is None or not answer.complete:
                return
            if bodiless and answer.closes and octets[after : after + 1] == b"{":
                # Refused before its method was known: the body of its problem ends the connection.
                answer, after = read_answer(octets, self._read_to, bodiless=False, ended=ended)
                if answer is None or not answer.complete:
                    return
            self._take(answer)
            self._read_to = after

    def is_settled(self) -> bool:
        """Has everything been answered that will be, while the connection stays?"""
        owed = sum(request.complete for request in self.requests)
        return len(self.answers) >= owed and self.end in {End.WHOLE, End.BEGUN}

    def close(self, octets: bytes, *, was_reset: bool) -> None:
        """The connection is over: was it a good end?"""
        self.heard(octets, ended=not was_reset)
        left = octets[self._read_to :]
        if self.closed_by_us:
            return
        if was_reset:
            self._check_reset()
        elif left and not self._breaks_off():
            raise Odd(f"the answer ends in the middle: {left!r}")
        elif not left and not self._said_the_end() and not self._may_end_unsaid():
            raise Odd(f"closed unasked and unsaid after {self.answers[-1:]!r}")

    def check_all_accepted(self) -> None:
        """For a conversation in which nothing is odd."""
        for asked, answer in zip(self.requests, self.answers, strict=False):
            taken = {200} if route(asked) else {200, 204, 404, 405}
            if answer.status not in taken or (route(asked) and not answer.values(ECHO)):
                raise Odd(f"a good request is refused: {asked!r}: {answer!r}")
        answered = len(self.answers)
        around = self.requests[max(0, answered - 1) : answered + 1]
        if answered < len(self.requests) and not any(map(_may_be_last, around)):
            raise Odd(f"a good request has no answer: {self.requests[answered]!r}")

    def _answered(self) -> Request | None:
        """The request that the next answer is for; none when it is for what is no request."""
        index = len(self.answers)
        return self.requests[index] if index < len(self.requests) else None

    def _take(self, answer: Answer) -> None:
        if answer.status < 200:
            if answer.status != 100:
                raise Odd(f"an interim answer that nobody sent: {answer!r}")
            return
        if self._said_the_end():
            raise Odd(f"an answer after the last: {answer!r}")
        index = len(self.answers)
        refusal = index >= len(self.requests)
        if refusal and self.end not in {End.ODD, End.BEGUN}:
            raise Odd(f"an answer to nothing: {answer!r}")
        echo = answer.values(ECHO)
        if echo:
            self._check_echo(index, answer, echo[0])
        else:
            _check_own(answer)
        if refusal and (echo or not answer.closes):
            raise Odd(f"no refusal that closes: {answer!r}")
        self.answers.append(answer)

    def _check_echo(self, index: int, answer: Answer, echo: bytes) -> None:
        wanted = self.echo_of(index)
        if echo != wanted:
            raise Odd(f"another's answer: {echo!r} instead of {wanted!r}")
        if answer.body != (b"" if self.requests[index].method == b"HEAD" else wanted):
            raise Odd(f"another's body: {answer.body!r} instead of {wanted!r}")

    def _said_the_end(self) -> bool:
        """Has the last answer said that it is the last?"""
        if not self.answers:
            return False
        index, answer = len(self.answers) - 1, self.answers[-1]
        if answer.closes or answer.until_close or index >= len(self.requests):
            return True
        stays = b"keep-alive" in tokens_in(answer.fields, b"connection")
        return self.requests[index].minor == 0 and not stays

    def _check_reset(self) -> None:
        """Only who goes on sending behind what ends the connection may lose its answer so."""
        asked = self._answered()
        ends = asked is not None and not (asked.persists and asked.minor)
        if not (ends or self._said_the_end() or self._may_end_unsaid()):
            raise Odd("reset, not closed")

    def _breaks_off(self) -> bool:
        """May the answer that comes now be broken off? Its request's body is."""
        asked = self._answered()
        return asked is not None and not asked.complete

    def _may_end_unsaid(self) -> bool:
        """The answer was out when its request's body turned out to be broken."""
        asked = self.requests[len(self.answers) - 1 :][:1] if self.answers else []
        return bool(asked) and not asked[0].complete


def route(request: Request) -> tuple[bytes, bytes] | None:
    """Method and target that a request must have when it is forwarded; nothing if never."""
    if request.method == b"OPTIONS" and request.values(b"max-forwards") == [b"0"]:
        return None  # RFC 9110, 7.6.2: whom it reaches with nought answers it
    path, mark, query = request.target.partition(b"?")
    if path.startswith(b"/tools/") and request.method == b"POST":
        tool = TOOLS.get(path[7:])
        return (tool[0], BASE + tool[1] + mark + query) if tool else None
    if path.startswith(b"/servers/f/") and not _ESCAPE.search(path):
        return request.method, BASE + request.target[10:]
    return None


def _asks_for_a_tunnel(request: Request) -> bool:
    """A WebSocket's beginning, which alone goes on as it is."""
    return (
        (request.method, request.minor) == (b"GET", 1)
        and b"upgrade" in tokens_in(request.fields, b"connection")
        and [each.lower() for each in request.values(b"upgrade")] == [b"websocket"]
    )


def check_forwarded(request: Request, octets: bytes) -> None:
    """What may never reach an upstream, whoever asked for it."""
    names = [name for name, _ in request.fields]
    if any(names.count(name) != 1 for name in _ONCE + _ONCE_FORWARDED):
        raise Odd(f"a field of ours that is not there once: {octets!r}")
    never = _NEVER - _TUNNELLING if _asks_for_a_tunnel(request) else _NEVER
    if any(name in never or b"_" in name or name.startswith(b"proxy-") for name in names):
        raise Odd(f"a field that must not go on: {octets!r}")
    if any(name in _OURS | _NEVER for name, _ in request.trailers or ()):
        raise Odd(f"a trailer that must not go on: {octets!r}")
    if request.minor != 1:
        raise Odd(f"another version than 1.1: {octets!r}")
    if not request.complete:
        return
    try:
        by_h11 = requests_in(octets)
    except h11.RemoteProtocolError as error:
        raise Odd(f"h11 refuses {octets!r}: {error}") from None
    if by_h11 != [Reparsed(request.method, request.target, request.body)]:
        raise Odd(f"h11 reads {octets!r} as {by_h11!r}")


def _may_be_last(asked: Request) -> bool:
    """Where the connection's end ends the answer, or a body is refused before it is there."""
    framed = asked.values(b"transfer-encoding") or asked.values(b"content-length")
    return asked.minor == 0 or (route(asked) is None and bool(framed))


def _is_forwarded_as(asked: Request, request: Request) -> bool:
    if route(asked) != (request.method, request.target):
        return False
    body = asked.body
    if asked.complete and not body and asked.target.startswith(b"/tools/"):
        body = b"" if request.method == b"GET" else b"{}"
    if not request.complete:
        return body.startswith(request.body)
    return asked.complete and body == request.body


def _check_fields(asked: Request, request: Request) -> None:
    """Nothing is there that the caller has not said, or said only for the sidecar."""
    nominated = set(tokens_in(asked.fields, b"connection")) - _OURS
    ours = _OURS | _TUNNELLING if _asks_for_a_tunnel(asked) else _OURS
    for name, value in request.fields:
        if name in ours or name.startswith(b"x-forwarded-"):
            continue
        if name in nominated or (name, value) not in asked.fields:
            raise Odd(f"a field out of nowhere: {name!r}: {value!r}")
    for each in request.trailers or ():
        if each not in (asked.trailers or ()):
            raise Odd(f"a trailer out of nowhere: {each!r}")


def _check_own(answer: Answer) -> None:
    """An answer in the sidecar's own name: a problem that is no bug, or the control plane's."""
    if answer.status in _BUGS:
        raise Odd(f"the sidecar fails: {answer!r}")
    is_problem = answer.values(b"content-type") == [b"application/problem+json"]
    if is_problem and answer.body and orjson.loads(answer.body)["status"] != answer.status:
        raise Odd(f"a problem that is at odds with itself: {answer!r}")

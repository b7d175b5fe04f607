"""What the upstreams saw of each request, and what the caller got: to be compared."""

import hashlib
import re
import ssl
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from tests.dropin.asking import REQUESTS, Asked
from tests.support.caller import Answer, BrokenOffError, Caller
from tests.support.origin import Origin, Visit

Fields = tuple[tuple[str, str], ...]
_WITHOUT_BODY: Final = (204, 304)


class Arrived(NamedTuple):
    """A request as it reached an upstream."""

    upstream: int
    line: str
    fields: Fields
    body: str


class Outcome(NamedTuple):
    """What became of one request."""

    arrived: Arrived | None
    status: int
    fields: Fields
    body: bytes


class SecureCaller(Caller):
    """The same over TLS, for a name."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(port)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._socket = context.wrap_socket(self._socket, server_hostname=name)


HANDSHAKE: Final = Asked(
    number=REQUESTS,
    method="GET",
    target="/ws/room?id=1",
    headers=(
        ("Host", "chat.example"),
        ("X-Case", str(REQUESTS)),
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Cookie", "user=anna"),
    ),
    body=b"",
)
_HELLO: Final = b"\x81\x85\0\0\0\0hello"  # masked with nothing
_GOODBYE: Final = b"\x88\x82\0\0\0\0\x03\xe8"


def tunnelled(port: int, origins: Sequence[Origin]) -> Outcome:
    """A WebSocket is opened, says hello, and says goodbye; the body is what came back."""
    for origin in origins:
        origin.calls.clear()
    with Caller(port) as caller:
        caller.send(HANDSHAKE.wire)
        answer = caller.answer("GET")
        caller.send(_HELLO)
        said = caller.some(7)
        caller.send(_GOODBYE)
        said += caller.rest()
    arrived = dict(_arrived(origins))[HANDSHAKE.number]
    return _outcome(replace(answer, body=said), arrived, re.compile(rf"\b{port}\b"))


async def _echo(visit: Visit) -> None:
    """One message comes back, and so does the goodbye."""
    await visit.send(b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    hello = await visit.connection.reader.readexactly(len(_HELLO))
    await visit.send(b"\x81\x05" + hello[6:])
    goodbye = await visit.connection.reader.readexactly(len(_GOODBYE))
    await visit.send(b"\x88\x02" + goodbye[6:])
    visit.close()


async def script(visit: Visit) -> None:
    """Answer as the request says; the same to all who ask the same."""
    if visit.value("upgrade"):
        await _echo(visit)
        return
    body = await visit.read()
    said = visit.value("x-answer")
    if said is None:  # a probe
        await visit.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        return
    status, size, framing = said.split()
    answer = [f"HTTP/1.1 {status} As Asked".encode()]
    answer += [b"Server: upstream/1", b"X-Powered-By: tests", b"Set-Cookie: a=1; Path=/"]
    answer += [b"Set-Cookie: b=2", b"Content-Type: text/x-answer", b"X-Saw: %d" % len(body)]
    text = b"" if int(status) in _WITHOUT_BODY else (said.encode() * 9_000)[: int(size)]
    if int(status) in _WITHOUT_BODY:
        pass
    elif framing == "chunked":
        answer.append(b"Transfer-Encoding: chunked")
        text = b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text) if text else b"0\r\n\r\n"
    else:
        answer.append(b"Content-Length: %d" % len(text))
    if visit.method == b"HEAD":
        text = b""
    await visit.send(b"\r\n".join([*answer, b"", b""]) + text)


def outcomes(
    asked: Sequence[Asked], ports: Iterable[tuple[int, bool]], origins: Sequence[Origin]
) -> list[Outcome]:
    """Ask them all, each on a port that its turn chooses; whether that is TLS is said beside it."""
    doors = list(ports)
    for origin in origins:
        origin.calls.clear()
    answers = [answer for door in doors for answer in _asked_there(asked, doors, door)]
    by_number = dict(answers)
    arrived = dict(_arrived(origins))
    numbers = re.compile("|".join(rf"\b{port}\b" for port, _ in doors))
    return [_outcome(by_number[each.number], arrived.get(each.number), numbers) for each in asked]


def _asked_there(
    asked: Sequence[Asked], doors: Sequence[tuple[int, bool]], door: tuple[int, bool]
) -> Iterator[tuple[int, Answer]]:
    """Those whose turn it is at this door; over one connection per name, as long as it lasts."""
    callers: dict[str, Caller] = {}
    try:
        for each in asked:
            if doors[each.number % len(doors)] != door:
                continue
            name = each.value("Host").partition(":")[0]
            yield each.number, _one(callers, each, door, name)
    finally:
        for caller in callers.values():
            caller.leave()


def _one(callers: dict[str, Caller], each: Asked, door: tuple[int, bool], name: str) -> Answer:
    port, secure = door
    for _ in range(2):  # a connection may have been closed since its last answer
        caller = callers.get(name)
        if caller is None:
            caller = callers[name] = SecureCaller(port, name) if secure else Caller(port)
        caller.send_as_far_as_it_goes(each.wire)
        try:
            answer = caller.answer(each.method)
        except (BrokenOffError, ConnectionError):
            callers.pop(name).leave()
            continue
        if answer.closes:
            callers.pop(name).leave()
        return answer
    raise AssertionError(f"no answer to {each}")


def _arrived(origins: Sequence[Origin]) -> Iterator[tuple[int, Arrived]]:
    for place, origin in enumerate(origins):
        for visit in origin.calls:
            number = visit.value("x-case")
            if number is not None:
                line = b" ".join((visit.method, visit.target, visit.version)).decode("latin-1")
                fields = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in visit.headers]
                digest = hashlib.sha256(bytes(visit.body)).hexdigest()
                yield int(number), Arrived(place, line, tuple(fields), digest)


def _outcome(answer: Answer, arrived: Arrived | None, ports: re.Pattern[str]) -> Outcome:
    """With the ports of whom was asked taken out: those differ, and nothing else by that."""

    def blind(fields: Iterable[tuple[str, str]]) -> Fields:
        return tuple((name.lower(), ports.sub("PORT", value)) for name, value in fields)

    fields = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in answer.headers]
    if arrived is not None:
        arrived = arrived._replace(fields=blind(arrived.fields))
    return Outcome(arrived, answer.status, blind(fields), answer.body)

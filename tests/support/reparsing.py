"""What a parser that is not ours makes of bytes: h11, strict by design."""

from dataclasses import dataclass

import h11


@dataclass(frozen=True)
class Reparsed:
    """One request as h11 read it."""

    method: bytes
    target: bytes
    body: bytes


def requests_in(octets: bytes) -> list[Reparsed]:
    """Every request in the bytes of one connection; `h11.RemoteProtocolError` if any is bad."""
    found: list[Reparsed] = []
    left = octets
    while left:
        parsed, left = _first_request(left)
        found.append(parsed)
    return found


def _first_request(octets: bytes) -> tuple[Reparsed, bytes]:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(octets)
    request = connection.next_event()
    assert isinstance(request, h11.Request), request
    body = bytearray()
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage), event
    return Reparsed(request.method, request.target, bytes(body)), connection.trailing_data[0]

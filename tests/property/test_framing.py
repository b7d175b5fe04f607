"""A chunked body means the same however it was cut, and what h11 makes of it."""

import h11
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from proxy.errors import BadRequestError
from proxy.wire.framing import ChunkedBody, SizedBody, chunk, last_chunk
from tests.support.messy import cut, cuts, mutated
from tests.support.reparsing import requests_in

PIECES = st.lists(st.binary(min_size=1, max_size=20), max_size=5)
EXTENSIONS = st.sampled_from([b"", b";a", b";a=b;c", b';a="q"'])
TRAILERS = st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: 1\r\nB:\r\n"])
LINE = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A chunked body, and its payload."""
    pieces = draw(PIECES)
    sizes = [b"%x" if draw(st.booleans()) else b"00%X" for _ in pieces]
    coded = [
        size % len(piece) + draw(EXTENSIONS) + b"\r\n" + piece + b"\r\n"
        for size, piece in zip(sizes, pieces, strict=True)
    ]
    return b"".join(coded) + b"0\r\n" + draw(TRAILERS) + b"\r\n", b"".join(pieces)


def verdict(pieces: list[bytes]) -> object:
    """Payload, trailers and rest of a body; or that it is broken, or not over."""
    body = ChunkedBody(BadRequestError)
    payload = bytearray()
    left = list(pieces)
    try:
        while left and not body.done:
            payload += body.take(left.pop(0))
    except BadRequestError:
        return "broken"
    return bytes(payload), body.trailers, body.rest + b"".join(left), body.done


def by_h11(octets: bytes) -> bytes:
    """The payload of the one request with this body, as h11 reads it."""
    (found,) = requests_in(LINE + octets)
    return found.body


@settings(deadline=None, max_examples=200)
@given(chunked(), cuts, st.binary(max_size=5))
def test_body_is_what_h11_makes_of_it_however_it_is_cut(
    body: tuple[bytes, bytes], places: list[int], behind: bytes
) -> None:
    octets, payload = body

    whole = verdict([octets + behind])

    assert isinstance(whole, tuple)
    assert (whole[0], whole[2], whole[3]) == (payload, behind, True)
    assert by_h11(octets) == payload
    assert verdict(cut(octets + behind, places)) == whole


@settings(deadline=None, max_examples=300)
@given(mutated(chunked().map(lambda body: body[0])), cuts)
def test_odd_body_means_the_same_however_it_is_cut(octets: bytes, places: list[int]) -> None:
    assume(octets)

    whole = verdict([octets])

    assert verdict(cut(octets, places)) == whole
    assert verdict(cut(octets, list(range(len(octets))))) == whole


@settings(deadline=None, max_examples=300)
@given(mutated(chunked().map(lambda body: body[0])))
def test_body_that_is_taken_is_taken_alike_by_h11(octets: bytes) -> None:
    assume(octets)

    taken = verdict([octets])

    if isinstance(taken, tuple) and taken[3]:
        try:
            theirs = by_h11(octets[: len(octets) - len(taken[2])])
        except h11.RemoteProtocolError:
            return  # stricter still
        assert theirs == taken[0]


@settings(deadline=None, max_examples=100)
@given(PIECES, TRAILERS.map(lambda lines: lines.split(b"\r\n")[:-1]))
def test_what_is_written_is_read_back(pieces: list[bytes], trailers: list[bytes]) -> None:
    octets = b"".join(chunk(piece) for piece in pieces) + last_chunk(trailers)

    assert verdict([octets]) == (b"".join(pieces), trailers, b"", True)


@settings(deadline=None, max_examples=100)
@given(st.binary(min_size=1, max_size=40), st.integers(0, 40), cuts)
def test_sized_body_is_the_first_bytes_however_they_are_cut(
    octets: bytes, length: int, places: list[int]
) -> None:
    assume(length <= len(octets))
    body, payload, rest = SizedBody(length), b"", b""

    for piece in cut(octets, places):
        if body.done:
            rest += piece
        else:
            payload += body.take(piece)
            rest += body.rest

    assert (payload, rest) == (octets[:length], octets[length:])

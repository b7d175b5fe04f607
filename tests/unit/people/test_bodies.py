import pytest

from proxy.people.bodies import sink_for
from proxy.people.output import STDERR, STDOUT, Look, Output
from proxy.people.tables import Sheet


def shown(pieces: list[bytes], headers: dict[str, str], *, terminal: bool = True) -> list[bytes]:
    """What came to each stream."""
    written = {STDOUT: b"", STDERR: b""}

    def write(stream: int, octets: bytes) -> None:
        written[stream] += octets

    output = Output(Look(terminal, terminal, False, Sheet(80, colour=False)), write)  # noqa: FBT003 - a tuple's field
    sink = sink_for(headers, output)
    for piece in pieces:
        sink.take(piece)
    sink.end()
    return [written[STDOUT], written[STDERR]]


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "image/png"])
def test_a_pipe_gets_every_octet_as_it_was(kind: str) -> None:
    octets = bytes(range(256))

    found = shown([octets[:100], octets[100:]], {"Content-Type": kind}, terminal=False)

    assert found == [octets, b""]


def test_json_cut_anywhere_is_laid_out() -> None:
    pieces = [b'{"a', b'":"\xc5', b'\xbe"}']

    found = shown(pieces, {"Content-Type": "application/json; charset=utf-8"})

    assert found == ['{\n  "a": "ž"\n}\n'.encode(), b""]


def test_what_is_no_json_is_shown_as_text() -> None:
    assert shown([b'{"a\x1b'], {"Content-Type": "application/json"}) == [b'{"a\\u001b\n', b""]


def test_json_beyond_reading_is_shown_as_it_comes() -> None:
    row = b'{"a": 1},'

    found = shown([b"["] + [row * 1000] * 200 + [b"7]"], {"Content-Type": "application/json"})

    assert found == [b"[" + row * 200_000 + b"7]\n", b""]


def test_text_cut_within_a_letter_is_whole() -> None:
    assert shown([b"\xc5", b"\xbe\n"], {"Content-Type": "text/plain"}) == ["ž\n".encode(), b""]


def test_text_that_is_no_utf_8_says_so() -> None:
    assert shown([b"a\xff", b"\xc5"], {}) == ["a\ufffd\ufffd\n".encode(), b""]


def test_nothing_is_nothing() -> None:
    assert shown([], {"Content-Type": "application/json"}) == [b"", b""]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "image/png"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
    ids=["picture", "packed"],
)
def test_octets_are_counted_and_not_shown(headers: dict[str, str]) -> None:
    out, told = shown([b"\x1b[2J", b"\x00"], headers)

    assert (out, told.startswith(b"5 bytes of ")) == (b"", True)

import pytest

from benchmarks.dropin import frames


def test_the_answer_accepts_the_key_as_the_standard_has_it() -> None:
    # RFC 6455, 1.3
    answer = frames.switched(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")

    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" in answer


def test_a_request_without_a_key_opens_nothing() -> None:
    assert frames.switched(b"GET /health HTTP/1.1\r\nHost: a") is None


def test_what_opens_one_is_accepted() -> None:
    assert frames.switched(frames.opening("/ws")) is not None


def test_a_server_says_the_agreed_text_plainly_and_a_caller_masked() -> None:
    # RFC 6455, 5.7, in another text
    assert frames.message(3, masked=False) == b"\x81\x03xxx"
    assert frames.message(3, masked=True) == b"\x81\x83\x37\xfa\x21\x3d\x4f\x82\x59"


@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize("payload_bytes", [0, 32, 125, 126, 16 * 1024, 65535, 65536])
def test_a_frame_says_its_own_size(payload_bytes: int, *, masked: bool) -> None:
    frame = frames.message(payload_bytes, masked=masked)

    assert frames.sizes(frame) == (len(frame), payload_bytes)


@pytest.mark.parametrize("octets", [b"", b"\x81", b"\x81\x7e\x40"], ids=["nothing", "one", "short"])
def test_no_size_is_known_before_it_is_there(octets: bytes) -> None:
    assert frames.sizes(octets) is None


def test_a_goodbye_is_told_from_a_message() -> None:
    goodbye, message = frames.close(masked=True), frames.message(3, masked=True)

    assert [frames.opcode(each) == frames.CLOSE for each in (goodbye, message)] == [True, False]

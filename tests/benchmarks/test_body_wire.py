import os
import socket
from collections.abc import Iterator

import orjson
import pytest

from benchmarks.body_wire import BODY_BYTES, Head, Stream, body_file


@pytest.fixture
def ends() -> Iterator[tuple[Stream, socket.socket]]:
    """Two ends of a TCP connection: only there can the kernel discard what arrives."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
    with near, far:
        yield Stream(near), far


def test_a_head_is_read_with_what_came_of_the_body(ends: tuple[Stream, socket.socket]) -> None:
    stream, far = ends
    far.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel")

    assert stream.head() == Head("HTTP/1.1 200 OK", 5, 3)


def test_the_end_of_the_connection_is_no_head(ends: tuple[Stream, socket.socket]) -> None:
    stream, far = ends
    far.close()

    assert stream.head() is None


def test_after_a_forgotten_body_comes_the_next_message(ends: tuple[Stream, socket.socket]) -> None:
    stream, far = ends
    far.sendall(b"POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nab")
    first = stream.head()
    assert first is not None
    far.sendall(b"cdGET /b HTTP/1.1\r\n\r\n")

    stream.discard(first)

    assert stream.head() == Head("GET /b HTTP/1.1", 0, 0)


def test_a_body_that_breaks_off_is_an_error(ends: tuple[Stream, socket.socket]) -> None:
    stream, far = ends
    far.sendall(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n")
    head = stream.head()
    assert head is not None
    far.close()

    with pytest.raises(OSError, match="4 bytes before its end"):
        stream.discard(head)


def test_the_body_is_json_of_the_size_that_is_promised() -> None:
    file = body_file()

    content = os.pread(file, BODY_BYTES + 1, 0)
    os.close(file)

    assert len(content) == BODY_BYTES
    assert list(orjson.loads(content)) == ["data"]

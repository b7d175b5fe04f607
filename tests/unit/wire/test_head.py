"""Facts about heads as values."""

from proxy.wire.head import ResponseHead
from tests.support.heads import read_request


def test_heads_show_what_they_are() -> None:
    request = read_request(b"POST /x%e9 HTTP/1.0\r\n\r\n")
    response = ResponseHead(404, b"404 Not Found", b"", {}, 0, True)  # noqa: FBT003

    assert (repr(request), repr(response)) == ("<RequestHead POST /x%e9>", "<ResponseHead 404>")

"""Strategies for messages: good ones, odd ones, and every way of cutting them."""

from itertools import pairwise

from hypothesis import strategies as st

METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"]
_NAMES = [b"Accept", b"X-A", b"x-b", b"Cookie", b"Authorization", b"X_Y", b"Via", b"TE", b"Upgrade"]
_NAMES += [b"Keep-Alive", b"Forwarded", b"X-Forwarded-For", b"X-Request-Id", b"X-Chora-Trace-Id"]
_NAMES += [b"traceparent", b"tracestate", b"Content-Type", b"Origin", b"Expect", b"Max-Forwards"]
_NAMES += [b"Connection", b"Set-Cookie", b"Date", b"Server", b"Trailer", b"Proxy-Authorization"]
_WORDS = [
    b"",
    b"a",
    b"close",
    b"keep-alive, x-a",
    b"x-b, cookie",
    b"00-" + b"1" * 32,
    b"5",
    b"\x80",
]
_WORDS += [
    b"traceparent, via, host, content-length, transfer-encoding",
    b"a\tb",
    b'"q"',
    b"100-continue",
]

values = st.sampled_from(_WORDS) | st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=12
).map(lambda text: text.encode("latin-1"))
fields = st.lists(
    st.builds(lambda name, value: name + b": " + value, st.sampled_from(_NAMES), values), max_size=6
)
_paths = st.lists(
    st.sampled_from([b"a", b"b.c", b"..", b"%2f", b";x", b"?q=1", b"//", b"%E2%82", b"~"]),
    max_size=4,
).map(lambda parts: b"/" + b"/".join(parts))
_framings = st.sampled_from(
    [
        (b"", b""),
        (b"Content-Length: 5\r\n", b"hello"),
        (b"Content-Length: 0\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """The head of a request that is well-formed (though Host or a field may disagree); its body."""
    line = b"%b %b HTTP/1.%d" % (
        draw(st.sampled_from(METHODS)),
        draw(_paths),
        draw(st.integers(0, 1)),
    )
    framing, body = draw(_framings)
    host = draw(st.sampled_from([b"a", b"a:80", b"[::1]:8080"]))
    lines = [line, b"Host: " + host, *draw(fields)]
    return b"\r\n".join(lines) + b"\r\n" + framing + b"\r\n", body


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """The head of an answer that is well-formed, and its body."""
    reason = draw(st.sampled_from([b" OK", b" ", b"", b" \x80 really"]))
    status = draw(st.sampled_from([200, 201, 204, 206, 301, 304, 404, 500, 599]))
    framing, body = draw(_framings)
    lines = [b"HTTP/1.1 %d%b" % (status, reason), *draw(fields)]
    if status in {204, 304}:
        framing, body = b"", b""
    return b"\r\n".join(lines) + b"\r\n" + framing + b"\r\n", body


_INSERTED = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\x00",
    b" ",
    b"\t",
    b":",
    b",",
    b"\xff",
    b"HTTP/1.1",
    b"chunked",
]
_INSERTED += [
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: b\r\n",
    b"#",
    b";",
]


@st.composite
def mutated(draw: st.DrawFn, messages: st.SearchStrategy[bytes]) -> bytes:
    """A message in which a few bytes were put, changed or lost."""
    octets = draw(messages)
    for _ in range(draw(st.integers(0, 3))):
        at, lost = draw(st.integers(0, len(octets))), draw(st.integers(0, 2))
        put = draw(st.sampled_from(_INSERTED) | st.binary(max_size=2))
        octets = octets[:at] + put + octets[at + lost :]
    return octets


def cut(octets: bytes, at: list[int]) -> list[bytes]:
    """The bytes in non-empty pieces, cut where the numbers say."""
    places = sorted({0, len(octets), *(place % (len(octets) + 1) for place in at)})
    return [octets[a:b] for a, b in pairwise(places)]


cuts = st.lists(st.integers(0, 400), max_size=6)

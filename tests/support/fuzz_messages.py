"""Messages drawn at random by a grammar: valid ones of every kind, each unlike the others.

All chance comes from one `random.Random`, so that a seed says everything.
"""

import random
from typing import Final

from tests.support.messages import message

_METHODS: Final = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND")
_TOOLS: Final = (b"/tools/f.call", b"/tools/f.call", b"/tools/f.dotted.name", b"/tools/f.own")
_OWN_PATHS: Final = (
    *(b"/livez", b"/readyz", b"/health", b"/tools", b"/nope", b"/"),
    *(b"/tools/f.none", b"/tools/f", b"/servers/x/a", b"/servers/f"),
)
_SEGMENTS: Final = (
    b"a",
    b"b.c",
    b"early",
    b"chunked",
    b";x=1",
    b"",
    b"%E2%82%AC",
    b"~",
    b"a:b@c",
    b"!$&'()*+,=",
    b"..a",
    b"%41",
)
_QUERIES: Final = (b"", b"&q=/../", b"&x=%00", b"&a=b;c", b"&?=?", b"&http://h/", b"&%", b'&"<>')
_FIELDS: Final = (
    b"Accept: */*",
    b"accept-encoding:gzip",
    b"Accept-Language:  de, en;q=0.5  ",
    b"User-Agent: fuzz/1.0 (a; b)",
    b"Content-Type: application/json",
    b"Content-Encoding: gzip",
    b"Range: bytes=0-1",
    b"If-None-Match: *",
    b"X-Empty:",
    b"X-Tab:\ta\tb\t",
    b"X-Text: \x80\xff",
    b'X-Quoted: "a, b"; c="\\""',
    b"!#$%&'*+-.^`|~: token",
    b"X-Colons: a:b::c",
    b"Cookie: a=b; c=d",
    b"Authorization: Basic YTpi",
    b"X-API-Key: secret",
    b"X_Underscore: 1",
    b"X-Forwarded-For: 10.0.0.1",
    b"X-Forwarded-Host: elsewhere",
    b"Forwarded: for=10.0.0.1",
    b"Via: 1.0 fred, 1.1 p.example",
    b"X-Request-Id: mine-1",
    b"X-Chora-Trace-Id: workflow-abc",
    b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b"tracestate: a=1,b=2",
    b"Keep-Alive: timeout=5",
    b"Proxy-Connection: keep-alive",
    b"Proxy-Authorization: Basic YTpi",
    b"TE: trailers, gzip",
    b"Trailer: X-Sum",
    b"Upgrade: h2c",
    b"HTTP2-Settings: AAMAAABkAAQAAP__",
    b"Max-Forwards: 5",
    b"Connection: keep-alive",
    b"Connection: X-Tab, TE",
    b"Connection: Content-Length, Host, X-Forwarded-For",
    b"Connection: x-empty, traceparent , , via",
    b"Request-Timeout: 20",
)
_PAYLOADS: Final = (b"", b"{}", b'{"a": "b"}', b"\r\n\r\n", b"0\r\n\r\n", b"\x00\xff" * 9)
_EXTENSIONS: Final = (b"", b"", b"", b";a", b";a=b;c", b';a="q\\";"', b"; a = b", b";")
_TRAILERS: Final = (b"", b"", b"X-Sum: 1\r\n", b"A: 1\r\nB:\r\n", b"Host: b\r\nX-T: \x80\r\n")


def seeded(seed: int) -> random.Random:
    """All chance of one run."""
    return random.Random(seed)  # noqa: S311 - a failure must come again with its seed


class Messages:
    """Makes valid requests. `number` goes into each target, so that no two are alike."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self._number = 0

    def request(self) -> bytes:
        """A request that the sidecar must take; some of them for no tool."""
        method, target = self._asked()
        host = b"Host: %b" % self._host(target)
        if self._rarely():
            line = b"%b %b HTTP/1.0" % (method, target)
            return message(line, host, b"Connection: keep-alive")
        framing, body = self._framed(method)
        lines = [host, *self.fields(), *framing]
        self.chance.shuffle(lines)
        return message(b"%b %b HTTP/1.1" % (method, target), *lines, body=body)

    def fields(self) -> list[bytes]:
        most = 30 if self.chance.random() < 0.05 else 6
        return self.chance.sample(_FIELDS, k=self.chance.randrange(most + 1))

    def _framed(self, method: bytes) -> tuple[list[bytes], bytes]:
        """The framing's field lines, and the body."""
        drawn = self.chance.random()
        if drawn < (0.9 if method in {b"GET", b"HEAD"} else 0.3):
            return [], b""
        payload = self.chance.choice(_PAYLOADS)
        expectation = [b"Expect: 100-continue"] if self._rarely() else []
        if self.chance.random() < 0.5:
            return [b"Content-Length: %d" % len(payload), *expectation], payload
        return [b"Transfer-Encoding: chunked", *expectation], self.chunked(payload)

    def chunked(self, payload: bytes) -> bytes:
        """The payload in chunks, with extensions and trailers."""
        chance = self.chance
        size = chance.choice((1, 4, 1000))
        pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
        coded = [
            chance.choice((b"%x", b"%X", b"00%x")) % len(piece)
            + chance.choice(_EXTENSIONS)
            + b"\r\n%b\r\n" % piece
            for piece in pieces
        ]
        end = b"0%b\r\n%b\r\n" % (chance.choice(_EXTENSIONS), chance.choice(_TRAILERS))
        return b"".join(coded) + end

    def marked(self) -> bytes:
        """A plain request, as somebody would smuggle it."""
        self._number += 1
        return b"GET /servers/f/marked?n=%d HTTP/1.1\r\nHost: a\r\n\r\n" % self._number

    def _asked(self) -> tuple[bytes, bytes]:
        chance = self.chance
        self._number += 1
        query = b"?n=%d%b" % (self._number, chance.choice(_QUERIES))
        drawn = chance.random()
        if drawn < 0.5:
            return b"POST", chance.choice(_TOOLS) + query
        if drawn < 0.6:
            return chance.choice(_METHODS), chance.choice(_OWN_PATHS) + query
        path = b"/".join(chance.choices(_SEGMENTS, k=chance.randrange(4)))
        target = b"/servers/f/" + path + query
        if drawn < 0.66:
            target = b"HTTP://a.example:80" + target
        return chance.choice(_METHODS), target

    def _host(self, target: bytes) -> bytes:
        if target[:1] != b"/":
            return b"A.example:80"
        return self.chance.choice((b"a", b"localhost:8080", b"[::1]:80", b"a.example"))

    def _rarely(self) -> bool:
        return self.chance.random() < 0.1

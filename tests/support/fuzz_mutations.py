"""Ways to make a good message odd, each a function of chance and bytes."""

import random
import re
from collections.abc import Callable
from typing import Final

Mutation = Callable[[random.Random, bytes], bytes]

_ODD_BYTES: Final = (
    *(b"\r", b"\n", b"\r\n", b"\x00", b" ", b"\t", b":", b",", b";", b"#", b"%", b"\\"),
    *(b"\x0b", b"\x0c", b"\x1f", b"\x7f", b"\x80", b"\x85", b"\xa0", b"\xff", b"_", b'"', b"/"),
    *(b"HTTP/1.1", b"chunked", b"\r\n\r\n", b"0\r\n\r\n", b"\xe2\x80\xa8", b"\xef\xbb\xbf"),
)
_LINE_ENDS: Final = (
    *(b"\r", b"\n", b"\r\r\n", b"\n\r", b"\r\n\n", b" \r\n", b"\x00\r\n", b"\r\x00\n", b"\x0b"),
    *(b"\r\n ", b"\r\n\t", b"\r\n \r\n", b"\n ", b"\r ", b"\\r\\n", b"\xe5\x98\x8d\xe5\x98\x8a"),
)
_CODINGS: Final = (
    *(b"chunked", b"Chunked", b"CHUNKED", b"chunked ", b"\tchunked", b"xchunked", b"chunkedx"),
    *(b"chunked, identity", b"identity, chunked", b"identity", b"gzip, chunked", b"chunked, gzip"),
    *(b"chunked, chunked", b",chunked", b"chunked,", b"chunked;a=b", b'"chunked"', b"'chunked'"),
    *(
        b"\x0bchunked",
        b"\x0cchunked",
        b"chunked\x0b",
        b"chunked\x00",
        b"\x00chunked",
        b"chunked\x85",
    ),
    *(b"\xa0chunked", b"ch\xc3\xbcnked", b"chunk ed", b"chunked\r\n ", b"chun\rked", b"cow", b""),
)
# `@` stands for the number that was there.
_LENGTHS: Final = (
    *(
        b"0",
        b"1",
        b"@0",
        b"+@",
        b"-@",
        b"-0",
        b"0@",
        b"000@",
        b"@ ",
        b" @",
        b"@\t",
        b"@,@",
        b"@, @",
    ),
    *(b"@, 6", b",@", b"@,", b"0x@", b"@.0", b"@e0", b"0_@", b"\xef\xbc\x95", b"\xb2", b'"@"'),
    *(b"@;a=b", b"", b"five", b"1 @", b"\x0b@", b"@\x00", b"18446744073709551621", b"9" * 18),
    *(b"9" * 19, b"9" * 400, b"0000000000000000000000@", b"2147483648", b"4294967301", b"@\x0c"),
)
_LINES: Final = (
    *(b"Host: b", b"Host:", b"Host: a, b", b"Host: a b", b"Host: a/b", b"Host: a@b", b"Host : a"),
    *(b"Connection: close", b"Connection: Content-Length", b"Connection: Transfer-Encoding, close"),
    *(b"Connection: Upgrade\r\nUpgrade: websocket", b"Connection: keep-alive, close, Host"),
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    *(b"Expect: 100-continue", b"Expect: y 100-continue", b"Expect: 100-continue, x", b"Expect: x"),
    *(b"Expect:\r\n 100-continue", b"Expect: 100-continue\x85", b"Expect : 100-continue"),
    *(b"Transfer_Encoding: chunked", b"Content_Length: 5", b"Transfer-Encoding", b": chunked"),
    *(
        b"Transfer-Encoding\t: chunked",
        b" Transfer-Encoding: chunked",
        b"Transfer-Encoding;chunked",
    ),
    *(
        b"X: y\rTransfer-Encoding: chunked",
        b"X: y\nContent-Length: 5",
        b"X: y\x00Content-Length: 5",
    ),
    *(
        b"Transfer-Encoding: chunked\nX: y",
        b"\x00Transfer-Encoding: chunked",
        b"X\x00: y",
        b"\xff: x",
    ),
    *(b"Transfer\xad-Encoding: chunked", b"Trans\xc3\xa9: chunked", b"(X): y", b"X@Y: z", b"@: y"),
    *(b"Request-Timeout: x", b"Max-Forwards: 0", b"Origin: http://evil.example", b"TE: chunked"),
    *(b"X-Forwarded-Proto: x", b"X-Forwarded-For: 1\r\nX-Forwarded-For: 2", b"traceparent: x"),
    *(
        b"X-HTTP-Method-Override: PUT",
        b"X-Original-URL: /admin",
        b"Range: bytes=0-",
        b"Content-MD5:",
    ),
    b"Content-Length: 5\r\nContent-Length: 6",
    b"X: " + b"a" * 5000,
)
_TARGETS: Final = (
    *(b"/servers/f/../x", b"/servers/f/%2e%2e/x", b"/servers/f/..;/x", b"/servers/f\\x", b"*"),
    *(b"/servers/f/%2fx", b"/servers/f/a#b", b"/servers/f/a b", b"/servers/f/\x80", b"//evil/x"),
    *(b"http://b/servers/f/x", b"http://a@b/servers/f/x", b"http:///x", b"https://a/servers/f/x"),
    *(b"servers/f/x", b"a:80", b"/tools/f.call%00", b"/tools/f.call/", b"/tools//f.call", b"/"),
    *(b"/tools/f.call;x", b"/tools/f", b"/tools/", b"/servers/f", b"/servers/f?x", b"", b"\x00"),
    *(b"ftp://a/servers/f/x", b"http://a/servers/f/x", b"/servers/f/" + b"a" * 9000, b"/?" + b"\t"),
)
_METHODS: Final = (
    *(b"get", b"GE T", b"", b" GET", b"G\x00T", b"CONNECT", b"TRACE", b"PRI", b"FOO", b"GET/"),
    *(b"PO\xc3\x96ST", b"X" * 30, b"GET\t", b"G=T", b"\r\nGET", b"\nGET", b"SOURCE", b"DESCRIBE"),
)
_VERSIONS: Final = (
    *(b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.2", b"HTTP/1.9", b"HTTP/1.10", b"HTTP/01.1"),
    *(b"http/1.1", b"HTTP/1,1", b"HTTP/1.1 ", b" HTTP/1.1", b"HTTP/1.1x", b"HTTP/", b"", b"HTTP/3"),
    *(
        b"HTTP/1.1\tx",
        b"HTTP 1.1",
        b"HTTPS/1.1",
        b"ICE/1.0",
        b"RTSP/1.0",
        b"HTTP/1.",
        b"HTTP/\xb9.1",
    ),
)
_SIZES: Final = (
    *(b"0x@", b"+@", b"-@", b"-0", b" @", b"@ ", b"@\t", b"0@", b"0" * 20 + b"@", b"@;", b"@;a\nb"),
    *(b"@;a\rb", b"@\n", b"@\r", b"", b";", b"g", b"@g", b"@_", b"\xef\xbc\x95", b"@,", b"@\x00"),
    *(
        b"f" * 16,
        b"f" * 15,
        b"1" + b"0" * 16 + b"@",
        b"ffffffff",
        b"10000000@",
        b"@;" + b"a" * 5000,
    ),
    *(b'@;a="\r\n"', b"0", b"00", b"0;", b"@ ;a", b"\t@", b"\x0b@", b"@\x0b", b"@@", b"@;\x00"),
)
_PREFACES: Final = (
    *(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r"),
    *(
        b"GET /\r\n",
        b"GET /servers/f/x\r\n\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\x00",
        b"PROXY TCP4 1 2 3 4\r\n",
    ),
    *(b"HTTP/1.1 200 OK\r\n\r\n", b"POST / HTTP/1.1\r\n \r\n", b"\xef\xbb\xbf", b"\r\n" * 40, b" "),
)
_CRLF: Final = re.compile(rb"\r\n")
_FRAMING: Final = re.compile(rb"(?:content-length|transfer-encoding): ?([^\r]*)", re.IGNORECASE)
_SIZE: Final = re.compile(rb"(?<=\r\n)[0-9a-fA-F]+(?:;[^\r]*)?(?=\r\n)")
_REQUEST_LINE: Final = re.compile(rb"(?:\A|\n)(\S*) (\S*) (HTTP/1\.[01])")


def flip_bit(chance: random.Random, octets: bytes) -> bytes:
    at = chance.randrange(len(octets))
    return octets[:at] + bytes([octets[at] ^ (1 << chance.randrange(8))]) + octets[at + 1 :]


def put_odd_bytes(chance: random.Random, octets: bytes) -> bytes:
    at, lost = chance.randrange(len(octets) + 1), chance.choice((0, 0, 1, 2))
    return octets[:at] + chance.choice(_ODD_BYTES) + octets[at + lost :]


def lose_bytes(chance: random.Random, octets: bytes) -> bytes:
    at = chance.randrange(len(octets))
    return octets[:at] + octets[at + chance.choice((1, 1, 2, 8)) :]


def repeat_bytes(chance: random.Random, octets: bytes) -> bytes:
    at = chance.randrange(len(octets))
    end = min(len(octets), at + chance.choice((1, 2, 8, 60)))
    return octets[:end] + octets[at:end] * chance.choice((1, 1, 3)) + octets[end:]


def change_line_end(chance: random.Random, octets: bytes) -> bytes:
    return _replace_one(chance, _CRLF, octets, chance.choice(_LINE_ENDS))


def change_every_line_end(chance: random.Random, octets: bytes) -> bytes:
    return octets.replace(b"\r\n", chance.choice((b"\n", b"\r", b"\n\r")))


def loosen_colon(chance: random.Random, octets: bytes) -> bytes:
    colon = chance.choice((b" :", b"\t:", b"\x00:", b"\r\n:", b"\xa0:", b"::", b""))
    return _replace_one(chance, re.compile(b":"), octets, colon)


def add_line(chance: random.Random, octets: bytes) -> bytes:
    return _with_line(chance, octets, chance.choice(_LINES))


def repeat_line(chance: random.Random, octets: bytes) -> bytes:
    lines = octets.split(b"\r\n")
    return b"\r\n".join([*lines[:1], chance.choice(lines), *lines[1:]])


def add_framing(chance: random.Random, octets: bytes) -> bytes:
    """A second framing, or a first one that is wrong."""
    if chance.random() < 0.5:
        length = chance.choice(_LENGTHS).replace(b"@", b"5")
        return _with_line(chance, octets, b"Content-Length: " + length)
    return _with_line(chance, octets, b"Transfer-Encoding: " + chance.choice(_CODINGS))


def change_framing(chance: random.Random, octets: bytes) -> bytes:
    matched = _FRAMING.search(octets)
    if matched is None:
        return add_framing(chance, octets)
    value = chance.choice(_LENGTHS if matched[0][:1] in b"cC" else _CODINGS)
    value = value.replace(b"@", matched[1])
    return octets[: matched.start(1)] + value + octets[matched.end(1) :]


def change_size(chance: random.Random, octets: bytes) -> bytes:
    """Of a chunk, where there is one."""
    sizes = list(_SIZE.finditer(octets))
    if not sizes:
        return octets
    matched = chance.choice(sizes)
    size = chance.choice(_SIZES).replace(b"@", matched[0])
    return octets[: matched.start()] + size + octets[matched.end() :]


def change_request_line(chance: random.Random, octets: bytes) -> bytes:
    matched = _REQUEST_LINE.search(octets)
    if matched is None:
        return octets
    part = chance.randrange(3)
    odd = chance.choice((_METHODS, _TARGETS, _VERSIONS)[part])
    return octets[: matched.start(part + 1)] + odd + octets[matched.end(part + 1) :]


def put_in_front(chance: random.Random, octets: bytes) -> bytes:
    return chance.choice(_PREFACES) + octets


def cut_short(chance: random.Random, octets: bytes) -> bytes:
    return octets[: chance.randrange(1, len(octets) + 1)]


def swell(chance: random.Random, octets: bytes) -> bytes:
    """Beyond a limit: of the head's bytes, or of its fields."""
    lines = chance.choice((b"X: %b\r\n" % (b"a" * 33_000), b"X: y\r\n" * 130, b"a:\r\n" * 120))
    return _with_line(chance, octets, lines[:-2])


MUTATIONS: Final[tuple[Mutation, ...]] = (
    *(flip_bit, put_odd_bytes, lose_bytes, repeat_bytes, change_line_end, change_line_end),
    *(change_every_line_end, loosen_colon, add_line, add_line, add_framing, add_framing),
    *(change_framing, change_framing, change_size, change_size, change_request_line),
    *(put_in_front, cut_short, repeat_line),
)
_SELDOM: Final = 0.005


def mutated(chance: random.Random, octets: bytes) -> bytes:
    """The message after one to three mutations; never empty."""
    if chance.random() < _SELDOM:
        octets = swell(chance, octets)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        octets = chance.choice(MUTATIONS)(chance, octets) or b"\x00"
    return octets


def _replace_one(
    chance: random.Random, pattern: re.Pattern[bytes], octets: bytes, by: bytes
) -> bytes:
    places = [matched.span() for matched in pattern.finditer(octets)]
    if not places:
        return octets
    start, end = chance.choice(places)
    return octets[:start] + by + octets[end:]


def _with_line(chance: random.Random, octets: bytes, line: bytes) -> bytes:
    head_bytes = octets.find(b"\r\n\r\n") + 2
    places = [matched.end() for matched in _CRLF.finditer(octets, 0, max(2, head_bytes))]
    at = chance.choice(places) if places else 0
    return octets[:at] + line + b"\r\n" + octets[at:]

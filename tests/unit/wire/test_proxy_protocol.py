"""Facts about the PROXY protocol: where a header ends, whom it brings, and what is none."""

import ipaddress
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.proxy_protocol import MOST_BYTES, BadHeaderError, Header, read_header

START_2 = b"\r\n\r\n\x00\r\nQUIT\n"
BEHIND = b"GET / HTTP/1.1\r\n\r\n"


def version_2(kind: int, addresses: bytes, *, command: int = 0x21, more: bytes = b"") -> bytes:
    body = addresses + more
    return START_2 + bytes([command, kind]) + struct.pack("!H", len(body)) + body


V4 = socket.inet_aton("10.0.0.7") + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 4711, 443)
V6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + struct.pack("!HH", 4711, 443)
)
PATHS = b"/a".ljust(108, b"\0") + b"/b".ljust(108, b"\0")
TLV = b"\x04\x00\x03abc"
GOOD = [
    pytest.param(b"PROXY TCP4 10.0.0.7 10.0.0.1 4711 443\r\n", ("10.0.0.7", 4711), id="v1-4"),
    pytest.param(b"PROXY TCP6 2001:db8::7 ::1 0 65535\r\n", ("2001:db8::7", 0), id="v1-6"),
    pytest.param(b"PROXY UNKNOWN\r\n", None, id="v1-unknown"),
    pytest.param(b"PROXY UNKNOWN ffff:: ::1 1 2\r\n", None, id="v1-unknown-with-more"),
    pytest.param(version_2(0x11, V4), ("10.0.0.7", 4711), id="v2-4"),
    pytest.param(version_2(0x21, V6, more=TLV), ("2001:db8::7", 4711), id="v2-6-extended"),
    pytest.param(version_2(0x31, PATHS), "", id="v2-unix"),
    pytest.param(version_2(0x12, V4), None, id="v2-datagrams"),
    pytest.param(version_2(0x00, b"", more=TLV), None, id="v2-unspecified"),
    pytest.param(version_2(0x00, b"", command=0x20), None, id="v2-local"),
    pytest.param(version_2(0xFF, b"any", command=0x20), None, id="v2-local-of-any-kind"),
    pytest.param(version_2(0x11, V4, command=0x20), None, id="v2-local-with-addresses"),
]


@pytest.mark.parametrize(("header", "source"), GOOD)
def test_header_ends_where_it_ends(header: bytes, source: object) -> None:
    assert read_header(header + BEHIND) == Header(len(header), source)  # type: ignore[arg-type]  # any of them


@pytest.mark.parametrize(("header", "source"), GOOD)
def test_any_part_of_a_header_asks_for_more(header: bytes, source: object) -> None:
    del source

    assert {read_header(header[:end]) for end in range(len(header))} == {None}


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (BEHIND, "does not begin"),
        (b"\x16\x03\x01", "does not begin"),
        (b"PROXY\t", "does not begin"),
        (START_2[:-1] + b"\r", "does not begin"),
        (b"PROXY TCP4 10.0.0.7 10.0.0.1 4711 443\n" + b"x" * 107, "does not end"),
        (b"PROXY " + b"x" * 101, "does not end"),
        (b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", "does not end"),
        (b"PROXY TCP4 10.0.0.7 10.0.0.1 4711\r\n", "malformed"),
        (b"PROXY TCP4  10.0.0.7 10.0.0.1 4711 443\r\n", "malformed"),
        (b"PROXY tcp4 10.0.0.7 10.0.0.1 4711 443\r\n", "malformed"),
        (b"PROXY TCP5 10.0.0.7 10.0.0.1 4711 443\r\n", "malformed"),
        (b"PROXY TCP4 10.0.0.7 10.0.0.1 4711 443 \r\n", "malformed"),
        (b"PROXY UNKNOWN \x00\r\n", "malformed"),
        (b"PROXY UNKNOWNS\r\n", "malformed"),
        (b"PROXY TCP4 10.0.0.256 10.0.0.1 4711 443\r\n", "address in its line is none"),
        (b"PROXY TCP4 10.0.0.7 10.0.0.01 4711 443\r\n", "address in its line is none"),
        (b"PROXY TCP4 ::1 10.0.0.1 4711 443\r\n", "another family"),
        (b"PROXY TCP6 ::1 10.0.0.1 4711 443\r\n", "another family"),
        (b"PROXY TCP4 10.0.0.7 10.0.0.1 65536 443\r\n", "port in its line is none"),
        (b"PROXY TCP4 10.0.0.7 10.0.0.1 4711 0443\r\n", "port in its line is none"),
        (version_2(0x11, V4, command=0x11), "version or command"),
        (version_2(0x11, V4, command=0x22), "version or command"),
        (version_2(0x13, V4), "kind of address"),
        (version_2(0x41, V4), "kind of address"),
        (version_2(0x11, V4[:-1]), "too short"),
        (version_2(0x21, V4), "too short"),
        (version_2(0x31, V6), "too short"),
        (version_2(0x11, V4, more=b"x" * MOST_BYTES)[:16], "longer than"),
    ],
)
def test_what_is_no_header_is_refused(sent: bytes, why: str) -> None:
    with pytest.raises(BadHeaderError, match=why):
        read_header(sent)


@given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", START_2]))
def test_anything_at_all_is_read_or_refused(rest: bytes, start: bytes) -> None:
    sent = start + rest
    try:
        header = read_header(sent)
    except BadHeaderError:
        return
    assert header is None or 0 < header.length <= len(sent)


KINDS = {4: 0x11, 6: 0x21}
ADDRESSES = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
)
PORTS = st.integers(0, 65535)


@given(ADDRESSES, PORTS, PORTS, st.binary(max_size=40))
def test_both_versions_say_the_same(
    ends: tuple[ipaddress.IPv4Address, ipaddress.IPv4Address],
    port: int,
    other_port: int,
    extension: bytes,
) -> None:
    source, destination = ends
    line = b"PROXY TCP%d %b %b %d %d\r\n" % (
        source.version,
        str(source).encode(),
        str(destination).encode(),
        port,
        other_port,
    )
    packed = source.packed + destination.packed + struct.pack("!HH", port, other_port)
    binary = version_2(KINDS[source.version], packed, more=extension)

    one, two = read_header(line + BEHIND), read_header(binary + BEHIND)

    assert one == Header(len(line), (str(source), port))
    assert two == Header(len(binary), (str(source), port))

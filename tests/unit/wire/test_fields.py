"""Facts about field names: which concern a proxy, and what becomes of them."""

import pytest

from proxy.wire.fields import (
    HOP_BY_HOP,
    Role,
    combined,
    kept_behind,
    name_of,
    one_visible,
    request_role,
    set_apart_request,
    set_apart_response,
    tokens,
    without,
    without_underscored,
)
from tests.support.messages import message
from tests.support.octets import EVERY, VISIBLE

GET = b"GET / HTTP/1.1"
OK = b"HTTP/1.1 200 OK"
Apart = tuple[bytes, dict[bytes, bytes]]


def of_request(*lines: bytes) -> Apart:
    return set_apart_request(message(GET, *lines), len(GET))


def of_answer(*lines: bytes) -> Apart:
    return set_apart_response(message(OK, *lines), len(OK))


# --- what becomes of a name ---


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_hop_by_hop_field_ends_here_both_ways(name: bytes) -> None:
    line = name.title() + b": v"

    found = (request_role(name.title()), of_request(line), of_answer(line))

    assert found == (Role.OURS, (b"", {name: b"v"}), (b"", {name: b"v"}))


@pytest.mark.parametrize(
    ("sent", "role"),
    [
        pytest.param(b"Host", Role.OURS, id="host"),
        pytest.param(b"Content-Length", Role.OURS, id="length"),
        pytest.param(b"expect", Role.OURS, id="expect"),
        pytest.param(b"Via", Role.OURS, id="via"),
        pytest.param(b"TraceParent", Role.OURS, id="traceparent"),
        pytest.param(b"Request-Timeout", Role.OURS, id="request-timeout"),
        pytest.param(b"Proxy-Anything", Role.OURS, id="proxy-prefix"),
        pytest.param(b"Proxy-", Role.OURS, id="proxy-prefix-alone"),
        pytest.param(b"X-Forwarded-Port", Role.OURS, id="forwarded-prefix"),
        pytest.param(b"X-Forwarded-A_B", Role.OURS, id="forwarded-prefix-and-underscore"),
        pytest.param(b"Origin", Role.READ, id="origin"),
        pytest.param(b"Access-Control-Request-Method", Role.READ, id="preflight"),
        pytest.param(b"AUTHORIZATION", Role.WITHHELD, id="authorization"),
        pytest.param(b"Cookie", Role.WITHHELD, id="cookie"),
        pytest.param(b"X-API-Key", Role.WITHHELD, id="api-key"),
        pytest.param(b"X_Forwarded_For", Role.UNDERSCORED, id="underscored"),
        pytest.param(b"Accept", None, id="end-to-end"),
        pytest.param(b"Content-Type", None, id="content-type"),
        pytest.param(b"X-Forwarded", None, id="not-quite-the-prefix"),
        pytest.param(b"Hostess", None, id="longer-than-a-name"),
        pytest.param(b"X-Host", None, id="ending-in-a-name"),
        pytest.param(b"T", None, id="shorter-than-a-name"),
    ],
)
def test_role_of_a_request_field_decides_where_its_line_goes(
    sent: bytes, role: Role | None
) -> None:
    line = sent + b": v"

    lines, noted = of_request(line)

    goes_on = role is None or role is Role.UNDERSCORED
    assert request_role(sent) is role
    assert (lines, noted) == ((b"\r\n" + line, {}) if goes_on else (b"", {sent.lower(): b"v"}))


@pytest.mark.parametrize(
    ("sent", "noted"),
    [
        pytest.param(b"Content-Length", True, id="length"),
        pytest.param(b"X-Request-ID", True, id="request-id"),
        pytest.param(b"Date", True, id="date"),
        pytest.param(b"Set-Cookie", False, id="set-cookie"),
        pytest.param(b"X_Y", False, id="underscored"),
        pytest.param(b"Via", False, id="via"),
        pytest.param(b"Proxy-Status", False, id="proxy-status"),
    ],
)
def test_answers_field_is_ours_or_goes_on(sent: bytes, *, noted: bool) -> None:
    line = sent + b": v"

    assert of_answer(line) == ((b"", {sent.lower(): b"v"}) if noted else (b"\r\n" + line, {}))


# --- what is set apart ---


def test_lines_that_go_on_keep_order_and_case_and_spaces() -> None:
    lines, noted = of_request(b"B: 1", b"Host: a", b"a:  2 ", b"TE: x", b"B:3")

    assert (lines, noted) == (b"\r\nB: 1\r\na:  2 \r\nB:3", {b"host": b"a", b"te": b"x"})


def test_head_without_fields_holds_nothing() -> None:
    assert (of_request(), of_answer()) == ((b"", {}), (b"", {}))


@pytest.mark.parametrize(
    ("lines", "noted"),
    [
        pytest.param([b"Via:v"], {b"via": b"v"}, id="no-space"),
        pytest.param([b"Via: \t v \t"], {b"via": b"v"}, id="spaces-around"),
        pytest.param([b"Via: a b"], {b"via": b"a b"}, id="space-inside"),
        pytest.param([b"Via:"], {b"via": b""}, id="empty"),
        pytest.param([b"Via:  "], {b"via": b""}, id="spaces-alone"),
        pytest.param([b"Via: a: b"], {b"via": b"a: b"}, id="colon-inside"),
        pytest.param([b"Via: a", b"vIA:b "], {b"via": b"a, b"}, id="repeated"),
        pytest.param([b"Host: a", b"Host: a"], {b"host": b"a, a"}, id="repeated-single-valued"),
        pytest.param([b"Cookie: a=1", b"cookie: b=2"], {b"cookie": b"a=1; b=2"}, id="cookies"),
        pytest.param([b"X: 1 ", b"Via: v"], {b"via": b"v"}, id="spaces-behind-another"),
    ],
)
def test_value_is_noted_without_its_spaces(lines: list[bytes], noted: dict[bytes, bytes]) -> None:
    assert of_request(*lines)[1] == noted


def test_name_inside_a_value_is_no_field() -> None:
    lines = (b"X: Host: b", b"Y: Content-Length: 5", b"Z: x, te: y")

    assert of_request(*lines) == (b"\r\n" + b"\r\n".join(lines), {})


def test_first_line_is_no_field() -> None:
    line = b"GET /Host: HTTP/1.1"

    assert set_apart_request(message(line, b"Via: v"), len(line)) == (b"", {b"via": b"v"})


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        pytest.param(b"\r\nA_B: 1\r\nC: 2", b"\r\nC: 2", id="first"),
        pytest.param(b"\r\nC: 2\r\nAB_: 1", b"\r\nC: 2", id="last"),
        pytest.param(b"\r\n_A: 1\r\n__: 2", b"", id="all"),
        pytest.param(b"\r\nA: b_c", b"\r\nA: b_c", id="in-a-value"),
        pytest.param(b"\r\nA: b\r\nC: d_e: f", b"\r\nA: b\r\nC: d_e: f", id="before-a-colon"),
        pytest.param(b"", b"", id="none"),
    ],
)
def test_underscored_lines_are_left_out(lines: bytes, left: bytes) -> None:
    assert without_underscored(lines) == left


def test_name_ends_at_the_first_colon() -> None:
    assert name_of(b"X-Y: a:b") == b"X-Y"


@pytest.mark.parametrize(
    ("value", "members"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b" , ,\t,", [], id="empty-members"),
        pytest.param(b"Close", [b"close"], id="case"),
        pytest.param(b"a ,\tb,,c d", [b"a", b"b", b"c d"], id="spaces"),
        pytest.param(b"\x0ba", [b"\x0ba"], id="other-control-bytes-are-not-space"),
    ],
)
def test_tokens_are_the_members_of_a_list(value: bytes, members: list[bytes]) -> None:
    assert tokens(value) == members


def test_without_compares_names_in_lower_case() -> None:
    lines = b"\r\nA: 1\r\nb: 2\r\nAB: 3\r\na: 4"

    assert without(lines, frozenset({b"a"})) == b"\r\nb: 2\r\nAB: 3"


def test_without_leaves_nothing_of_nothing() -> None:
    assert (without(b"", frozenset({b"a"})), without(b"\r\na: 1", frozenset({b"a"}))) == (b"", b"")


def test_one_visible_takes_visible_ascii_alone() -> None:
    taken = {octet for octet in EVERY if one_visible(bytes([octet]), 1)}

    assert taken == VISIBLE


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        pytest.param(b"", None, id="empty"),
        pytest.param(b"abc", b"abc", id="as-long-as-it-may"),
        pytest.param(b"abcd", None, id="longer"),
        pytest.param(b"a b", None, id="a-space-inside"),
        pytest.param(b"ab\n", None, id="a-newline-at-the-end"),
    ],
)
def test_one_visible_is_bounded(value: bytes, kept: bytes | None) -> None:
    assert one_visible(value, 3) == kept


def test_repeated_lines_are_combined_in_order_under_one_name() -> None:
    lines = b"\r\nUser-Agent: a/1\r\nX:1\r\nuser-agent: b/2"

    assert combined(lines) == b"\r\nuser-agent: a/1, b/2\r\nx: 1"


def test_lines_with_their_break_behind_lose_what_is_named() -> None:
    lines = b"A: 1\r\nb: 2\r\nC: 3\r\n"

    assert kept_behind(lines, frozenset({b"a", b"b"})) == b"C: 3\r\n"
    assert kept_behind(lines, frozenset({b"x"})) == lines
    assert kept_behind(lines, frozenset({b"a", b"b", b"c"})) == b""
    assert kept_behind(b"", frozenset({b"a"})) == b""

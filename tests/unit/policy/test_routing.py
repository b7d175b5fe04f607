"""Facts about routing: what a path names, and which paths stay closed."""

from dataclasses import dataclass, field

import pytest

from proxy.errors import ForbiddenError, NamespaceNotFoundError, ToolNotFoundError
from proxy.policy.routing import (
    match_passthrough,
    namespace_of,
    plain_path,
    tool_not_found,
)
from tests.support.octets import EVERY, put


@pytest.mark.parametrize(
    ("target", "detail"),
    [
        pytest.param(b"/tools/a.x?y", "Tool not found: a.x", id="with-a-dot"),
        pytest.param(
            b"/tools/ax",
            "Tool not found: ax (a tool is called as namespace.tool)",
            id="without-a-dot",
        ),
    ],
)
def test_missing_tool_is_named(target: bytes, detail: str) -> None:
    assert str(tool_not_found(target)) == detail


def test_namespace_ends_at_the_first_dot() -> None:
    assert (namespace_of(b"a.b.c"), namespace_of(b"a")) == (b"a", b"a")


@dataclass
class Server:
    """What routing asks of a server."""

    passthrough: bool | tuple[bytes, ...] = True
    guarded: str = ""
    tool_paths: frozenset[bytes] = field(
        default_factory=lambda: frozenset({plain_path(b"/tools/call")})
    )


def passed(target: bytes, server: Server | None = None) -> bytes:
    """What is passed on of a target under `/servers/s`."""
    only = server or Server()
    found, onward = match_passthrough({b"s": only}, target)
    assert found is only
    return onward


@pytest.mark.parametrize(
    ("target", "onward"),
    [
        pytest.param(b"/servers/s/a/b?c=/d", b"/a/b?c=/d", id="path-and-query"),
        pytest.param(b"/servers/s/", b"/", id="slash-alone"),
        pytest.param(b"/servers/s/?q", b"/?q", id="slash-and-query"),
        pytest.param(b"/servers/s/a?", b"/a?", id="empty-query"),
        pytest.param(b"/servers/s/a?b?c", b"/a?b?c", id="two-question-marks"),
        pytest.param(b"/servers/s//a", b"//a", id="two-slashes"),
        pytest.param(b"/servers/s/%41%00", b"/%41%00", id="escapes-stay"),
        pytest.param(b"/servers/s/a?x=../..%2f\\", b"/a?x=../..%2f\\", id="query-is-free"),
        pytest.param(b"/servers/s/.a/..b/c./d..", b"/.a/..b/c./d..", id="dots-in-names"),
        pytest.param(b"/servers/s/...", b"/...", id="three-dots"),
    ],
)
def test_path_is_passed_on_untouched(target: bytes, onward: bytes) -> None:
    assert passed(target) == onward


@pytest.mark.parametrize("target", [b"/servers/s", b"/servers/s?q", b"/servers/s?q=/x"], ids=repr)
def test_server_without_a_path_is_not_open(target: bytes) -> None:
    with pytest.raises(ToolNotFoundError, match="Not open: /;"):
        passed(target)


ESCAPES = {
    "dot-dot": b"/..",
    "dot-dot-inside": b"/a/../b",
    "dot": b"/./a",
    "dot-at-the-end": b"/a/.",
    "encoded-dots": b"/%2e%2E/a",
    "half-encoded-dots": b"/.%2e/a",
    "twice-encoded-dots": b"/%252e%252e/a",
    "thrice-encoded-dot": b"/%25252e/a",
    "dots-with-parameters": b"/..;x=y/a",
    "dots-with-encoded-parameters": b"/..%3bx/a",
    "backslash": b"/a\\b",
    "encoded-backslash": b"/a%5cb",
    "twice-encoded-backslash": b"/a%255Cb",
    "encoded-slash": b"/a%2fb",
    "twice-encoded-slash": b"/a%252Fb",
}


@pytest.mark.parametrize("path", ESCAPES.values(), ids=ESCAPES)
def test_way_out_of_the_base_path_is_not_open(path: bytes) -> None:
    with pytest.raises(ToolNotFoundError, match="Not open"):
        passed(b"/servers/s" + path)


TOOLS_OWN = {
    "itself": b"/tools/call",
    "slash-behind": b"/tools/call/",
    "two-slashes": b"//tools//call",
    "other-case": b"/Tools/CALL",
    "escaped-letter": b"/tools/c%61ll",
    "parameters": b"/tools/call;v=1",
    "query": b"/tools/call?x",
}


@pytest.mark.parametrize("path", TOOLS_OWN.values(), ids=TOOLS_OWN)
def test_tools_own_path_is_not_open(path: bytes) -> None:
    with pytest.raises(ToolNotFoundError, match="Not open"):
        passed(b"/servers/s" + path)


@pytest.mark.parametrize(
    ("path", "opened"),
    [
        pytest.param(b"/mcp", True, id="the-prefix"),
        pytest.param(b"/mcp/x", True, id="below-it"),
        pytest.param(b"/mcp?x", True, id="with-a-query"),
        pytest.param(b"/mcpx", False, id="more-letters"),
        pytest.param(b"/MCP", False, id="other-case"),
        pytest.param(b"/x/mcp", False, id="further-down"),
        pytest.param(b"", False, id="nothing"),
        pytest.param(b"/files/a", True, id="below-a-slash"),
        pytest.param(b"/files", False, id="above-a-slash"),
    ],
)
def test_prefixes_open_what_is_below_them(path: bytes, *, opened: bool) -> None:
    server = Server(passthrough=(b"/mcp", b"/files/"))
    target = b"/servers/s" + path

    if opened:
        assert passed(target, server) == path
    else:
        with pytest.raises(ToolNotFoundError, match="passthrough"):
            passed(target, server)


@pytest.mark.parametrize("passthrough", [False, ()], ids=["false", "no-prefix"])
def test_nothing_is_open_by_default(passthrough: bool | tuple[bytes, ...]) -> None:  # noqa: FBT001
    with pytest.raises(ToolNotFoundError, match="Not open: /;"):
        passed(b"/servers/s/", Server(passthrough=passthrough))


def test_guarded_server_refuses_to_be_gone_round() -> None:
    with pytest.raises(ForbiddenError, match="it has its reasons"):
        passed(b"/servers/s/a", Server(guarded="it has its reasons"))


@pytest.mark.parametrize(
    "target", [b"/servers/x/a", b"/servers/", b"/servers/S/a", b"/servers/?s/a"], ids=repr
)
def test_unknown_namespace_is_not_found(target: bytes) -> None:
    with pytest.raises(NamespaceNotFoundError, match="Namespace not found: "):
        passed(target)


def test_every_escape_of_one_octet_is_read_as_the_laxest_upstream_would() -> None:
    wrong = {
        octet
        for octet in EVERY - set(b";/")
        if plain_path(b"/a%%%02x" % octet) != plain_path(put(b"/a@@", octet)) and octet != ord("%")
    }

    assert wrong == set()


@pytest.mark.parametrize(
    "path",
    [
        b"/tools/call",
        b"//tools///call/",
        b"/TOOLS/Call",
        b"/tools;a=1/call;b",
        b"/%74ools/call",
        b"/%2574ools/call",
        b"/%252574ools/call",
        b"/tools/call%00.html",
    ],
)
def test_path_is_compared_as_the_laxest_upstream_might_read_it(path: bytes) -> None:
    assert plain_path(path) == b"/tools/call"

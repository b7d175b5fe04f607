"""Facts about the live table as calls see it: what a target names, and where it leads."""

import pytest

from proxy import errors
from proxy.config.settings import Settings
from proxy.registry.load import LoadRules, load
from proxy.registry.snapshot import LiveServer, Snapshot, succeed
from proxy.registry.surroundings import Surroundings
from tests.support.witness import Heard

AROUND = Surroundings(lambda _: "secret", lambda _: True, Heard())
A = "namespace: a, name: host-a, port: 81, tools: [{name: t}]"


def first(server: str) -> Snapshot:
    """A table of one server: what stands between the braces of its entry."""
    text = f"servers:\n- {{{server}}}\n".encode()
    *_, table = succeed(Snapshot(), load(text, "r.yaml", LoadRules.of(Settings()), {}), AROUND)
    return table


def only_server(snapshot: Snapshot) -> LiveServer:
    (server,) = snapshot.servers.values()
    return server


# --- tools ---


def test_tool_is_found_with_its_query() -> None:
    tool, query = first(A).tool_called(b"/tools/a.t?x=1")

    onward = tool.onward(tool.server.cluster.endpoints[0], query)

    assert (repr(tool), onward.method, onward.target, onward.lines) == (
        "<LiveTool a.t>",
        b"POST",
        b"/tools/t?x=1",
        b"Host: host-a:81\r\n",
    )


@pytest.mark.parametrize(
    ("target", "error"),
    [
        pytest.param(b"/tools/a.u", errors.ToolNotFoundError, id="tool"),
        pytest.param(b"/tools/a", errors.ToolNotFoundError, id="no-dot"),
        pytest.param(b"/tools/x.t", errors.NamespaceNotFoundError, id="namespace"),
    ],
)
def test_what_is_missing_is_named(target: bytes, error: type[errors.ProxyError]) -> None:
    with pytest.raises(error) as caught:
        first(A).tool_called(target)

    assert (type(caught.value), caught.value.status) == (error, 404)


def test_nothing_is_found_before_the_first_registry() -> None:
    with pytest.raises(errors.RegistryNotLoadedError):
        Snapshot().tool_called(b"/tools/a.t")
    with pytest.raises(errors.RegistryNotLoadedError):
        Snapshot().server_called(b"GET", b"/servers/a/x")


@pytest.mark.parametrize(
    ("target", "query"),
    [
        pytest.param(b"/tools/a.t", b"", id="plain"),
        pytest.param(b"/tools/a.t?x=/y?z", b"?x=/y?z", id="query"),
        pytest.param(b"/tools/a.t?", b"?", id="empty-query"),
        pytest.param(b"/tools/a.t/", None, id="slash-behind"),
        pytest.param(b"/tools/A.t", None, id="other-case"),
        pytest.param(b"/tools/a%2et", None, id="encoded-dot"),
        pytest.param(b"/tools/a.t;x", None, id="parameters"),
        pytest.param(b"/tools/a.t.u", None, id="longer"),
        pytest.param(b"/tools//a.t", None, id="slash-in-front"),
        pytest.param(b"/tools/", None, id="nothing"),
    ],
)
def test_tool_is_named_by_the_bytes_that_were_sent(target: bytes, query: bytes | None) -> None:
    snapshot = first(A)

    if query is not None:
        assert snapshot.tool_called(target) == (snapshot.tools[b"a.t"], query)
    else:
        with pytest.raises(errors.ToolNotFoundError):
            snapshot.tool_called(target)


def test_dotted_tool_is_told_from_its_namespace_at_the_first_dot() -> None:
    snapshot = first("namespace: a, name: n, port: 1, tools: [{name: b.c}, {name: b}]")

    names = [snapshot.tool_called(b"/tools/" + name)[0].tool_name for name in (b"a.b.c", b"a.b")]

    assert names == ["b.c", "b"]


def test_query_of_one_call_does_not_stay_with_the_tool() -> None:
    tool, _ = first(A).tool_called(b"/tools/a.t")
    endpoint = tool.server.cluster.endpoints[0]

    targets = [tool.onward(endpoint, query).target for query in (b"?x", b"", b"?y")]

    assert targets == [b"/tools/t?x", b"/tools/t", b"/tools/t?y"]


def test_tool_says_what_its_calls_may_do() -> None:
    snapshot = first(
        "namespace: a, name: n, port: 1, tools: [{name: t}, {name: u, idempotent: true}, "
        "{name: v, method: GET, path: /v}]"
    )

    facts = {
        tool.tool_name: (tool.method, tool.repeatable, tool.wants_object)
        for tool in snapshot.tools.values()
    }

    assert facts == {
        "t": (b"POST", False, True),
        "u": (b"POST", True, True),
        "v": (b"GET", True, False),
    }


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        pytest.param("http://h", b"h", id="default-port"),
        pytest.param("https://h", b"h", id="default-port-of-https"),
        pytest.param("http://h:443", b"h:443", id="other-port"),
        pytest.param('"http://[::1]:81"', b"[::1]:81", id="ipv6"),
        pytest.param('"unix:/run/x.sock"', b"host-a", id="socket"),
    ],
)
def test_host_is_the_endpoints(endpoint: str, host: bytes) -> None:
    snapshot = first(f"namespace: a, name: host-a, endpoints: [{endpoint}]")

    (endpoint_of_it,) = snapshot.endpoints()
    assert endpoint_of_it.host == host


# --- passthrough ---


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        pytest.param("tools: [{name: t}]", "", id="none"),
        pytest.param("tools: [{name: t, sensitivity_level: high}]", "sensitivity", id="high"),
        pytest.param("sensitivity_level: critical, tools: [{name: t}]", "sensitivity", id="server"),
        pytest.param("tools: [{name: t, rate: 1/s}]", "rate limit", id="rate"),
        pytest.param("rate: 1/s, tools: [{name: t}]", "rate limit", id="servers-rate"),
        pytest.param("authorized_teams: [x], tools: [{name: t}]", "teams", id="teams"),
        pytest.param(
            "tools: [{name: t, upstream_dependencies: {credentials_required: [K]}}]",
            "credentials",
            id="credentials",
        ),
        pytest.param(
            "upstream_dependencies: {credentials_required: [K]}, tools: [{name: t}]",
            "credentials",
            id="servers-credentials",
        ),
    ],
)
def test_passthrough_is_closed_where_rules_per_tool_are(rule: str, why: str) -> None:
    snapshot = first(f"namespace: a, name: n, port: 1, passthrough: true, {rule}")

    if not why:
        assert snapshot.server_called(b"GET", b"/servers/a/x")[1] == b"/x"
    else:
        with pytest.raises(errors.ForbiddenError, match=why):
            snapshot.server_called(b"GET", b"/servers/a/x")


def test_passthrough_opens_the_prefixes_of_the_registry() -> None:
    snapshot = first(f"{A}, passthrough: [/mcp]")

    assert snapshot.server_called(b"GET", b"/servers/a/mcp/x?y")[1] == b"/mcp/x?y"
    with pytest.raises(errors.ToolNotFoundError):
        snapshot.server_called(b"GET", b"/servers/a/other")


@pytest.mark.parametrize(
    ("method", "idempotent"),
    [
        (b"GET", True),
        (b"HEAD", True),
        (b"OPTIONS", True),
        (b"PUT", True),
        (b"DELETE", True),
        (b"POST", False),
        (b"PATCH", False),
        (b"get", False),
    ],
)
def test_passage_is_as_idempotent_as_its_method(method: bytes, *, idempotent: bool) -> None:
    passage, path = first(f"{A}, passthrough: true").server_called(method, b"/servers/a/x")

    onward = passage.onward(passage.server.cluster.endpoints[0], path)

    assert (passage.repeatable, passage.wants_object, passage.name, passage.missing) == (
        idempotent,
        False,
        "a",
        (),
    )
    assert (onward.method, onward.target) == (method, b"/x")


def test_base_path_stands_in_front_of_what_is_passed() -> None:
    server = only_server(
        first("namespace: a, name: n, endpoints: ['http://h/base/'], passthrough: true")
    )

    assert server.onward(server.cluster.endpoints[0], b"GET", b"/x").target == b"/base/x"

"""Facts about the live table: what a generation keeps, renews and drops, and what it answers."""

import pytest

from proxy import errors
from proxy.config.settings import Settings
from proxy.policy.health import Verdict
from proxy.registry.endpoint import Endpoint
from proxy.registry.load import LoadRules, load
from proxy.registry.snapshot import (
    LiveServer,
    Snapshot,
    adopt,
    succeed,
)
from proxy.registry.surroundings import Surroundings
from tests.support.witness import Heard

RULES = LoadRules.of(Settings())


def around(*credentials: str, fill: str = "secret") -> Surroundings:
    return Surroundings(lambda _: fill, lambda name: name in credentials, Heard())


def successor(
    old: Snapshot, *servers: str, defaults: str = "{}", surroundings: Surroundings | None = None
) -> Snapshot:
    """The next generation, adopted; each server is what stands between the braces of its entry."""
    entries = "".join(f"- {{{server}}}\n" for server in servers)
    text = f"defaults: {defaults}\nservers:\n{entries}"
    loaded = load(text.encode(), "registry.yaml", RULES, {})
    *_, new = succeed(old, loaded, surroundings or around())
    adopt(old, new, 0.0)
    return new


def first(*servers: str, **how: object) -> Snapshot:
    return successor(Snapshot(), *servers, **how)  # type: ignore[arg-type]


def only_server(snapshot: Snapshot) -> LiveServer:
    (server,) = snapshot.servers.values()
    return server


def only_endpoint(snapshot: Snapshot) -> Endpoint:
    (endpoint,) = snapshot.endpoints()
    return endpoint


A = "namespace: a, name: host-a, port: 81, tools: [{name: t}]"
B = "namespace: b, name: host-b, port: 82, tools: [{name: t}]"


def ill(endpoint: Endpoint) -> Endpoint:
    endpoint.health.probed(Verdict.UNHEALTHY, "ill", 7.0, healthy_after=2, unhealthy_after=3)
    return endpoint


# --- what a generation keeps, renews and drops ---


def test_generations_are_counted_and_show_themselves() -> None:
    snapshot = successor(first(A), A, B)

    assert (repr(snapshot), repr(only_server(first(A))), repr(only_endpoint(first(A)))) == (
        "<Snapshot 2: 2 servers, 2 tools>",
        "<LiveServer a UNKNOWN>",
        "<Endpoint a http://host-a:81 UNKNOWN>",
    )


def test_server_that_did_not_change_is_the_same() -> None:
    old = first(A)

    new = successor(old, A, B)

    assert new.servers[b"a"] is old.servers[b"a"]


def test_endpoint_keeps_its_health_while_its_address_stays() -> None:
    old = first(A)
    endpoint = ill(only_endpoint(old))

    new = successor(old, A.replace("name: t", "name: u") + ", timeout: 3s")

    assert (only_endpoint(new) is endpoint, only_endpoint(new).health.usable) == (True, False)


def test_endpoint_that_stays_gets_the_new_settings() -> None:
    old = first(A)
    endpoint = only_endpoint(old)

    new = successor(old, A + ", connect_timeout: 3s")

    assert (endpoint.server is only_server(new).spec, endpoint.server.connect_timeout_s) == (
        True,
        3.0,
    )


def test_nothing_of_the_old_table_changes_before_the_new_is_adopted() -> None:
    old = first(A)
    endpoint = only_endpoint(old)
    text = f"servers:\n- {{{A}, connect_timeout: 3s}}\n- {{{B}}}\n".encode()

    steps = list(succeed(old, load(text, "registry.yaml", RULES, {}), around()))

    assert (len(steps), len({id(step) for step in steps}), repr(old)) == (
        3,
        1,
        "<Snapshot 1: 1 servers, 1 tools>",
    )
    assert endpoint.server.connect_timeout_s == 1.0


def test_removed_server_is_dropped_and_its_endpoints_given_up() -> None:
    old = first(A, B)
    text = f"servers:\n- {{{B}}}\n".encode()
    *_, new = succeed(old, load(text, "registry.yaml", RULES, {}), around())

    removed = adopt(old, new, 0.0)

    assert ([repr(each) for each in removed], [each.gone for each in removed], set(new.tools)) == (
        ["<Endpoint a http://host-a:81 UNKNOWN>"],
        [True],
        {b"b.t"},
    )


def test_endpoint_of_another_address_starts_anew() -> None:
    old = first(A)
    ill(only_endpoint(old))

    new = successor(old, A.replace("81", "91"))

    assert (only_endpoint(new).health.usable, only_endpoint(old).gone) == (True, True)


def test_two_servers_of_one_address_do_not_share_its_health() -> None:
    snapshot = first(A, A.replace("namespace: a", "namespace: c"))

    ill(snapshot.servers[b"a"].cluster.endpoints[0])

    assert snapshot.servers[b"c"].cluster.endpoints[0].health.usable


def test_quarantined_server_keeps_its_last_good_entry_as_stale() -> None:
    old = first(A)
    endpoint = ill(only_endpoint(old))

    new = successor(old, A.replace("81", "none"), B)

    server = new.servers[b"a"]
    assert (
        server.cluster.endpoints,
        new.tools[b"a.t"].server is server,
        "port" in server.stale,
    ) == (
        (endpoint,),
        True,
        True,
    )


def test_stale_server_that_is_mended_is_stale_no_more() -> None:
    old = first(A)
    stale = successor(old, A.replace("81", "none"))

    new = successor(stale, A)

    assert (only_server(new).stale, only_endpoint(new) is only_endpoint(old)) == ("", True)


def test_quarantined_server_that_never_ran_is_answered_with_the_reason() -> None:
    snapshot = first(A.replace("81", "none"))

    with pytest.raises(errors.ServerQuarantinedError, match=r"entry for a is broken: .*port"):
        snapshot.tool_called(b"/tools/a.t")


# --- what a server is ---


def test_server_is_as_well_as_its_best_endpoint() -> None:
    server = only_server(first("namespace: a, name: n, endpoints: ['http://x', 'http://y']"))
    ill(server.cluster.endpoints[0])
    mixed = server.verdict

    ill(server.cluster.endpoints[1])

    assert (mixed, server.verdict) == (Verdict.UNKNOWN, Verdict.UNHEALTHY)


# --- deadlines ---

LATENCY = "upstream_dependencies: {expected_latency_ms: {p95: %d}}"


@pytest.mark.parametrize(
    ("server", "tool", "defaults", "deadline"),
    [
        pytest.param("timeout: 2s", "timeout: 1s", "{timeout: 9s}", 1, id="the-tools-own"),
        pytest.param(
            "timeout: 2s", LATENCY % 4000, "{timeout: 9s}", 2, id="the-servers-before-latencies"
        ),
        pytest.param(
            LATENCY % 5000, LATENCY % 4000, "{timeout: 9s}", 8, id="twice-the-tools-latency"
        ),
        pytest.param(LATENCY % 5000, "", "{timeout: 9s}", 10, id="twice-the-servers-latency"),
        pytest.param("", "", "{timeout: 9s}", 9, id="the-defaults"),
        pytest.param("", "", "{}", 30, id="30-s"),
    ],
)
def test_deadline_is_the_first_that_is_there(
    server: str, tool: str, defaults: str, deadline: float
) -> None:
    entry = f"namespace: a, name: n, port: 1, {server or 'tls: null'}"
    snapshot = first(f"{entry}, tools: [{{name: t, {tool or 'rate: null'}}}]", defaults=defaults)

    assert snapshot.tools[b"a.t"].deadline_s == deadline


# --- secrets ---

NEEDY = (
    "namespace: a, name: n, port: 1, upstream_dependencies: {credentials_required: [K, L]}, "
    "tools: [{name: t, upstream_dependencies: {credentials_required: [M, K]}}]"
)


def test_missing_credentials_are_named_once_and_in_order() -> None:
    snapshot = first(NEEDY, surroundings=around("L"))

    assert snapshot.tools[b"a.t"].missing == ("K", "M")


def test_credential_that_is_set_later_is_seen_at_the_next_generation() -> None:
    old = first(NEEDY)

    new = successor(old, NEEDY, surroundings=around("K", "L", "M"))

    assert (new.tools[b"a.t"].missing, only_endpoint(new) is only_endpoint(old)) == ((), True)

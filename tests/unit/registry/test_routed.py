"""Facts about ways that routes take: made once for a head, anew for a new table, or not at all."""

from collections.abc import Callable

import pytest

from proxy import errors
from proxy.policy.routes import Matched
from proxy.registry.routed import Routed, route_to
from proxy.registry.snapshot import Snapshot
from proxy.wire.forwarding import Caller
from proxy.wire.templates import Scene
from tests.support.heads import read_request
from tests.support.messages import get
from tests.support.routing import table
from tests.support.successor import successor
from tests.support.witness import Heard

CALLER = Caller(b"10.0.0.7", b"http", b"1.1 toolproxy-1", trusted=False)


def snapshot(server: str = "", before: Snapshot | None = None) -> Snapshot:
    return successor(before or Snapshot(), Heard(), server)[0]


def matched(**route: object) -> tuple[Matched, Callable[[], Scene]]:
    head = read_request(get("/app?q"))
    found = table({"to": "o", **route}).match(head, b"http", 80)
    assert found is not None
    return found, lambda: Scene(head, CALLER, 80, found.uri, found.groups, b"id")


def way(server: str = "", **route: object) -> Routed:
    return route_to(snapshot(server), *matched(**route))


def test_way_is_made_once_for_a_head_and_a_table() -> None:
    found, now = matched(), snapshot()
    first = route_to(now, *found)

    assert route_to(now, *found) is first
    later = snapshot("timeout: 3s", now)
    assert route_to(later, *found) is not first
    assert route_to(later, *found).deadline_s == 3.0


def test_way_that_differs_with_each_call_is_made_anew() -> None:
    found = matched(request_headers={"set": {"X-Id": "$request_id"}})
    now = snapshot()

    assert route_to(now, *found) is not route_to(now, *found)


def test_address_is_made_out_once() -> None:
    routed = way()
    endpoint = routed.server.cluster.endpoints[0]

    onward = routed.onward(endpoint, b"")

    assert (onward.target, onward.lines) == (b"/app?q", b"Host: 10.0.0.9\r\n")
    assert onward.forwarded_credentials == {b"authorization", b"cookie", b"x-api-key"}
    assert (onward.overrides, onward.way is not None) == (False, True)
    assert routed.onward(endpoint, b"") is onward
    assert (routed.name, routed.tool_name) == ("o", "")


def test_route_s_own_limits_hold() -> None:
    server = "timeout: 1s\nmax_body: 10"

    of_server, of_route = way(server), way(server, timeout="9s", max_body=99)

    assert (of_server.deadline_s, of_server.max_body_bytes) == (1.0, 10)
    assert (of_route.deadline_s, of_route.max_body_bytes) == (9.0, 99)


@pytest.mark.parametrize(
    ("preserve", "host", "sent"),
    [
        ("false", None, b"10.0.0.9"),
        ("true", None, b"a"),
        ("true", "x", b"x"),
        ("false", "$arg_none", b"10.0.0.9"),
        ("true", "$arg_none", b"a"),
    ],
)
def test_host_is_the_routes_then_the_servers(preserve: str, host: str | None, sent: bytes) -> None:
    changes = {"request_headers": {"set": {"Host": host}}} if host else {}
    routed = way(f"preserve_host: {preserve}", **changes)

    onward = routed.onward(routed.server.cluster.endpoints[0], b"")

    assert onward.lines == b"Host: %b\r\n" % sent


def test_no_table_yet_is_no_fault_of_the_route() -> None:
    with pytest.raises(errors.RegistryNotLoadedError):
        route_to(Snapshot(), *matched())


def test_server_that_is_missing_or_guarded_is_not_asked() -> None:
    with pytest.raises(errors.NoHealthyEndpointError, match="leads to nobody"):
        way(to="nobody")
    with pytest.raises(errors.ForbiddenError, match="certain teams"):
        way("authorized_teams: [ops]")

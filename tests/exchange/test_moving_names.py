"""A server whose address is a name: calls go to what it stands for, and to nothing else."""

from typing import Final

from tests.support.messages import get
from tests.support.replicas import OK, answered, asked, asking, call
from tests.support.transcript import Begin, Transcript

NAMED: Final = "endpoints: [http://svc]\nbalance: round_robin\nslow_start: 0"
ONE: Final = "10.1.0.1"
OTHER: Final = "10.1.0.2"
THIRD: Final = "10.1.0.3"


def stands_for(t: Transcript, *ips: str) -> Transcript:
    """The name's newest answer is taken up, as `registry.names` does it."""

    def take_up() -> None:
        t.plane.pools.forget(t.cluster.resolved("svc", ips, t.loop.time()))

    t.does(take_up)
    return t


def test_calls_are_spread_over_all_addresses_under_the_names_host(begin: Begin) -> None:
    t = stands_for(begin(NAMED), ONE, OTHER)

    t.client_sends(get("/servers/o/x"))
    t.expect_upstream(b"GET /x HTTP/1.1\r\nHost: svc\r\n\r\n")
    call(t, {})

    assert (t.dialled, t.records[-1].endpoint) == ([ONE, OTHER], f"http://{OTHER}:80")


def test_idle_connections_to_an_address_that_is_gone_are_closed(begin: Begin) -> None:
    t = stands_for(begin(NAMED), ONE, OTHER)
    for _ in range(2):
        call(t, {})

    stands_for(t, OTHER, THIRD)

    assert [each.fate for each in t.upstreams] == ["aborted", "open"]
    assert {call(t, {})[0] for _ in range(6)} == {OTHER, THIRD}


def test_call_at_an_address_that_is_gone_is_answered_and_nothing_is_kept(begin: Begin) -> None:
    t = stands_for(begin(NAMED), ONE)
    caller = asking(t)
    upstream = asked(t)
    assert upstream is not None

    stands_for(t, OTHER)
    upstream.sends(OK)

    caller.expect(OK)
    assert (upstream.fate, call(t, {}), len(list(t.plane.pools))) == (
        "aborted",
        (OTHER, 200),
        1,
    )


def test_call_that_fails_at_an_address_that_is_gone_goes_to_one_that_is_there(
    begin: Begin,
) -> None:
    t = stands_for(begin(NAMED), ONE)
    t.connects_at_once = False
    caller = asking(t)

    stands_for(t, OTHER)
    t.connects(ConnectionRefusedError())
    t.connects()
    t.upstream_sends(OK)

    assert (t.dialled, answered(caller)) == ([ONE, OTHER], 200)


def test_unresolved_endpoint_goes_on_as_the_first_address_with_its_connection(begin: Begin) -> None:
    t = begin(NAMED)
    (unresolved,) = t.cluster.endpoints
    stands_for(t, ONE)
    call(t, {})

    stands_for(t, ONE, OTHER)

    assert (t.cluster.endpoints[0] is unresolved, t.upstream.fate) == (True, "open")


def test_call_to_a_name_that_stands_for_nothing_is_502(begin: Begin) -> None:
    t = begin(f"{NAMED}\nretry: {{attempts: 1}}")

    t.client_sends(get("/servers/o/x"))

    t.client.expect_problem(502, "connect_failed")
    assert (t.dialled, t.witness.doubts) == ([], list(t.cluster.endpoints))

"""Facts about what differs between two definitions of one server, or of one tool."""

from typing import Any

from msgspec.structs import replace

from proxy.config.units import Rate
from proxy.generations.definitions import are_alike, server_changes, tool_changes
from proxy.generations.severity import Change, ChangeClass
from proxy.generations.values import ABSENT
from proxy.registry.address import parse_address
from proxy.registry.model import (
    Balance,
    CircuitConfig,
    Dependencies,
    Latency,
    Parameter,
    Server,
    Tls,
    Tool,
)

SERVER = Server(namespace="a", name="a", endpoints=(parse_address("http://a:80"),))
TOOL = Tool(name="t", parameters=(Parameter(name="p"), Parameter(name="q")))


def of_server(**new: Any) -> list[Change]:
    return [change for change in server_changes(SERVER, replace(SERVER, **new)) if change]


def of_tool(old: Tool = TOOL, **new: Any) -> list[Change]:
    return [change for change in tool_changes(old, replace(TOOL, **new)) if change]


def paths(changes: list[Change]) -> list[str]:
    return [change.path for change in changes]


def test_keys_are_the_registrys() -> None:
    changes = of_server(timeout_s=1.0, circuit=CircuitConfig(open_for_s=1.0), max_body_bytes=9)

    assert paths(changes) == ["circuit.open_for", "timeout", "max_body"]


def test_a_block_that_was_not_there_is_one_change() -> None:
    tls = Tls(ca="/ca.pem")

    assert of_server(tls=tls) == [Change("tls", None, tls, ChangeClass.COMPATIBLE)]


def test_blocks_within_blocks_are_looked_into() -> None:
    old = replace(SERVER, upstream_dependencies=Dependencies(expected_latency_ms=Latency(p50=1.0)))
    new = replace(SERVER, upstream_dependencies=Dependencies(expected_latency_ms=Latency(p50=2.0)))

    changes = [change for change in server_changes(old, new) if change]

    assert paths(changes) == ["upstream_dependencies.expected_latency_ms.p50"]


def test_a_way_of_balancing_is_one_value() -> None:
    assert paths(of_server(balance=Balance(method="round_robin"))) == ["balance"]


def test_tools_are_not_the_servers_own() -> None:
    assert of_server(tools=(TOOL,)) == []


def test_endpoints_are_whole_values() -> None:
    more = (parse_address("http://b:80"), *SERVER.endpoints)

    (change,) = of_server(endpoints=more)

    assert (change.path, change.old, change.new) == ("endpoints", SERVER.endpoints, more)


def test_another_name_breaks_nobody_while_the_address_stays() -> None:
    old = Server(namespace="a", name="a", port=80)

    changes = server_changes(old, replace(old, name="b"))

    assert [*changes] == [Change("name", "a", "b", ChangeClass.COMPATIBLE)]


def test_headers_change_one_by_one() -> None:
    old = replace(SERVER, inject_headers={"a": "1", "b": "2"})
    new = replace(SERVER, inject_headers={"b": "3", "c.d": "4"})

    changes = [change for change in server_changes(old, new) if change]

    assert [(change.path, change.old, change.new) for change in changes] == [
        ("inject_headers.a", "1", ABSENT),
        ("inject_headers.b", "2", "3"),
        ('inject_headers["c.d"]', ABSENT, "4"),
    ]


def test_a_restriction_that_python_takes_for_the_same_is_a_change() -> None:
    old = replace(SERVER, access_restrictions={"level": 1})
    new = replace(SERVER, access_restrictions={"level": True})

    assert paths([change for change in server_changes(old, new) if change]) == [
        "access_restrictions.level"
    ]


def test_a_default_that_python_takes_for_the_same_is_a_change() -> None:
    old = replace(TOOL, parameters=(Parameter(name="p", default=0), Parameter(name="q")))
    new = (Parameter(name="p", default=False), Parameter(name="q"))

    assert paths(of_tool(old, parameters=new)) == ["parameters.p.default"]


def test_a_parameter_is_there_or_not() -> None:
    r = Parameter(name="r", required=True)

    assert of_tool(parameters=(Parameter(name="q"), r)) == [
        Change("parameters.p", TOOL.parameters[0], ABSENT, ChangeClass.COMPATIBLE),
        Change("parameters.r", ABSENT, r, ChangeClass.BREAKING),
    ]


def test_parameters_of_one_name_change_as_a_whole() -> None:
    twice = (Parameter(name="p"), Parameter(name="p", type="number"))

    (change,) = of_tool(parameters=twice)

    assert (change.path, change.new) == ("parameters", twice)
    assert change.change_class is ChangeClass.BREAKING  # the last one holds


def test_parameters_of_one_name_that_stay_are_no_change() -> None:
    twice = (Parameter(name="p"), Parameter(name="p", type="number"))

    assert of_tool(replace(TOOL, parameters=twice), parameters=twice) == []


def test_a_rate_is_one_value() -> None:
    assert of_tool(rate=Rate(3.0, 1)) == [
        Change("rate", None, Rate(3.0, 1), ChangeClass.COMPATIBLE)
    ]


def test_tools_are_alike_to_the_last_digit() -> None:
    truth, number, half = (
        replace(TOOL, input_schema={"default": value}) for value in (True, 1, "\ud800")
    )

    assert are_alike(TOOL, replace(TOOL))
    assert not are_alike(truth, number)  # Python says that they are equal
    assert not are_alike(half, half)  # a no is always allowed

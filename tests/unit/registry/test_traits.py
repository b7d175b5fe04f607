"""Facts about what an entry says between its lines."""

import pytest

from proxy.registry.traits import affinity_of, deadline_s, guard_of, looks_around, takes_turns
from tests.support.clusters import server_of

AT = "port: 81, tools: [{name: t"


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (f"{AT}}}]", ""),
        (f"{AT}, sensitivity_level: critical}}]", "the sensitivity of t is high"),
        (f"{AT}}}], sensitivity_level: high", "the sensitivity of t is high"),
        (f"{AT}, sensitivity_level: low}}], sensitivity_level: high", ""),
        (f"{AT}, rate: 1/s}}]", "t has a rate limit"),
        (f"{AT}}}], rate: 1/s", "t has a rate limit"),
        (f"{AT}}}], upstream_dependencies: {{credentials_required: [A]}}", "t needs credentials"),
        (f"{AT}}}], authorized_teams: [a]", "the server is for certain teams"),
    ],
)
def test_passthrough_is_guarded_where_a_rule_per_tool_is(entry: str, why: str) -> None:
    assert guard_of(server_of(entry)) == why


@pytest.mark.parametrize(
    ("entry", "does"),
    [
        ("port: 81", False),
        ("port: 81, inject_headers: {a: b}", True),
        ("port: 81, upstream_dependencies: {credentials_required: [A]}", True),
        (f"{AT}, upstream_dependencies: {{}}}}]", True),
    ],
)
def test_server_with_secrets_or_credentials_looks_around(entry: str, *, does: bool) -> None:
    assert looks_around(server_of(entry)) is does


@pytest.mark.parametrize(
    ("said", "does"),
    [
        ("", False),
        (", upstream_dependencies: {}", False),
        (", upstream_dependencies: {concurrency_safe: false}", True),
    ],
)
def test_only_a_tool_that_is_not_safe_at_once_takes_turns(said: str, *, does: bool) -> None:
    (tool,) = server_of(f"{AT}{said}}}]").tools

    assert takes_turns(tool) is does


def test_affinity_is_there_when_calls_are_hashed() -> None:
    hashed = server_of("port: 81, balance: {hash: {cookie: c}}")

    assert repr(affinity_of(hashed)) == "<Affinity cookie>"
    assert affinity_of(server_of("port: 81")) is None


def test_deadline_of_passthrough_is_the_servers() -> None:
    assert deadline_s(server_of("port: 81, timeout: 4s"), None) == 4.0

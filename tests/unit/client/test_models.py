"""Rows from outside become values; what is wrong in them becomes the default."""

import pytest

from proxy.client.models import Event, Server, Tool
from tests.support.client_gateway import server_row, tool_row


def test_server_has_the_guides_attributes() -> None:
    row = server_row("a", authorized_teams=["red"], access_restrictions={"ip": "10/8"})
    server = Server.of(row)

    assert (server.server_name, server.server_url, server.tools_count) == ("a", "http://a:8080", 1)
    assert (server.authorized_teams, server.access_restrictions) == (["red"], {"ip": "10/8"})
    assert (server.health_status, server.sensitivity_level) == ("healthy", "medium")
    assert server.row is row


def test_tool_has_the_guides_attributes() -> None:
    tool = Tool.of(tool_row("a", "t"))

    assert (tool.tool_name, tool.server_name, tool.description) == ("t", "a", "")
    assert tool.parameters == [{"name": "query", "type": "string", "required": True}]
    assert (tool.sensitive_params, tool.required_capabilities) == (["password"], [])


@pytest.mark.parametrize("wrong", [None, 1, [None], {"a": 1}, "x"])
def test_wrong_types_become_defaults(wrong: object) -> None:
    keys = ("authorized_teams", "tools_count", "endpoints", "circuit_breaker", "created_at")
    server = Server.of(dict.fromkeys(keys, wrong))
    tool = Tool.of(dict.fromkeys(("parameters", "sensitive_params", "input_schema"), wrong))

    assert all(isinstance(team, str) for team in server.authorized_teams)
    assert isinstance(server.tools_count, int)
    assert all(isinstance(each, dict) for each in tool.parameters)
    assert tool.input_schema in ({}, {"a": 1})


def test_event_that_is_no_object_has_an_empty_document() -> None:
    assert Event("x", "[1]").document == {}


def test_event_that_is_no_json_says_so() -> None:
    with pytest.raises(ValueError, match="no JSON"):
        _ = Event("x", "{").document

"""What goes out in headers is checked, and never shown."""

import asyncio

import pytest

from proxy.client.fields import caller_fields, current_trace, set_trace, visible


@pytest.mark.parametrize("value", ["", "a b", "a\r\nX: y", "ü", "a\0"])
def test_value_that_is_no_header_is_refused_unseen(value: str) -> None:
    with pytest.raises(ValueError, match="api_key must be visible ASCII") as caught:
        visible("api_key", value)

    assert not value or value not in str(caught.value)


def test_caller_is_named() -> None:
    assert caller_fields("key", "token", "flow-1") == {
        "X-API-Key": "key",
        "Authorization": "Bearer token",
        "X-Chora-Trace-Id": "flow-1",
    }


def test_nobody_is_nothing() -> None:
    assert caller_fields(None, None, None) == {}


async def test_traces_of_two_tasks_do_not_mix() -> None:
    async def one(trace_id: str) -> str | None:
        set_trace(trace_id)
        await asyncio.sleep(0)
        return caller_fields(None, None, None)["X-Chora-Trace-Id"]

    assert [*await asyncio.gather(one("a"), one("b"))] == ["a", "b"]
    assert current_trace() is None


def test_calls_own_trace_goes_before_the_tasks() -> None:
    set_trace("task")
    try:
        assert caller_fields(None, None, "call") == {"X-Chora-Trace-Id": "call"}
    finally:
        set_trace(None)


def test_trace_id_has_a_length() -> None:
    with pytest.raises(ValueError, match="200 characters"):
        set_trace("x" * 201)

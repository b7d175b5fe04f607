"""Reads are kept, joined and asked for again; lists are whole."""

import asyncio

import pytest

from proxy.client import (
    GatewayError,
    NotFoundError,
    RetryExhaustedError,
    TimeoutError,  # noqa: A004 - the client's own
    with_timeout,
)
from proxy.client import cache as cache_module
from tests.support.client_gateway import (
    Gateway,
    answer,
    cut,
    refusal,
    server_row,
    silence,
    tool_row,
)
from tests.support.client_patience import quick_client

SERVERS = "/api/v1/servers"


async def test_guides_workload_hits_nine_times_in_ten() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        for _ in range(10):
            await client.list_servers()
        metrics = client.get_metrics()

    circuit = metrics["error_handler"]["circuit_breaker"]
    assert (gateway.count(SERVERS), metrics["http_cache_hit_rate"]) == (1, 0.9)
    assert (circuit["total_calls"], circuit["total_failures"], circuit["failure_rate"]) == (
        10,
        0,
        0,
    )
    assert (metrics["transport_mode"], metrics["active_transports"]) == ("auto", ["http"])


async def test_equal_reads_at_once_are_one_request() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        found = await asyncio.gather(*(client.list_servers() for _ in range(20)))

    assert (gateway.count(SERVERS), len(found)) == (1, 20)
    assert found[0] == found[19]


async def test_what_one_caller_changes_in_his_list_another_does_not_see() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        first = await client.list_servers()
        first[0].authorized_teams.append("mine")
        first.clear()
        (second,) = await client.list_servers()

    assert second.authorized_teams == []


async def test_answers_are_kept_by_caller() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        for token in (None, "a", "b", "a", None):
            await client.list_servers(user_token=token)

    assert gateway.values("Authorization") == [None, "Bearer a", "Bearer b"]


async def test_answers_are_kept_by_full_request() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        for _ in range(2):
            await client.list_tools("postgres-mcp")
            await client.list_tools("redis-mcp")
            await client.list_tools(page=2)
            await client.get_server_info("postgres-mcp")

    assert len(gateway.requests) == 4


async def test_fresh_asks_anew_and_renews_what_is_kept() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        await client.list_servers()
        gateway.servers.append(server_row("new"))
        assert len(await client.list_servers()) == 1
        assert len(await client.list_servers(fresh=True)) == 2
        assert len(await client.list_servers()) == 2

    assert gateway.values("If-None-Match") == [None, None]


async def test_old_answer_is_asked_for_by_its_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "FRESH_FOR_S", 0.0)
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        before = await client.list_servers()
        after = await client.list_servers()
        gateway.generation = 2
        gateway.servers.append(server_row("new"))
        changed = await client.list_servers()
        counts = client.get_metrics()["http_cache"]

    assert gateway.values("If-None-Match") == [None, '"1"', '"1"']
    assert (after, len(changed)) == (before, 2)
    assert (counts["revalidated"], counts["misses"], counts["hits"]) == (1, 2, 0)


async def test_without_a_tag_an_old_answer_is_asked_for_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache_module, "FRESH_FOR_S", 0.0)
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.etag = False
        await client.list_servers()
        await client.list_servers()

    assert gateway.values("If-None-Match") == [None, None]


async def test_failures_are_not_kept() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        for _ in range(2):
            with pytest.raises(NotFoundError, match="No server nobody"):
                await client.get_server_info("nobody")

    assert len(gateway.requests) == 2


async def test_reads_are_repeated_after_what_may_pass() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays(SERVERS, cut, refusal(502, "upstream_closed"), answer({"servers": []}))
        assert await client.list_servers() == []

    assert gateway.count(SERVERS) >= 3  # aiohttp repeats a GET of its own accord, too


async def test_reads_give_up_too() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays(SERVERS, refusal(503, "draining"))
        with pytest.raises(RetryExhaustedError):
            await client.list_servers()

    assert gateway.count(SERVERS) == 3


async def test_name_is_one_segment_whatever_it_holds() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        with pytest.raises(NotFoundError):
            await client.get_server_info("../health?x=1#y")

    assert gateway.requests[0].raw_path == "/api/v1/servers/..%2Fhealth%3Fx%3D1%23y"


@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_name_that_is_no_segment_is_refused(name: str) -> None:
    async with quick_client("http://127.0.0.1:1") as client:
        with pytest.raises(ValueError, match="server name"):
            await client.get_server_info(name)


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2300])
async def test_all_servers_are_each_there_once(count: int) -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.servers = [server_row(f"s{number:04}") for number in range(count)]
        found = await client.list_all_servers()

    assert [server.server_name for server in found] == [f"s{n:04}" for n in range(count)]


async def test_pages_are_the_guides() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.servers = [server_row(f"s{number}") for number in range(25)]
        found = await client.list_servers(page=3, page_size=10)

    assert [server.server_name for server in found] == ["s20", "s21", "s22", "s23", "s24"]


async def test_list_that_changes_between_pages_is_read_again() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.tools = [tool_row("s", f"t{number:04}") for number in range(1500)]

        def lose_the_first() -> None:
            gateway.on_page = lambda: None
            del gateway.tools[0]
            gateway.generation = 2

        gateway.on_page = lose_the_first
        found = await client.list_all_tools()

    assert [tool.tool_name for tool in found] == [f"t{n:04}" for n in range(1, 1500)]


async def test_tools_of_one_server() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.tools = [tool_row(f"s{number % 3}", f"t{number}") for number in range(9)]
        found = await client.list_all_tools("s1")

    assert [tool.tool_name for tool in found] == ["t1", "t4", "t7"]


async def test_who_is_patient_outlives_who_is_not() -> None:
    async with Gateway() as gateway, quick_client(gateway.url, timeout=60) as client:
        gateway.plays(SERVERS, silence, answer({"servers": []}))
        hasty = asyncio.ensure_future(  # noqa: TID251 - a test's own
            with_timeout(client.list_servers, timeout_seconds=0.1)
        )
        await asyncio.sleep(0)
        patient = await client.list_servers()
        with pytest.raises(TimeoutError):
            await hasty

    assert patient == []


async def test_who_waits_with_others_may_leave() -> None:
    release = asyncio.Event()

    async def held(request: object) -> object:
        await release.wait()
        return await answer({"servers": []})(request)  # type: ignore[arg-type]  # a script

    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays(SERVERS, held)  # type: ignore[arg-type]  # a script
        async with asyncio.TaskGroup() as group:
            first = group.create_task(client.list_servers())
            await asyncio.sleep(0.05)
            second = group.create_task(client.list_servers())
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.sleep(0)
            release.set()

        assert (first.cancelled(), second.result(), gateway.count(SERVERS)) == (True, [], 1)


async def test_events_and_summary_of_a_trace_are_of_this_moment() -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays("/api/v1/events", answer({"events": [{"event_type": "tool_invoked"}]}))
        gateway.plays("/api/v1/events/flow/summary", answer({"total": 1}))
        for _ in range(2):
            assert await client.events_for("flow") == [{"event_type": "tool_invoked"}]
            assert await client.summary("flow") == {"total": 1}

    assert gateway.requests[0].raw_path == "/api/v1/events?format=json&trace_id=flow&limit=1000"
    assert len(gateway.requests) == 4


@pytest.mark.parametrize("document", [[], {"servers": 1}, {"servers": [1]}, "x"])
async def test_answer_of_the_wrong_shape_is_an_error(document: object) -> None:
    async with Gateway() as gateway, quick_client(gateway.url) as client:
        gateway.plays(SERVERS, answer(document))
        with pytest.raises(GatewayError, match="no list of servers"):
            await client.list_servers()

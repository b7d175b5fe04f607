"""Local servers: lines of any length, ends that are told, nobody left behind."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from proxy.client import (
    GatewayClient,
    LocalServer,
    LocalServerError,
    RpcError,
    TimeoutError,  # noqa: A004 - the client's own
    TransportMode,
    with_timeout,
)
from tests.support.client_child import COMMAND, STUBBORN
from tests.support.waiting import eventually

MIB = 1 << 20


def local_client(**options: Any) -> GatewayClient:
    return GatewayClient(transport_mode=TransportMode.STDIO_ONLY, **options)


def gone(pid: int) -> bool:
    """Neither running nor waiting to be reaped."""
    return not Path(f"/proc/{pid}").exists()


async def test_requests_are_answered_and_mapped_to_who_asked() -> None:
    async with local_client() as client:
        server = await client.connect_local_server(command=COMMAND, server_id="mine")
        answers = await asyncio.gather(
            *(server.send_request("echo", {"n": number}) for number in range(50))
        )
        running = (server.is_running, server.server_id, server.transport._process.pid > 0)

    assert [answer["n"] for answer in answers] == list(range(50))
    assert running == (True, "mine", True)


async def test_lines_of_megabytes_go_both_ways() -> None:
    text = "ü" * (2 * MIB)
    async with local_client() as client:
        server = await client.connect_local_server(command=COMMAND)
        echoed = await server.send_request("echo", {"text": text})
        long = await server.send_request("repeat", {"count": 5 * MIB})

    assert (echoed["text"] == text, len(long)) == (True, 5 * MIB)


async def test_long_lines_do_not_stall_the_loop() -> None:
    worst_s = 0.0
    loop = asyncio.get_running_loop()

    async def watch() -> None:
        nonlocal worst_s
        while True:
            began = loop.time()
            await asyncio.sleep(0.001)
            worst_s = max(worst_s, loop.time() - began)

    async with local_client() as client, asyncio.TaskGroup() as group:
        server = await client.connect_local_server(command=COMMAND)
        watching = group.create_task(watch())
        for _ in range(5):
            await server.send_request("repeat", {"count": MIB})
        watching.cancel()

    assert worst_s < 1.0


async def test_line_beyond_the_bound_ends_it_with_a_sentence() -> None:
    async with local_client() as client:
        server = await client.connect_local_server(command=COMMAND, most_line_bytes=MIB)
        with pytest.raises(LocalServerError, match="line of more than 1048576 bytes"):
            await server.send_request("repeat", {"count": 3 * MIB})

        assert not server.is_running


async def test_flood_on_stderr_blocks_nobody() -> None:
    async with local_client() as client:
        server = await client.connect_local_server(command=COMMAND)

        assert await server.send_request("flood_stderr", {"count": 3 * MIB}) == "done"


async def test_error_of_the_server_has_its_code() -> None:
    async with local_client() as client:
        server = await client.connect_local_server(command=COMMAND, server_id="mine")
        with pytest.raises(RpcError, match="Local server mine answered: it is broken") as caught:
            await server.send_request("fail", {})

    assert (caught.value.code, caught.value.body) == (-32000, [1])


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("die", "it ended with exit status 3; its last words: noise | noise | the disk is full"),
        ("die_with_heirs", "it ended with exit status 4"),
        ("close_output", "it closed its output"),
    ],
)
async def test_end_of_the_server_fails_its_requests_at_once(method: str, words: str) -> None:
    async with local_client() as client:
        server = await client.connect_local_server(command=COMMAND, server_id="mine")
        waiting = [server.send_request("mute") for _ in range(3)]
        async with asyncio.timeout(10):
            found = await asyncio.gather(
                *waiting, server.send_request(method), return_exceptions=True
            )
        with pytest.raises(LocalServerError, match="is gone"):
            await server.send_request("echo")
        state = (server.is_running, client.get_metrics()["stdio"]["mine"]["status"])

    assert {str(error) for error in found} == {f"Local server mine is gone: {words}"}
    assert state == (False, "stopped")


async def test_server_that_is_killed_is_told_from_one_that_ended() -> None:
    async with local_client() as client:
        server = await client.connect_local_server(command=COMMAND)
        os.kill(server.transport._process.pid, 9)
        with pytest.raises(LocalServerError, match="it ended with signal 9"):
            await server.send_request("mute")


async def test_request_has_a_time() -> None:
    async with local_client(timeout=0.05) as client:
        server = await client.connect_local_server(command=COMMAND, server_id="mine")
        with pytest.raises(
            TimeoutError, match=r"mute of local server mine did not end within 0\.05"
        ):
            await server.send_request("mute")
        slept = await with_timeout(server.send_request, "echo", {"a": 1}, timeout_seconds=60)

    assert slept == {"a": 1}


async def test_silence_is_not_an_end() -> None:
    async with local_client() as client:
        server = await client.connect_local_server(command=COMMAND)
        await server.send_request("echo")
        await asyncio.sleep(1.0)

        assert await server.send_request("echo", {"still": "there"}) == {"still": "there"}


async def test_environment_is_what_was_given() -> None:
    async with local_client() as client:
        server = await client.connect_local_server(
            command=COMMAND, env={"API_KEY": "test-key"}, cwd="/"
        )
        found = await server.send_request("environment")

    # Python adds LC_CTYPE to its own in a C locale (PEP 538).
    assert {key: v for key, v in found["env"].items() if key != "LC_CTYPE"} == {
        "API_KEY": "test-key"
    }
    assert found["cwd"] == "/"


async def test_program_is_found_in_our_path_when_the_environment_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own-python").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    async with local_client() as client:
        server = await client.connect_local_server(
            command=["own-python", *COMMAND[1:]], env={"A": "1"}
        )

        assert (await server.send_request("environment"))["env"]["A"] == "1"


async def test_environment_is_ours_when_none_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLPROXY_OF_THE_TEST", "here")
    async with local_client() as client:
        server = await client.connect_local_server(command=COMMAND)
        found = await server.send_request("environment")

    assert found["env"]["TOOLPROXY_OF_THE_TEST"] == "here"


async def test_notifications_go_both_ways(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[tuple[str, object]] = []

    def hear(method: str, params: object) -> None:
        heard.append((method, params))
        raise ZeroDivisionError

    caplog.set_level(logging.CRITICAL)
    async with local_client() as client:
        server = await client.connect_local_server(command=COMMAND, on_notification=hear)
        await server.send_notification("notifications/heard", {"percent": 50})
        told = await server.send_request("what_was_heard")
        await server.send_request("notify")

    assert told == {"percent": 50}
    assert heard == [("notifications/progress", {"percent": 50})]


async def test_request_of_the_server_is_refused() -> None:
    async with local_client() as client:
        server = await client.connect_local_server(command=COMMAND)
        refused = await server.send_request("ask_back")

    assert (refused["id"], refused["error"]["code"]) == ("theirs", -32601)


@pytest.mark.parametrize("command", [COMMAND, STUBBORN], ids=["civil", "stubborn"])
async def test_stopped_server_is_gone(command: list[str]) -> None:
    async with local_client() as client:
        server = await client.connect_local_server(command=command, server_id="mine")
        pid = server.transport._process.pid
        await server.stop(grace_s=0.2)
        await server.stop()

        assert (gone(pid), server.is_running) == (True, False)
        with pytest.raises(LocalServerError, match="mine was stopped; connect it again"):
            await server.send_request("echo")


async def test_closing_the_client_stops_all() -> None:
    async with local_client() as client:
        servers = [await client.connect_local_server(command=COMMAND) for _ in range(3)]
        pids = [server.transport._process.pid for server in servers]
        health = await client.health_check()

    assert list(health["stdio"].values()) == [{"status": "running", "pid": pid} for pid in pids]
    assert all(gone(pid) for pid in pids)


async def test_name_that_is_in_use_is_refused_and_free_when_its_server_ended() -> None:
    async with local_client() as client:
        first = await client.connect_local_server(command=COMMAND, server_id="mine")
        with pytest.raises(ValueError, match="mine is running already"):
            await client.connect_local_server(command=COMMAND, server_id="mine")
        await first.stop()
        again = await client.connect_local_server(command=COMMAND, server_id="mine")

        assert again.is_running


@pytest.mark.parametrize(
    ("command", "cwd"),
    [(["no-such-program"], None), ([sys.executable], "/no/such/place"), (["/"], None)],
)
async def test_program_that_cannot_be_started_is_named(command: list[str], cwd: str | None) -> None:
    async with local_client() as client:
        with pytest.raises(LocalServerError, match=f"{command[0]} cannot be started"):
            await client.connect_local_server(command=command, cwd=cwd)


async def test_command_that_is_one_string_is_refused() -> None:
    async with local_client() as client:
        with pytest.raises(ValueError, match="command is a list"):
            await client.connect_local_server(command="python server.py")


def on_uvloop(work: Callable[[LocalServer], Any]) -> Any:
    async def main() -> Any:
        async with local_client() as client:
            return await work(await client.connect_local_server(command=COMMAND, server_id="mine"))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def test_it_works_on_uvloop() -> None:
    async def work(server: LocalServer) -> object:
        text = "x" * MIB
        echoed = await server.send_request("echo", {"text": text})
        pid = server.transport._process.pid
        await server.stop()
        return echoed["text"] == text, server.is_running, pid

    *facts, pid = on_uvloop(work)

    assert facts == [True, False]
    assert eventually(lambda: gone(pid))


def test_end_is_told_on_uvloop_too() -> None:
    async def work(server: LocalServer) -> object:
        with pytest.raises(LocalServerError) as caught:
            await server.send_request("die")
        return str(caught.value)

    assert "exit status 3; its last words: noise | noise | the disk is full" in on_uvloop(work)

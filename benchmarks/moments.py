"""Promises about moments: how soon a changed registry is live, and a caller's leaving is seen."""

import asyncio
import json  # noqa: TID251 - the answer of /tools, read by hand
import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.toolproxy import listener, registry, sidecar
from benchmarks.processes import ALL_CORES, free_port, listening

_CALL = b"POST /tools/bench.silent HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"


def reload_seconds(home: Path, folder: Path) -> list[float]:
    """Four ways of changing the file, each from the write to the new tool's listing."""
    data = folder / "one"
    data.mkdir()
    (folder / "..data").symlink_to("one")
    path = folder / "registry.yaml"
    path.symlink_to("..data/registry.yaml")
    (data / "registry.yaml").write_text(_with_tool("first"))
    ways: list[tuple[str, Callable[[Path, str], None]]] = [
        ("swapped", _swap_data),
        ("renamed", rename_over),
        ("written", _write_in_place),
        ("truncated", _truncate_and_write),
    ]
    with running_sidecar(home, folder, path) as port:
        return [_until_listed(port, path, tool, way) for tool, way in ways]


def leaving_seconds(home: Path, folder: Path) -> list[float]:
    """From a caller's closing in the middle of a call to the close that the upstream sees."""
    return [asyncio.run(_leave(home, folder))]


async def _leave(home: Path, folder: Path) -> float:
    asked, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.read(1024)
        if head.startswith(b"POST"):
            asked.set()
            await reader.read(1024)
            left.set()
        writer.close()

    origin = await asyncio.start_server(silent, "127.0.0.1", 0)
    silent_port = origin.sockets[0].getsockname()[1]
    path = folder / "registry.yaml"
    path.write_text(registry([f"127.0.0.1:{silent_port}"], {"bench": ["silent"]}))
    with running_sidecar(home, folder, path, "--set", "health_check_interval=1h") as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_CALL)
        async with asyncio.timeout(10):
            await asked.wait()
            began = time.monotonic()
            writer.close()
            await left.wait()
        took = time.monotonic() - began
    origin.close()
    return took


@contextmanager
def running_sidecar(home: Path, folder: Path, path: Path, *more: str) -> Iterator[int]:
    """One that may use every core, as where it is deployed; its port."""
    port = free_port()
    launch = sidecar(home, path, "--listen", listener(port), *more)
    with listening(launch, port, ALL_CORES, folder):
        yield port


def _with_tool(tool: str) -> str:
    return registry(["127.0.0.1:9"], {"bench": [tool]})


def _until_listed(port: int, path: Path, tool: str, change: Callable[[Path, str], None]) -> float:
    time.sleep(0.5)  # the last change has settled; not part of what is measured
    began = time.monotonic()
    change(path, _with_tool(tool))
    while time.monotonic() - began < 10:  # noqa: PLR2004 - then it is missed anyway
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/tools") as answer:
            if json.load(answer)["tools"][0]["tool_name"] == tool:
                break
        time.sleep(0.01)
    return time.monotonic() - began


def _swap_data(path: Path, text: str) -> None:
    folder = path.parent
    (folder / "two").mkdir()
    (folder / "two" / "registry.yaml").write_text(text)
    (folder / "..data_tmp").symlink_to("two")
    (folder / "..data_tmp").rename(folder / "..data")


def rename_over(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def _write_in_place(path: Path, text: str) -> None:
    with path.open("r+") as file:
        file.write(text)
        file.truncate()


def _truncate_and_write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
    os.write(descriptor, text.encode())
    os.close(descriptor)

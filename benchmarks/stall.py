"""The longest stall of the sidecar's loop while it takes up a large registry that has changed.

One caller calls all the time; how much longer than usual its slowest call takes is how long the
loop had no time for it. The sidecar and the process that parses for it may use every core.
"""

import contextlib
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks import upstreams
from benchmarks.body_wire import Stream
from benchmarks.moments import rename_over, running_sidecar
from benchmarks.peers.toolproxy import many_tools, registry

_RELOADS: Final = 3
_LIVE_WITHIN_S: Final = 60.0
_AFTERWARDS_S: Final = 2.0  # what the old table leaves to be done counts as well
_PAUSE_S: Final = 0.001
_FOUND: Final = " 200 "
_CALL: Final = (
    "POST /tools/bench.{tool} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    "Content-Length: 2\r\n\r\n{{}}"
)


def stall_seconds(home: Path, folder: Path) -> list[float]:
    """Of 100 000 tools one is new: the longest stall of each of a few reloads."""

    def changed(number: int) -> dict[str, list[str]]:
        tools = many_tools()
        tools["bench"].append(f"fresh{number}")
        return tools

    return _stalls(home, folder, many_tools(), changed)


def changing_stall_seconds(home: Path, folder: Path) -> list[float]:
    """Of 10 000 tools all but one are others than before: compared, swapped and stored."""

    def changed(number: int) -> dict[str, list[str]]:
        others = {f"other{n:02}": [f"tool{number}{m:03}" for m in range(100)] for n in range(99)}
        return {
            "bench": ["t0000", f"fresh{number}", *(f"t{number}{m:03}" for m in range(98))],
            **others,
        }

    return _stalls(home, folder, changed(_RELOADS), changed)


Tools = dict[str, list[str]]


def _stalls(home: Path, folder: Path, first: Tools, changed: Callable[[int], Tools]) -> list[float]:
    (folder / "upstream").mkdir()
    path = folder / "registry.yaml"
    with contextlib.ExitStack() as until:
        upstream = until.enter_context(upstreams.answers(folder / "upstream", upstreams.ONE))
        path.write_text(registry(upstream, first))
        port = until.enter_context(running_sidecar(home, folder, path))
        caller = until.enter_context(socket.create_connection(("127.0.0.1", port)))
        usual_s = statistics.median(_answer_times(caller, "t0000", _AFTERWARDS_S))
        stalls_s = []
        for number in range(_RELOADS):
            rename_over(path, registry(upstream, changed(number)))
            took_s = [*_answer_times(caller, f"fresh{number}", _AFTERWARDS_S)]
            stalls_s.append(max(took_s) - usual_s)
        return stalls_s


def _answer_times(caller: socket.socket, tool: str, afterwards_s: float) -> Iterator[float]:
    """How long each call takes, until the tool is there and for so long after that."""
    stream = Stream(caller)
    call = _CALL.format(tool=tool).encode()
    ends_at = time.monotonic() + _LIVE_WITHIN_S
    there = False
    while (began := time.monotonic()) < ends_at:
        caller.sendall(call)
        head = stream.head()
        took_s = time.monotonic() - began
        if head is None:
            raise OSError("the sidecar closed the connection")
        stream.discard(head)
        yield took_s
        if not there and _FOUND in head.first_line:
            there = True
            ends_at = time.monotonic() + afterwards_s
        time.sleep(_PAUSE_S)
    if not there:
        raise OSError(f"{tool} is not live within {_LIVE_WITHIN_S:g} s")

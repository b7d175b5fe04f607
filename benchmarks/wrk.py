"""wrk: a closed loop of small calls, and what it says about them."""

import math
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.processes import OTHER_CORES, UnusableError, on_cores

HOW_TO_GET: Final = "apt-get install wrk"
_GLANCE_S: Final = 0.001
_UNIT_MS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}

_BODY: Final = '{"filter":"namespace:n8n"}\n'  # 27 bytes
_POST: Final = (
    f'wrk.method="POST" wrk.headers["Content-Type"]="application/json" wrk.body=[==[{_BODY}]==]\n'
)
# With Host, Content-Type and Content-Length these make twelve: an MCP client on httpx.
_HEAD: Final = """\
local fields = {
  ["Accept"] = "application/json, text/event-stream",
  ["Accept-Encoding"] = "gzip, deflate, br",
  ["Connection"] = "keep-alive",
  ["User-Agent"] = "python-httpx/0.28.1",
  ["MCP-Protocol-Version"] = "2025-06-18",
  ["Mcp-Session-Id"] = "1868a90c-5a3e-4b9f-8f0f-1b2a3c4d5e6f",
  ["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  ["X-Chora-Trace-Id"] = "workflow-abc123",
  ["X-Request-Id"] = "7f3e9a52c4d84f0f9c1d2b3a4e5f6071",
}
for name, value in pairs(fields) do wrk.headers[name] = value end
"""
_NO_TWO_ALIKE: Final = """\
local calls = 0
request = function()
  calls = calls + 1
  {changes}
  return wrk.format()
end
"""

SMALL: Final = _POST
VARY: Final = _POST + _NO_TWO_ALIKE.format(
    changes='wrk.headers["X-Call"] = string.format("%032x", calls)'
)
REAL: Final = _POST + _HEAD
REAL_VARY: Final = REAL + _NO_TWO_ALIKE.format(
    changes="""local id = string.format("%032x", calls)
  wrk.headers["X-Request-Id"] = id
  wrk.headers["traceparent"] = "00-" .. id .. "-00f067aa0ba902b7-01\""""
)


API_KEY: Final = "a-key-for-measuring"
KEYED: Final = _POST + f'wrk.headers["X-API-Key"] = "{API_KEY}"\n'
SESSION: Final = _POST + 'wrk.headers["X-Session"] = "4711"\n'


def one_after_the_other(tools: int) -> str:
    """Calls of `bench.t0000` and so many after it, in turn."""
    return f"""{_POST}
local calls = 0
request = function()
  calls = calls + 1
  return wrk.format(nil, string.format("/tools/bench.t%04d", calls % {tools}))
end
"""


class WrkLoad(NamedTuple):
    """What wrk saw."""

    calls: int
    failed: int
    calls_per_s: float
    p50_ms: float
    p99_ms: float


def load_calls(url: str, script: str, *, connections: int, seconds: float, folder: Path) -> WrkLoad:
    """Calls of this URL for so long, from the cores that the proxy does not have."""
    path = folder / "load.lua"
    path.write_text(script)
    # wrk counts in whole seconds; interrupted, it says what it has seen until then. Not before it
    # is ready for that, which its first line tells, and `stdbuf` lets us see at once.
    command = ["stdbuf", "-oL", "wrk", "-t1", f"-c{connections}", f"-d{math.ceil(seconds) + 1}s"]
    command += ["--latency", "-s", str(path), url]
    said = folder / "said"
    with said.open("wb") as ear, on_cores(OTHER_CORES):
        wrk = subprocess.Popen(command, stdout=ear)  # noqa: S603 - fixed words
    with wrk:
        while not said.stat().st_size and wrk.poll() is None:
            time.sleep(_GLANCE_S)
        time.sleep(seconds)
        wrk.send_signal(signal.SIGINT)
    return understood(said.read_text())


def understood(said: str) -> WrkLoad:
    """What wrk wrote, as numbers; UnusableError when it is something else."""
    return WrkLoad(
        calls=int(_found(r"(\d+) requests in", said)),
        failed=_failed(said),
        calls_per_s=float(_found(r"Requests/sec:\s+([\d.]+)", said)),
        p50_ms=_ms(_found(r"\n\s+50%\s+(\S+)", said)),
        p99_ms=_ms(_found(r"\n\s+99%\s+(\S+)", said)),
    )


def _failed(said: str) -> int:
    errors = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said
    )
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    counts = [*(errors.groups() if errors else ()), *(refused.groups() if refused else ())]
    return sum(map(int, counts))


def _found(pattern: str, said: str) -> str:
    match = re.search(pattern, said)
    if match is None:
        raise UnusableError(f"wrk said something else: {said or 'nothing'}")
    return match[1]


def _ms(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if match is None:
        raise UnusableError(f"wrk said {text} where a time belongs")
    return float(match[1]) * _UNIT_MS[match[2]]

"""Every promise with a figure: promise, bar, measured, verdict."""

import json  # noqa: TID251 - results are read by people too: indented
import os
import platform
import re
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.moments import leaving_seconds, reload_seconds
from benchmarks.peers import OTHER_CORE, Peer, peers

_BODY = '{"filter":"namespace:n8n"}\n'  # 27 bytes
_CONNECTIONS = 32
_LUA = 'wrk.method="POST" wrk.headers["Content-Type"]="application/json" wrk.body=[==[{body}]==]\n'
# Every request's and every answer's head is another one, as where callers send ids of their own.
_LUA_VARY = """\
local calls = 0
request = function()
  calls = calls + 1
  wrk.headers["X-Call"] = string.format("%032x", calls)
  return wrk.format()
end
"""


class Case(NamedTuple):
    """A kind of load: which tool is called, and how."""

    name: str
    tool: str
    script: str


CASES = (
    Case("small call", "echo", _LUA.format(body=_BODY)),
    Case("small call, no head like another", "vary", _LUA.format(body=_BODY) + _LUA_VARY),
)


class Round(NamedTuple):
    """One peer under load once."""

    cpu_us_per_call: float
    calls_per_s: float
    p50_ms: float
    p99_ms: float


class Promise(NamedTuple):
    """One line of the table."""

    promise: str
    bar: float
    measured: float

    @property
    def kept(self) -> bool:
        return self.measured <= self.bar


def verify(rounds: int, seconds: float, results: Path) -> int:
    with tempfile.TemporaryDirectory() as name, peers(Path(name)) as running:
        measured = _measure(running, Path(name), rounds, seconds)
        moments = Path(name, "moments")
        moments.mkdir()
        live_s, left_s = reload_seconds(moments), leaving_seconds(moments)
        versions = {peer.name: peer.version for peer in running.values()}
    medians = {key: _median(each) for key, each in measured.items()}
    ratios = {
        case.name: medians[case.name, "toolproxy"].cpu_us_per_call
        / medians[case.name, "nginx"].cpu_us_per_call
        for case in CASES
    }
    promises = [
        Promise("CPU per small call / nginx's", 2.0, ratios["small call"]),
        Promise("a changed registry is live, s (slowest of four ways)", 1.0, live_s),
        Promise("the upstream sees a caller leave, s", 0.1, left_s),
    ]
    report = {
        "machine": {"cpu": _cpu_model(), "cores": os.cpu_count(), "kernel": platform.release()},
        "python": {"version": sys.version.split()[0], "build": interpreter_build()},
        "versions": versions,
        "load": f"wrk, {_CONNECTIONS} connections, {rounds} interleaved rounds of {seconds:g} s",
        "rounds": [
            {"case": case, "proxy": name, **each._asdict()}
            for (case, name), of in measured.items()
            for each in of
        ],
        "cpu_ratio_to_nginx": ratios,
        "promises": [{**each._asdict(), "kept": each.kept} for each in promises],
    }
    results.mkdir(parents=True, exist_ok=True)
    (results / "verify.json").write_text(json.dumps(report, indent=1) + "\n")
    text = _table(report, promises, medians)
    (results / "verify.md").write_text(text)
    print(text)
    return 0 if all(each.kept for each in promises) else 1


def _measure(
    running: dict[str, Peer], folder: Path, rounds: int, seconds: float
) -> dict[tuple[str, str], list[Round]]:
    """Every case on every peer, round by round, so that all share the machine's moods."""
    turns = [(case, peer) for case in CASES for peer in running.values()]
    measured: dict[tuple[str, str], list[Round]] = {(c.name, p.name): [] for c, p in turns}
    for case, peer in turns:
        (folder / f"{case.tool}.lua").write_text(case.script)
        load(peer, case, folder, 1.0)  # warm up
    for number in range(rounds):
        for turn, (case, peer) in enumerate(turns, start=1):
            measured[case.name, peer.name].append(load(peer, case, folder, seconds))
            _progress(number * len(turns) + turn, rounds * len(turns))
    return measured


def load(peer: Peer, case: Case, folder: Path, seconds: float) -> Round:
    """Closed loop by wrk, on the other core; CPU of the proxy from /proc."""
    command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds:g}s", "--latency"]
    command += ["-s", str(folder / f"{case.tool}.lua"), f"{peer.url}.{case.tool}"]
    before = peer.cpu_s()
    said = subprocess.run(  # noqa: S603 - fixed words
        command,
        capture_output=True,
        check=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {OTHER_CORE}),
    ).stdout
    used_s = peer.cpu_s() - before
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(f"{peer.name} failed calls:\n{said}")
    calls = int(_found(r"(\d+) requests in", said))
    return Round(
        used_s / calls * 1e6,
        float(_found(r"Requests/sec:\s+([\d.]+)", said)),
        _ms(_found(r"\n\s+50%\s+(\S+)", said)),
        _ms(_found(r"\n\s+99%\s+(\S+)", said)),
    )


def interpreter_build() -> str:
    """How this interpreter was built: profile-guided optimisation takes 20-30 % off a call."""
    said = f"{sysconfig.get_config_var('CONFIG_ARGS')} {sysconfig.get_config_var('PY_CFLAGS')}"
    if "--enable-optimizations" in said or "-fprofile-use" in said:
        return "optimised"
    # Debian's sysconfig describes another build than the optimised one that it ships.
    if Path(sys.executable).resolve().parent == Path("/usr/bin"):
        return "the distribution's (Debian's is optimised)"
    return "not optimised"


def _median(rounds: list[Round]) -> Round:
    return Round(*(statistics.median(column) for column in zip(*rounds, strict=True)))


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        sys.exit(f"wrk said something else:\n{text}")
    return match[1]


def _ms(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]  # wrk's own form
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def _cpu_model() -> str:
    text = Path("/proc/cpuinfo").read_text()
    return _found(r"model name\s*:\s*(.+)", text)


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        bar = "#" * (30 * done // of)
        print(f"\r[{bar:<30}] {done}/{of}", end="" if done < of else "\n", file=sys.stderr)


def _table(
    report: dict[str, object], promises: list[Promise], medians: dict[tuple[str, str], Round]
) -> str:
    lines = [
        *(f"{key}: {report[key]}  " for key in ("machine", "python", "versions", "load")),
        "",
        "| case | proxy | CPU us/call | calls/s | p50 ms | p99 ms |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {case} | {name} | {each.cpu_us_per_call:.1f} | {each.calls_per_s:.0f}"
            f" | {each.p50_ms:.2f} | {each.p99_ms:.2f} |"
            for (case, name), each in medians.items()
        ),
        "",
        "| promise | bar | measured | verdict |",
        "| --- | --- | --- | --- |",
        *(
            f"| {each.promise} | {each.bar:.2f} | {each.measured:.4g}"
            f" | {'kept' if each.kept else 'MISSED'} |"
            for each in promises
        ),
    ]
    return "\n".join(lines) + "\n"

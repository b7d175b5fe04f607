"""The command itself, as short as it goes."""

from pathlib import Path

import orjson
import pytest

from benchmarks.peers.toolproxy import TOOLPROXY
from benchmarks.sse.peers import NCHAN
from tests.benchmarks.commands import benchmarks


@pytest.mark.slow
@pytest.mark.sockets
@pytest.mark.timeout(180)
@pytest.mark.skipif(NCHAN.missing() is not None, reason="nginx or Nchan is not installed")
def test_a_fan_out_leaves_figures_a_table_and_charts(tmp_path: Path) -> None:
    few = ("--peer", f"{NCHAN.key},{TOOLPROXY.key}", "--seconds", "0.5")
    ended = benchmarks("sse", "--quick", *few, "--results", str(tmp_path))

    assert ended.returncode == 0, ended.stderr
    rounds = orjson.loads((tmp_path / "sse.json").read_bytes())["rounds"]
    assert {(row["case"], row["peer"], row["lost"], row["failed"]) for row in rounds} == {
        ("fan500", NCHAN.key, 0, 0),
        ("fan500", TOOLPROXY.key, 0, 0),
    }
    assert all(row["cpu_us_per_delivery"] > 0 < row["delay_p50_ms"] for row in rounds)
    assert f"| {TOOLPROXY.title} |" in (tmp_path / "sse.md").read_text()
    for name in ("sse-cost.png", "sse-delay.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_a_stranger_among_the_cases_is_unusable() -> None:
    ended = benchmarks("sse", "--case", "flood")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("benchmarks: no such case: flood; there are fan500,")

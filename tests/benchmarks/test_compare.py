"""The command itself, as short as it goes."""

from pathlib import Path

import orjson
import pytest

from tests.benchmarks.commands import benchmarks


@pytest.mark.slow
@pytest.mark.sockets
def test_a_comparison_leaves_figures_a_table_and_a_chart(tmp_path: Path) -> None:
    few = ("--quick", "--case", "small", "--peer", "nginx,toolproxy")
    ended = benchmarks(
        "compare", *few, "--seconds", "0.3", "--rounds", "1", "--results", str(tmp_path)
    )

    assert ended.returncode == 0, ended.stderr
    rounds = orjson.loads((tmp_path / "compare.json").read_bytes())["rounds"]
    assert {(row["case"], row["peer"], row["failed"]) for row in rounds} == {
        ("small", "nginx", 0),
        ("small", "toolproxy", 0),
    }
    assert all(row["cpu_us_per_call"] > 0 for row in rounds)
    assert "| toolproxy |" in (tmp_path / "compare.md").read_text()
    assert (tmp_path / "compare-cpu.png").read_bytes().startswith(b"\x89PNG")


def test_a_stranger_among_the_peers_is_unusable() -> None:
    ended = benchmarks("compare", "--peer", "traefik")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("benchmarks: no such peer: traefik; there are nginx,")

"""The command itself, as short as it goes."""

import shutil
from pathlib import Path

import orjson
import pytest

from benchmarks.peers.nginx import NGINX
from benchmarks.replicas.peers import LEAST
from tests.benchmarks.commands import benchmarks


@pytest.mark.slow
@pytest.mark.sockets
@pytest.mark.timeout(180)
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_a_scene_leaves_figures_a_course_a_table_and_a_chart(tmp_path: Path) -> None:
    few = ("--case", "slow", "--peer", f"{NGINX.key},{LEAST.key}", "--rate", "200")
    ended = benchmarks("replicas", "--quick", *few, "--seconds", "0.5", "--results", str(tmp_path))

    assert ended.returncode == 0, ended.stderr
    content = orjson.loads((tmp_path / "replicas.json").read_bytes())
    assert {(row["peer"], row["failed_after"]) for row in content["rounds"]} == {
        (NGINX.key, 0),
        (LEAST.key, 0),
    }
    nginx = next(row for row in content["rounds"] if row["peer"] == NGINX.key)
    assert nginx["p99_after_ms"] >= 200
    course = next(each for each in content["courses"] if each["peer"] == NGINX.key)
    slow = [ms for at_s, ms in zip(course["at_s"], course["p99_ms"], strict=True) if at_s > 0]
    assert max(slow) >= 200
    assert f"| {LEAST.title} |" in (tmp_path / "replicas.md").read_text()
    assert (tmp_path / "replicas.png").read_bytes().startswith(b"\x89PNG")


def test_a_stranger_among_the_scenes_is_unusable() -> None:
    ended = benchmarks("replicas", "--case", "flood")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "benchmarks: no such case: flood; there are slow, failing, dead\n"

"""The cost of each mechanism: the command itself, as short as it goes."""

import shutil
from pathlib import Path

import orjson
import pytest

from benchmarks.mechanisms import KEYS
from tests.benchmarks.commands import benchmarks
from tests.support.sidecar import ROOT


@pytest.mark.slow
@pytest.mark.sockets
@pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("wrk")), reason="nginx or wrk is not installed"
)
def test_another_checkout_is_what_the_mechanisms_are_compared_with(tmp_path: Path) -> None:
    few = ("--peer", "one,hash", "--beside", str(ROOT), "--rounds", "1")

    ended = benchmarks("mechanisms", "--quick", *few, "--results", str(tmp_path))

    assert ended.returncode == 0, ended.stderr
    rounds = orjson.loads((tmp_path / "mechanisms.json").read_bytes())["rounds"]
    assert [(row["peer"], row["failed"]) for row in rounds] == [
        ("beside", 0),
        ("one", 0),
        ("hash", 0),
    ]
    table = (tmp_path / "mechanisms.md").read_text()
    assert "CPU µs/call more than beside's |" in table
    assert str(ROOT) not in table


def test_what_is_no_checkout_is_unusable(tmp_path: Path) -> None:
    ended = benchmarks("mechanisms", "--beside", str(tmp_path))

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"benchmarks: --beside: {tmp_path} is no checkout of the sidecar\n"


def test_every_way_of_balancing_is_there() -> None:
    assert {"one", "least_request", "round_robin", "peak_ewma", "hash", "idempotent"} <= {*KEYS}

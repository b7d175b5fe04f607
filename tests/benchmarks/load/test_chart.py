"""The picture: drawn of any figures, even of none."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.load.chart import draw
from benchmarks.load.figures import Fault
from benchmarks.load.gates import Gate
from tests.benchmarks.load.made import figures, plan

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("asked", "measured"),
    [
        pytest.param({}, {}, id="closed-loop"),
        pytest.param({"rate_per_s": 50.0}, {"faults": [Fault.RESET]}, id="open-loop-with-errors"),
        pytest.param({"gates": (Gate("p99", 900),)}, {}, id="distant-gate"),
        pytest.param({}, {"statuses": []}, id="nothing"),
        pytest.param({}, {"latency_ms": 0.0}, id="too-quick-to-measure"),
    ],
)
def test_picture_is_a_png(tmp_path: Path, asked: dict[str, Any], measured: dict[str, Any]) -> None:
    path = tmp_path / "load.png"

    draw(plan(**asked), figures(**measured), path)

    assert path.read_bytes().startswith(PNG)

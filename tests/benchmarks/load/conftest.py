"""The load command, run to its end."""

from pathlib import Path

import pytest

from tests.benchmarks.load.running import Load, run_load


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return lambda *arguments: run_load(tmp_path / "figures.json", *arguments)

import re
import sys

import pytest

from benchmarks.progress import Progress

VISIBLE = re.compile(r"\r\x1b\[2K")


def test_a_terminal_sees_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    with Progress(2) as progress:
        progress.at("first")
        progress.at("second")

    first, second, cleared = VISIBLE.split(capsys.readouterr().err)[1:]
    assert first == f"{'░' * 24} 0/2 first"
    assert second == f"{'█' * 12}{'░' * 12} 1/2 0:00 left second"
    assert not cleared


def test_a_file_is_not_filled_with_bars(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(1) as progress:
        progress.at("first")

    assert capsys.readouterr().err == ""

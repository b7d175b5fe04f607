"""The chart of the scenes: p99 over time and the calls that failed, a line for each proxy."""

from collections.abc import Sequence
from math import nan
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from benchmarks.cases import Case
from benchmarks.figures import Measurements, Window
from benchmarks.look import DARK, FAINT, new_sheet, quieten, save
from benchmarks.peers.peer import Peer
from benchmarks.replicas.course import SETTLES_S, WINDOW_S, typical
from benchmarks.rounds import Plan

_NAME: Final = "replicas.png"
_TITLE: Final = "One of three replicas goes bad: what callers see"
_ROW_IN: Final = 2.3
_AROUND_IN: Final = 1.5  # title, legend and axis
_SHARES: Final = (3, 2)  # of the width: latency, failures


def draw(folder: Path, note: str, plan: Plan, measured: Measurements) -> Path:
    """A row for each scene; the file."""
    sheet = new_sheet(_TITLE, _AROUND_IN + _ROW_IN * len(plan))
    grid = sheet.subplots(
        len(plan), len(_SHARES), sharex=True, sharey="col", squeeze=False, width_ratios=_SHARES
    )
    for (case, peers), (latency, failures) in zip(plan, grid, strict=True):
        _draw_scene(case, peers, measured, latency, failures)
    grid[-1][0].set_xlabel(
        f"seconds after it goes bad; {note}", fontsize=9, color=FAINT, loc="left"
    )
    peers = list(dict.fromkeys(peer for _, peers in plan for peer in peers))
    lines = [grid[0][0].plot([], [], color=peer.colour, linewidth=2)[0] for peer in peers]
    titles = [peer.title for peer in peers]
    sheet.legend(
        lines, titles, loc="outside lower left", ncols=4, fontsize=9, frameon=False, labelcolor=DARK
    )
    path = folder / _NAME
    save(sheet, path)
    return path


def _draw_scene(
    case: Case, peers: Sequence[Peer], measured: Measurements, latency: Axes, failures: Axes
) -> None:
    for peer in peers:
        trail = typical(measured.trails(case.key, peer.key))
        # At the end of the time that they stand for; a gap where nothing was answered well.
        at_s = [window.at_s + WINDOW_S for window in trail]
        p99_ms = [nan if each.p99_ms is None else each.p99_ms for each in trail]
        latency.plot(at_s, p99_ms, color=peer.colour, linewidth=1.4)
        failures.plot(at_s, [*map(_failed_percent, trail)], color=peer.colour, linewidth=1.4)
    latency.set_yscale("log")
    latency.yaxis.set_major_formatter("{x:,g}")
    latency.yaxis.set_minor_formatter(NullFormatter())
    failures.set_ylim(-2, 102)
    titles = (f"{case.title}: p99, ms (logarithmic)", "failed calls, %")
    for axes, title in zip((latency, failures), titles, strict=True):
        quieten(axes, title, grid="y")
        axes.axvline(0, color=DARK, linewidth=1, linestyle="--")
        axes.axvline(SETTLES_S, color=FAINT, linewidth=1, linestyle=":")


def _failed_percent(window: Window) -> float:
    return 100 * window.failed / window.calls if window.calls else 0.0

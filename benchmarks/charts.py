"""Charts of a comparison: CPU time, latency and memory, a bar for each proxy."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Sheet

from benchmarks.figures import (
    BODY_GROWTH,
    CPU,
    IDLE,
    P50,
    P99,
    PER_CONNECTION,
    Figure,
    Measurements,
    Spread,
)
from benchmarks.look import DARK, FAINT, new_sheet, quieten, save
from benchmarks.peers.peer import Peer
from benchmarks.rounds import Plan

_ROW_IN: Final = 0.36
_AROUND_IN: Final = 1.3  # title and axis
_FOR_NUMBER: Final = 0.24  # share of a panel's width


class Panel(NamedTuple):
    """One set of bars: a figure of a case, and how it is shown."""

    title: str
    case: str
    figure: Figure
    logarithmic: bool = False


class Chart(NamedTuple):
    """One picture: panels beside each other, with the same proxies from top to bottom."""

    name: str
    title: str
    panels: tuple[Panel, ...]


CHARTS: Final = (
    Chart(
        "compare-cpu.png",
        "CPU time of the proxy per call, µs (less is better; logarithmic)",
        (
            Panel("small call", "small", CPU, logarithmic=True),
            Panel("realistic head, 1.5 KB answer", "real", CPU, logarithmic=True),
        ),
    ),
    Chart(
        "compare-latency.png",
        "Time to an answer, ms (less is better; logarithmic)",
        (
            Panel("one connection, p50", "one", P50, logarithmic=True),
            Panel("32 connections, p50", "small", P50, logarithmic=True),
            Panel("32 connections, p99", "small", P99, logarithmic=True),
        ),
    ),
    Chart(
        "compare-memory.png",
        "Resident memory (less is better)",
        (
            Panel("idle, MB", "fresh", IDLE),
            Panel("each idle connection, KiB", "fresh", PER_CONNECTION),
            Panel("10 MB answers pass, + MB", "down", BODY_GROWTH),
        ),
    ),
)


def draw(
    folder: Path,
    note: str,
    plan: Plan,
    measured: Measurements,
    charts: Sequence[Chart] = CHARTS,
) -> list[Path]:
    """Every chart, with those of its panels whose cases were measured; the files."""
    peers_of = {case.key: peers for case, peers in plan}
    files = []
    for chart in charts:
        panels = [panel for panel in chart.panels if panel.case in peers_of]
        if panels:
            sheet = _sheet(chart.title, panels, peers_of[panels[0].case], measured)
            sheet.supxlabel(note, x=0.01, ha="left", fontsize=9, color=FAINT)
            files.append(folder / chart.name)
            save(sheet, files[-1])
    return files


def _sheet(
    title: str, panels: Sequence[Panel], peers: Sequence[Peer], measured: Measurements
) -> Sheet:
    sheet = new_sheet(title, _AROUND_IN + _ROW_IN * len(peers))
    row = sheet.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(row, panels, strict=True):
        _draw_panel(axes, panel, peers, measured)
    titles = [peer.title for peer in peers]
    row[0].set_yticks(range(len(peers)), titles, fontsize=11, color=DARK)
    row[0].set_ylim(len(peers) - 0.5, -0.5)
    return sheet


def _draw_panel(axes: Axes, panel: Panel, peers: Sequence[Peer], measured: Measurements) -> None:
    spreads = [measured.spread(panel.case, peer.key, panel.figure) for peer in peers]
    _bound(axes, spreads, logarithmic=panel.logarithmic)
    for place, (peer, spread) in enumerate(zip(peers, spreads, strict=True)):
        if panel.logarithmic:  # without a zero, the length of a bar would mean nothing
            axes.plot(spread[1:], [place, place], color=peer.colour, linewidth=4, alpha=0.5)
            axes.plot(spread.value, place, "o", markersize=10, color=peer.colour)
        else:
            axes.barh(place, spread.value, height=0.62, color=peer.colour)
            axes.plot(spread[1:], [place, place], color=DARK, linewidth=1.2)
        axes.annotate(
            _shown(spread.value),
            (spread.high, place),
            xytext=(9 if panel.logarithmic else 5, 0),
            textcoords="offset points",
            va="center",
            fontsize=10,
            color=DARK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    quieten(axes, panel.title, grid="both" if panel.logarithmic else "x")


def _bound(axes: Axes, spreads: Sequence[Spread], *, logarithmic: bool) -> None:
    """Room on the right for the number beside the longest bar."""
    lowest, highest = min(s.low for s in spreads), max(s.high for s in spreads)
    if logarithmic and lowest > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,g}")
        start = lowest / 2
        axes.set_xlim(start, start * (highest / start) ** (1 / (1 - _FOR_NUMBER)))
    else:
        axes.set_xlim(0, max(highest, 1) / (1 - _FOR_NUMBER))


def _shown(value: float) -> str:
    """Three digits say enough."""
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:,.{min(digits, 2)}f}"

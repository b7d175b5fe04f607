"""One picture of a load: latency over time with its errors, and latency by percentile."""

from math import nan
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, NullLocator

from benchmarks.load.figures import Figures, Row
from benchmarks.load.plan import Plan

_SIZE_INCHES: Final = (11, 8.5)
_DOTS_PER_INCH: Final = 130
_WIDE: Final = 20  # times: beyond it a linear axis shows only the worst
_FEW_ROWS: Final = 60  # so few that each may have a mark of its own
# Colours that stay apart in print and for the colour-blind (Okabe and Ito).
_COLOURS: Final = {"p50": "#0072B2", "p90": "#E69F00", "p99": "#009E73"}
_CURVE_COLOUR: Final = "#0072B2"
_ERROR_COLOUR: Final = "#CC3311"
_LONGEST_URL: Final = 100
_NINES: Final = (50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999)


def draw(plan: Plan, figures: Figures, path: Path) -> None:
    """Write the picture as a PNG."""
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    over_time, by_percentile = figure.subplots(2, 1)
    figure.suptitle(_title(plan, figures), fontsize=12)
    _draw_seconds(over_time, plan, figures.rows)
    _draw_errors(over_time, figures.rows)
    _draw_curves(by_percentile, plan, figures)
    figure.savefig(path, dpi=_DOTS_PER_INCH, format="png")


def _title(plan: Plan, figures: Figures) -> str:
    url = plan.target.url
    shown = url if len(url) <= _LONGEST_URL else f"{url[: _LONGEST_URL - 3]}..."
    asked = "closed loop" if plan.rate_per_s is None else f"{plan.rate_per_s:,g} calls/s asked"
    return (
        f"{plan.request.method.decode()} {shown}\n"
        f"{asked}, {figures.rate_per_s:,.0f} calls/s answered without an error"
        f" over {plan.connections:,} connections, {figures.error_percent:.3g} % errors"
    )


def _draw_seconds(axes: Axes, plan: Plan, rows: list[Row]) -> None:
    """The percentiles of each row at the middle of its time; where none was answered, a gap."""
    moments_s = [row.at_s + row.span_s / 2 for row in rows]
    marker = "o" if len(rows) <= _FEW_ROWS else ""
    limits_ms = {gate.name: gate.limit for gate in plan.gates}
    heights: list[float] = []
    for name, colour in _COLOURS.items():
        values = [getattr(row, f"{name}_ms") for row in rows]
        heights += [value for value in values if value]
        drawn = [nan if value is None else value for value in values]
        axes.plot(moments_s, drawn, color=colour, marker=marker, markersize=3, label=name)
        if name in limits_ms:
            label = f"{name} at most {limits_ms[name]:g} ms"
            heights.append(limits_ms[name])
            axes.axhline(limits_ms[name], color=colour, linestyle=":", label=label)
    axes.set_xlim(left=0)
    axes.set_xlabel("time since the measured part began (s)")
    axes.set_title("over time", loc="left", fontsize=10)
    _finish(axes, heights)


def _draw_errors(axes: Axes, rows: list[Row]) -> None:
    """Bars on an axis of their own, behind the lines; nothing where there were none."""
    if not any(row.errors for row in rows):
        return
    behind = axes.twinx()
    behind.bar(
        [row.at_s for row in rows],
        [row.errors / row.span_s for row in rows],
        [row.span_s for row in rows],
        align="edge",
        color=_ERROR_COLOUR,
        alpha=0.3,
    )
    behind.set_ylabel("errors/s", color=_ERROR_COLOUR)
    behind.tick_params(axis="y", labelcolor=_ERROR_COLOUR)
    behind.set_ylim(bottom=0)
    axes.set_zorder(behind.get_zorder() + 1)
    axes.patch.set_visible(False)


def _draw_curves(axes: Axes, plan: Plan, figures: Figures) -> None:
    """Latency by percentile, each nine as wide as the one before."""
    curves = {"latency": figures.latency}
    if plan.rate_per_s is not None:
        curves = {"since calls were due": figures.latency, "since they were sent": figures.service}
    heights: list[float] = []
    for (label, histogram), style in zip(curves.items(), ("-", "--"), strict=False):
        curve = histogram.curve()
        heights += [ms for _, ms in curve if ms]
        places = [_place(percent) for percent, _ in curve]
        axes.plot(
            places, [ms for _, ms in curve], color=_CURVE_COLOUR, linestyle=style, label=label
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([_place(percent) for percent in _NINES]))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{percent:g} %" for percent in _NINES]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("of the calls took no longer")
    axes.set_title("by percentile", loc="left", fontsize=10)
    _finish(axes, heights)


def _place(percent: float) -> float:
    return 100 / (100 - percent)


def _finish(axes: Axes, heights: list[float]) -> None:
    """What both plots have: milliseconds upwards, a grid, a legend."""
    if heights and max(heights) > _WIDE * min(heights):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_ylabel("latency (ms)")
    axes.grid(visible=True, which="major", alpha=0.4)
    axes.grid(visible=True, which="minor", alpha=0.15)
    axes.legend(loc="best", fontsize=9)

"""The charts of the fan-out: what it costs, and how late events are."""

from pathlib import Path
from typing import Final

from benchmarks.charts import Chart, Panel, draw
from benchmarks.figures import Measurements
from benchmarks.rounds import Plan
from benchmarks.sse.figures import CALL_P99, CPU_DELIVERY, DELAY_P99, PER_SUBSCRIBER

_CHARTS: Final = (
    Chart(
        "sse-cost.png",
        "What a subscriber costs (less is better)",
        (
            Panel("CPU µs/delivery, 500", "fan500", CPU_DELIVERY),
            Panel("CPU µs/delivery, 5,000", "fan5000", CPU_DELIVERY),
            Panel("KiB each, idle, 5,000", "fan5000", PER_SUBSCRIBER),
        ),
    ),
    Chart(
        "sse-delay.png",
        "From a call to its event at a subscriber, p99 ms (less is better; logarithmic)",
        (
            Panel("500 subscribers", "fan500", DELAY_P99, logarithmic=True),
            Panel("5,000 subscribers", "fan5000", DELAY_P99, logarithmic=True),
            Panel("the calls themselves, 500", "fan500", CALL_P99, logarithmic=True),
        ),
    ),
)


def draw_charts(folder: Path, note: str, plan: Plan, measured: Measurements) -> list[Path]:
    return draw(folder, note, plan, measured, _CHARTS)

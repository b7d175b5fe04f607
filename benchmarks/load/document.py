"""The JSON document of a load: everything that was asked, measured and judged."""

from dataclasses import asdict
from typing import Final

import orjson

from benchmarks.load.figures import Fault, Figures
from benchmarks.load.histogram import Histogram
from benchmarks.load.plan import Plan
from benchmarks.load.verdict import Judged, judged, limited_by

PERCENTILES: Final = {
    "p50": 50.0,
    "p75": 75.0,
    "p90": 90.0,
    "p95": 95.0,
    "p99": 99.0,
    "p999": 99.9,
    "p9999": 99.99,
    "max": 100.0,
}


def document(plan: Plan, figures: Figures) -> bytes:
    """Times are in the unit that their name ends in; `null` is what nobody measured."""
    content = {
        "asked": _asked(plan),
        "measured_s": figures.measured_s,
        "interrupted": figures.interrupted,
        "calls": figures.calls,
        "rate_per_s": figures.rate_per_s,
        "latency_ms": _percentiles(figures.latency),
        "service_ms": _percentiles(figures.service),
        "errors": _errors(figures),
        "statuses": {str(status): count for status, count in sorted(figures.statuses.items())},
        "behind_schedule": None if plan.rate_per_s is None else asdict(figures.lateness),
        "generator": {
            "cpu_share": figures.cpu_share,
            "starved_share": figures.starved_share,
        },
        "limited_by": limited_by(plan, figures),
        "gates": [_gate(each) for each in judged(plan.gates, figures)],
        "seconds": [row._asdict() for row in figures.rows],
        "hdr": figures.latency.encoded(),
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _asked(plan: Plan) -> dict[str, object]:
    return {
        "url": plan.target.url,
        "unix": plan.target.unix_path,
        "method": plan.request.method.decode(),
        "body_bytes": plan.request.body_bytes,
        "rate_per_s": plan.rate_per_s,
        "connections": plan.connections,
        "duration_s": plan.duration_s,
        "ramp_s": plan.ramp_s,
        "warmup_s": plan.warmup_s,
        "timeout_s": plan.timeout_s,
    }


def _errors(figures: Figures) -> dict[str, object]:
    kinds = {fault.value: figures.faults[fault] for fault in Fault}
    return {
        "total": figures.errors,
        "percent": figures.error_percent,
        "kinds": kinds | {f"{first}xx": figures.answers_of(first) for first in (4, 5)},
        "examples": {fault.value: detail for fault, detail in figures.examples.items()},
    }


def _gate(verdict: Judged) -> dict[str, object]:
    gate = verdict.gate
    return {
        "name": gate.name,
        "limit": gate.limit,
        "unit": gate.unit,
        "measured": verdict.measured,
        "met": verdict.met,
    }


def _percentiles(histogram: Histogram) -> dict[str, float | None]:
    values = {name: histogram.at_ms(percent) for name, percent in PERCENTILES.items()}
    return {"mean": histogram.mean_ms, **values}

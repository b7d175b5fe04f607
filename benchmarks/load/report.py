"""What is said on the terminal: a line while the load is made, a page when it is over."""

from typing import Final, TextIO

from benchmarks.load.document import PERCENTILES
from benchmarks.load.figures import FIRST_ERROR, Fault, Figures, Row
from benchmarks.load.gates import MIN_RATE
from benchmarks.load.plan import Plan
from benchmarks.load.verdict import Judged, Limit, judged, limited_by

_FAULTS: Final = {
    Fault.REFUSED: "connection refused",
    Fault.UNCONNECTED: "not connected",
    Fault.TLS: "TLS failed",
    Fault.RESET: "connection reset",
    Fault.CLOSED: "closed without an answer",
    Fault.TIMEOUT: "timed out",
    Fault.MALFORMED: "malformed answer",
}
# Where the name leaves open what was wrong.
_TELLING: Final = frozenset({Fault.UNCONNECTED, Fault.TLS, Fault.MALFORMED})
_NOTHING: Final = "-"
_TO_END_OF_LINE: Final = "\x1b[K"


class Progress:
    """One line on a terminal, written anew every second; nothing anywhere else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._errors = 0

    def row(self, row: Row) -> None:
        self._errors += row.errors
        rate = f"{row.calls / row.span_s:,.0f} calls/s"
        at = f"{row.at_s + row.span_s:.0f} s"
        self._write(f"{at:>6} {rate:>16}   p99 {_ms(row.p99_ms)} ms   {self._errors:,} errors")

    def begin(self, plan: Plan) -> None:
        self._write(f"warm-up, {plan.warmup_s:g} s" if plan.warmup_s else "")

    def end(self) -> None:
        self._write("")

    def _write(self, line: str) -> None:
        if self._stream.isatty():
            print(f"\r{line}", end=_TO_END_OF_LINE, file=self._stream, flush=True)


def report(plan: Plan, figures: Figures) -> str:
    """The page, in paragraphs."""
    paragraphs = [
        _asked(plan, figures),
        [*_calls(plan, figures), *_errors(figures)],
        _latencies(plan, figures),
        _generator(plan, figures),
        [_verdict(each) for each in judged(plan.gates, figures)],
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines)


def _asked(plan: Plan, figures: Figures) -> list[str]:
    request = plan.request
    words = [_loop(plan), f"{plan.connections:,} connections", f"{plan.duration_s:g} s"]
    words += [f"ramp {plan.ramp_s:g} s"] if plan.ramp_s else []
    words += [f"after {plan.warmup_s:g} s of warm-up"] if plan.warmup_s else []
    words += [f"ended early after {figures.measured_s:.1f} s"] if figures.interrupted else []
    body = f", {request.body_bytes:,} bytes" if request.body_bytes else ""
    return [f"{request.method.decode()} {plan.target.url}{body}", ", ".join(words)]


def _loop(plan: Plan) -> str:
    if plan.rate_per_s is None:
        return "closed loop"
    return f"open loop at {plan.rate_per_s:,g} calls/s"


def _calls(plan: Plan, figures: Figures) -> list[str]:
    late = figures.lateness
    lines = [
        f"calls      {figures.calls:>10,}",
        f"calls/s    {figures.rate_per_s:>10,.0f}  answered without an error",
    ]
    if plan.rate_per_s is not None:
        lines += [
            f"late       {late.waited:>10,}  sent late: every connection was busy",
            f"overslept  {late.overslept:>10,}  sent late: the generator was",
            f"unsent     {late.unsent:>10,}  due, and not sent by the end",
        ]
    return lines


def _errors(figures: Figures) -> list[str]:
    kinds = [
        (_FAULTS[fault], count, figures.examples[fault] if fault in _TELLING else "")
        for fault, count in figures.faults.most_common()
    ]
    kinds += [
        (f"status {status}", count, "")
        for status, count in sorted(figures.statuses.items())
        if status >= FIRST_ERROR
    ]
    return [
        f"errors     {figures.errors:>10,}  {figures.error_percent:.3g} %",
        *(f"  {count:>19,}  {kind}{example and f': {example}'}" for kind, count, example in kinds),
    ]


def _latencies(plan: Plan, figures: Figures) -> list[str]:
    """One column; a second one where calls may have waited to be sent."""
    columns = {"since due": figures.latency, "since sent": figures.service}
    if plan.rate_per_s is None:
        columns = {"": figures.latency}
    heads = "".join(f"{head:>12}" for head in columns)
    lines = [f"latency ms {heads}".rstrip()]
    for name, percent in PERCENTILES.items():
        values = (f"{_ms(each.at_ms(percent)):>12}" for each in columns.values())
        lines.append(f"  {_spelt(name):<9}{''.join(values)}")
    return lines


def _generator(plan: Plan, figures: Figures) -> list[str]:
    said = {
        Limit.GENERATOR: "the generator: too busy or too late; the target may be better than this",
        Limit.TARGET: "the target: nobody calls before it has answered",
        None: "none: the rate was held",
    }
    if plan.rate_per_s is not None:
        said[Limit.TARGET] = "the target: it did not answer in time, or not without errors"
    return [
        f"generator  {figures.cpu_share:>10.0%}  of one core",
        f"starved    {figures.starved_share:>10.0%}  of the time it could run, and others did",
        f"limit      {said[limited_by(plan, figures)]}",
    ]


def _verdict(verdict: Judged) -> str:
    gate = verdict.gate
    measured = _NOTHING if verdict.measured is None else f"{verdict.measured:,.4g}"
    bound = "at least" if gate.name == MIN_RATE else "at most"
    said = "met" if verdict.met else "MISSED"
    limit = f"{bound} {gate.limit:,g} {gate.unit}"
    return f"gate {_spelt(gate.name):<9} {measured:>9}  {limit:<24} {said}"


def _spelt(name: str) -> str:
    """`p999` is written p99.9, `min_rate` min-rate."""
    digits = name.removeprefix("p")
    if digits.isdigit() and len(digits) > 2:  # noqa: PLR2004 - two are whole per cent
        return f"p{digits[:2]}.{digits[2:]}"
    return name.replace("_", "-")


def _ms(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:,.2f}"

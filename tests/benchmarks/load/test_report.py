"""What is said: page, document and progress."""

import io
from typing import Any

import orjson
import pytest

from benchmarks.load.document import document
from benchmarks.load.figures import Fault, Lateness, Row
from benchmarks.load.gates import Gate
from benchmarks.load.report import Progress, report
from tests.benchmarks.load.made import figures, plan

GATES = (Gate("p999", 20), Gate("errors", 0.1), Gate("min_rate", 500))
OPEN = plan(rate_per_s=50.0, gates=GATES, warmup_s=1.0, ramp_s=0.5)
PAGE = """\
POST http://a.example:8080/tools/x?y=1, 2 bytes
open loop at 50 calls/s, 32 connections, 2 s, ramp 0.5 s, after 1 s of warm-up

calls             102
calls/s            49  answered without an error
late                7  sent late: every connection was busy
overslept           0  sent late: the generator was
unsent              0  due, and not sent by the end
errors              4  3.92 %
                    1  connection reset
                    1  malformed answer: a reason
                    2  status 503

latency ms    since due  since sent
  p50              5.00        5.00
  p75              5.00        5.00
  p90              5.00        5.00
  p95              5.00        5.00
  p99              5.00        5.00
  p99.9            5.00        5.00
  p99.99           5.00        5.00
  max              5.00        5.00

generator         10%  of one core
starved            0%  of the time it could run, and others did
limit      the target: it did not answer in time, or not without errors

gate p99.9         5.003  at most 20 ms            met
gate errors        3.922  at most 0.1 %            MISSED
gate min-rate         49  at least 500 calls/s     MISSED"""


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def told(**keys: Any) -> Any:
    """The document of some figures, read again."""
    return orjson.loads(document(plan(gates=GATES), figures(**keys)))


def test_page_says_what_was_asked_measured_and_judged() -> None:
    made = figures(
        [200] * 98 + [503] * 2, faults=[Fault.RESET, Fault.MALFORMED], lateness=Lateness(waited=7)
    )

    assert report(OPEN, made) == PAGE


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "the target: nobody calls before it has answered"),
        ({"cpu_share": 0.97}, "the generator: too busy or too late"),
        ({"interrupted": True}, "ended early after 2.0 s"),
        ({"statuses": []}, "calls               0"),
    ],
    ids=["target", "generator", "ended-early", "nothing"],
)
def test_page_says_in_words_what_happened(keys: dict[str, Any], words: str) -> None:
    assert words in report(plan(), figures(**keys))


def test_rate_that_was_held_is_said_to_be() -> None:
    assert "none: the rate was held" in report(plan(rate_per_s=50.0), figures())


def test_document_has_every_figure_by_name() -> None:
    made = told(faults=[Fault.TIMEOUT])

    assert list(made) == [
        *("asked", "measured_s", "interrupted", "calls", "rate_per_s", "latency_ms", "service_ms"),
        *("errors", "statuses", "behind_schedule", "generator", "limited_by", "gates", "seconds"),
        "hdr",
    ]
    assert list(made["latency_ms"]) == [
        *("mean", "p50", "p75", "p90", "p95", "p99", "p999", "p9999", "max")
    ]
    assert made["errors"]["kinds"] == {
        **dict.fromkeys(("refused", "unconnected", "tls", "reset", "closed"), 0),
        "timeout": 1,
        "malformed": 0,
        "4xx": 0,
        "5xx": 0,
    }


def test_document_says_who_was_the_limit() -> None:
    limits = [told(**keys)["limited_by"] for keys in ({}, {"cpu_share": 1.0})]

    assert limits == ["target", "generator"]


def test_document_of_nothing_has_nulls() -> None:
    made = told(statuses=[])

    assert (made["calls"], made["latency_ms"]["p99"], made["gates"][0]["measured"]) == (
        0,
        None,
        None,
    )


def test_progress_writes_one_line_again_and_again() -> None:
    terminal = Terminal()
    progress = Progress(terminal)

    progress.begin(OPEN)
    progress.row(Row(0.0, 1.0, 4998, 2, 1.0, 2.0, 3.456))
    progress.row(Row(1.0, 1.0, 5001, 1, None, None, None))
    progress.end()

    lines = terminal.getvalue().split("\r")[1:]
    assert [line.removesuffix("\x1b[K") for line in lines] == [
        "warm-up, 1 s",
        "   1 s    4,998 calls/s   p99 3.46 ms   2 errors",
        "   2 s    5,001 calls/s   p99 - ms   3 errors",
        "",
    ]


def test_progress_is_silent_where_nobody_watches() -> None:
    stream = io.StringIO()
    progress = Progress(stream)

    progress.row(Row(0.0, 1.0, 1, 0, 1.0, 1.0, 1.0))
    progress.end()

    assert stream.getvalue() == ""

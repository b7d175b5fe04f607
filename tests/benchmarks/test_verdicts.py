from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.figures import CPU, Measurements, Round, Spread
from benchmarks.peers.envoy import ENVOY
from benchmarks.peers.nginx import NGINX
from benchmarks.peers.toolproxy import COMPILED, MANY_TOOLS, TEN_TOOLS, TOOLPROXY
from benchmarks.promises import PROMISES
from benchmarks.replicas.course import P99_AFTER
from benchmarks.replicas.peers import LEAST
from benchmarks.selection import Field
from benchmarks.sources import (
    Bar,
    Evidence,
    Promise,
    Source,
    of_one,
    own,
    own_worst,
    pairwise,
    ratio,
    worst_of,
)
from benchmarks.verdicts import as_rows, judge, needed, verdict_table

FIELD = Field({NGINX: "1", TOOLPROXY: "1", TEN_TOOLS: "1", MANY_TOOLS: "1"}, {"Envoy": "why"})


def evidence(**cpu_us: list[float]) -> Evidence:
    measured = Measurements()
    for peer, values in cpu_us.items():
        for value in values:
            measured.add("small", peer, Round({CPU.key: value}))
    return Evidence(measured, TOOLPROXY, Path())


def constant(value: float) -> Source:
    return Source(figure=lambda _: Spread.of([value]))


def failing(error: Exception) -> Source:
    def figure(_: Evidence) -> Spread:
        raise error

    return Source(figure=figure)


@pytest.mark.parametrize(
    ("bar", "met"),
    [
        (Bar("≤", 1.5), [True, True, False]),
        (Bar("<", 1.5), [True, False, False]),
        (Bar("≥", 1.5), [False, True, True]),
    ],
    ids=str,
)
def test_a_bar_is_met_on_its_own_side(bar: Bar, met: list[bool]) -> None:
    assert [bar.met(value) for value in (1.4, 1.5, 1.6)] == met


@pytest.mark.parametrize(
    ("bar", "value", "word", "kept"),
    [
        (Bar("≤", 1.0), 1.0, "kept", True),
        (Bar("≥", 1.0), 0.9, "MISSED", False),
        (None, 9.0, "for information", True),
    ],
)
def test_a_verdict_says_on_which_side_the_figure_is(
    bar: Bar | None, value: float, word: str, *, kept: bool
) -> None:
    verdict = judge(Promise("it", constant(value), bar), FIELD, evidence())

    assert (verdict.word, verdict.kept) == (word, kept)


def test_a_ratio_divides_ours_by_the_other() -> None:
    it = evidence(toolproxy=[30.0], nginx=[20.0])

    assert ratio("small", CPU, NGINX).figure(it) == Spread.of([1.5])


def test_two_that_nearly_agree_are_compared_in_pairs() -> None:
    it = evidence(tools10=[10.0, 30.0, 20.0], tools100000=[20.0, 30.0, 20.0])

    assert pairwise("small", CPU, TEN_TOOLS, of=MANY_TOOLS).figure(it) == Spread(1.0, 1.0, 2.0)


def test_a_ratio_may_be_of_two_others() -> None:
    it = evidence(tools100000=[21.0], tools10=[20.0])

    assert ratio("small", CPU, TEN_TOOLS, of=MANY_TOOLS).figure(it) == Spread.of([1.05])


@pytest.mark.parametrize(("source", "value"), [(own, 2.0), (own_worst, 3.0)])
def test_our_own_figure_is_the_median_or_the_worst(
    source: Callable[..., Source], value: float
) -> None:
    it = evidence(toolproxy=[1.0, 2.0, 3.0])

    assert source(CPU, "small").figure(it) == Spread(value, 1.0, 3.0)


def test_a_figure_may_be_that_of_one_proxy_or_the_worst_of_several() -> None:
    it = evidence(nginx=[1.0, 2.0, 3.0], envoy=[4.0])

    assert of_one(CPU, "small", NGINX).figure(it) == Spread(2.0, 1.0, 3.0)
    assert worst_of(CPU, "small", NGINX, ENVOY).figure(it) == Spread(4.0, 1.0, 4.0)


def test_a_promise_beside_one_that_is_left_out_is_not_kept() -> None:
    verdict = judge(Promise("it", ratio("small", CPU, ENVOY), Bar("≤", 1)), FIELD, evidence())

    assert (verdict.word, verdict.kept) == ("NOT MEASURED: Envoy is left out", False)


def test_a_measurement_that_breaks_is_told_and_ends_nothing() -> None:
    promise = Promise("it", failing(OSError("no such\n file")), Bar("≤", 1))

    verdict = judge(promise, FIELD, evidence())

    assert (verdict.word, verdict.kept) == ("NOT MEASURED: no such file", False)


def test_only_what_the_promises_need_is_measured() -> None:
    promises = [
        Promise("a", ratio("small", CPU, NGINX)),
        Promise("b", ratio("small", CPU, ENVOY)),
        Promise("c", ratio("tools", CPU, TEN_TOOLS, of=MANY_TOOLS)),
        Promise("d", of_one(P99_AFTER, "slow", LEAST)),
    ]
    field = Field({**FIELD.versions, LEAST: "1"}, {})

    plan = needed(promises, field, [TOOLPROXY])

    assert [(case.key, [peer.key for peer in peers]) for case, peers in plan] == [
        ("small", ["nginx", "toolproxy"]),
        ("tools", ["tools10", "tools100000"]),
        ("slow", ["least_request"]),
    ]


def test_each_build_takes_part_where_builds_differ() -> None:
    field = Field({**FIELD.versions, COMPILED: "1"}, {})

    ((_, peers),) = needed([Promise("a", own(CPU, "small"))], field, [COMPILED, TOOLPROXY])

    assert set(peers) == {COMPILED, TOOLPROXY}


def test_the_table_has_promise_bar_measured_and_verdict() -> None:
    promise = Promise("CPU per call", constant(1.25), Bar("≤", 1 / 30, "s"), digits=1)

    *_, row, _ = verdict_table([judge(promise, FIELD, evidence())])

    assert row == "| CPU per call | ≤ 0.0333 s | 1.2 | MISSED |"


def test_rows_for_programs_name_the_build() -> None:
    promise = Promise("it", constant(2.0), Bar("≤", 3))

    assert as_rows(TOOLPROXY, [judge(promise, FIELD, evidence())]) == [
        {
            "promise": "it",
            "build": "toolproxy",
            "bar": "≤ 3",
            "measured": {"value": 2.0, "low": 2.0, "high": 2.0},
            "verdict": "kept",
        }
    ]


def test_every_promise_is_said_once_in_words_of_its_own() -> None:
    words = [promise.words for promise in PROMISES]

    assert len(words) == len(set(words))

"""A plan is what was written, or one sentence that says why it is none."""

import argparse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.load.command import add_arguments
from benchmarks.load.gates import Gate
from benchmarks.load.plan import Plan, percent
from benchmarks.load.request import PlanError

URL = "http://a.example/x"


def plan(*arguments: str) -> Plan:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return Plan.of(parser.parse_args([URL, *arguments]))


def test_plan_without_words_is_a_closed_loop() -> None:
    made = plan()

    assert (made.rate_per_s, made.connections, made.duration_s, made.gates) == (None, 32, 10, ())


def test_spans_and_counts_are_taken_from_their_words() -> None:
    made = plan(
        *("--rate", "90/m", "-c", "4", "-d", "1m", "--ramp", "5s", "--warmup", "500ms"),
        *("--timeout", "250ms"),
    )

    assert (made.rate_per_s, made.connections, made.duration_s) == (1.5, 4, 60)
    assert (made.ramp_s, made.warmup_s, made.timeout_s) == (5, 0.5, 0.25)


def test_gates_have_the_unit_that_they_are_measured_in() -> None:
    made = plan("--p50", "1s", "--p999", "20ms", "--errors", "0.1%", "--min-rate", "500")

    assert [(*gate, gate.unit) for gate in made.gates] == [
        ("p50", 1000, "ms"),
        ("p999", 20, "ms"),
        ("errors", 0.1, "%"),
        ("min_rate", 500, "calls/s"),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--rate", "0"),
        ("--rate", "fast"),
        ("--rate", "-5"),
        ("--rate", "1" + "0" * 310),  # a float takes it for infinity
        ("-c", "60001"),
        ("-c", "0"),
        ("-c", "many"),
        ("-c", "1.5"),
        ("-d", "0"),
        ("-d", "soon"),
        ("--timeout", "0s"),
        ("--ramp", "11s"),
        ("--warmup", "1 s"),
        ("--p99", "quick"),
        ("--errors", "101%"),
        ("--errors", "none"),
        ("--min-rate", "x"),
        ("--cacert", "absent.pem"),
        ("--body", "@absent"),
        ("--header", "X"),
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[1][:9]}",
)
def test_what_can_not_be_done_is_said_in_one_sentence(arguments: tuple[str, ...]) -> None:
    with pytest.raises(PlanError) as raised:
        plan(*(f"{arguments[0]}={each}" for each in arguments[1:]))

    said = str(raised.value)
    assert said
    assert "\n" not in said


@settings(deadline=None, max_examples=60)
@given(st.floats(0, 100), st.booleans())
def test_percent_is_read_with_and_without_its_sign(number: float, sign: bool) -> None:  # noqa: FBT001 - drawn
    text = f"{number:.6f}{'%' if sign else ''}"

    assert percent("--errors", text) == pytest.approx(number, abs=1e-6)


@pytest.mark.parametrize(
    ("gate", "measured", "met"),
    [
        (Gate("p99", 20), 20.0, True),
        (Gate("p99", 20), 20.1, False),
        (Gate("errors", 0), 0.0, True),
        (Gate("min_rate", 500), 500.0, True),
        (Gate("min_rate", 500), 499.0, False),
        (Gate("p99", 20), None, False),
    ],
)
def test_gate_is_met_at_its_limit(gate: Gate, measured: float | None, *, met: bool) -> None:
    assert gate.met_by(measured) is met

"""Facts about numbers of other processes: how one number is made of many."""

import math

import pytest

from proxy.telemetry.elsewhere import Elsewhere, Labels, Part, Together

OURS: list[tuple[Labels, float]] = [(("a",), 4.0)]


def two() -> Elsewhere:
    elsewhere = Elsewhere()
    elsewhere.said(1, Part({"open": {("a",): 1.0}}, {"made": {("a",): 10.0}}))
    elsewhere.said(2, Part({"open": {("a",): 5.0, ("b",): 2.0}}, {"made": {("a",): 20.0}}))
    return elsewhere


@pytest.mark.parametrize(
    ("together", "whole"),
    [
        ("sum", {("a",): 10.0, ("b",): 2.0}),
        ("max", {("a",): 5.0, ("b",): 2.0}),
        ("ours", {("a",): 4.0}),
        ("theirs", {("a",): 6.0, ("b",): 2.0}),
    ],
)
def test_a_number_of_all_is_made_as_its_kind_says(
    together: Together, whole: dict[Labels, float]
) -> None:
    assert dict(two().with_ours("open", together, OURS)) == whole


@pytest.mark.parametrize("together", ["sum", "max", "ours", "theirs"])
def test_alone_it_is_ours(together: Together) -> None:
    assert Elsewhere().with_ours("open", together, OURS) is OURS


def test_what_was_counted_stays_when_its_process_is_gone() -> None:
    elsewhere = two()

    elsewhere.left(2)
    elsewhere.said(2, Part({}, {"made": {("a",): 1.0}}))

    assert (elsewhere.number("made", "a"), elsewhere.number("open", "a")) == (31, 1)


def test_who_was_never_there_may_leave() -> None:
    elsewhere = Elsewhere()

    elsewhere.left(1)

    assert (elsewhere.is_there, repr(elsewhere)) == (False, "<Elsewhere 0 processes>")


def test_the_least_is_that_of_all_who_say_it() -> None:
    elsewhere = Elsewhere()
    for slot, since in ((1, 7.0), (2, 3.0)):
        elsewhere.said(slot, Part({"since": {(): since}}, {}))

    assert (elsewhere.least("since"), elsewhere.least("unsaid")) == (3.0, math.inf)


async def test_alone_there_is_nobody_to_ask() -> None:
    await Elsewhere().renew()

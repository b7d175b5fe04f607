"""Facts about judgements: for how long, for whom, and how many."""

from decimal import Decimal
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.policy.judgements import Judgement, Judgements, kept_for_s, key_of, may_be_kept

YES: Final = Judgement(allow=True)
NO: Final = Judgement(allow=False, reason="no")
FAILED: Final = Judgement(allow=False, failed=True)
LEVELS: Final = ("low", "medium", "high", "critical", "unheard-of")

VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([0.5, 1.0, 2.0**70]) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def filtered(size_bytes: int) -> Judgement:
    return Judgement(allow=True, filtered=b"x" * size_bytes)


def exact(value: object) -> object:
    """A value that is equal to no other, as `1`, `1.0` and `True` are."""
    if isinstance(value, dict):
        return "object", frozenset((name, exact(inner)) for name, inner in value.items())
    if isinstance(value, list | tuple):
        return "list", tuple(map(exact, value))
    return type(value), value


# --- for how long ---


@pytest.mark.parametrize(
    ("judgement", "spans_s"),
    [
        pytest.param(YES, (1800, 300, 60, 0, 0), id="allowed"),
        pytest.param(NO, (5, 5, 5, 0, 0), id="denied"),
        pytest.param(FAILED, (0, 0, 0, 0, 0), id="failed"),
    ],
)
def test_level_says_for_how_long(judgement: Judgement, spans_s: tuple[float, ...]) -> None:
    assert tuple(kept_for_s(judgement, level) for level in LEVELS) == spans_s


def test_what_is_critical_or_unheard_of_is_never_kept() -> None:
    assert [may_be_kept(level) for level in LEVELS] == [True, True, True, False, False]


@pytest.mark.parametrize(("now", "found"), [(10.0, YES), (69.9, YES), (70.0, None)])
def test_judgement_is_found_until_its_time_has_passed(now: float, found: Judgement | None) -> None:
    judgements = Judgements()

    judgements.keep(b"k", YES, "high", 10.0)

    assert judgements.find(b"k", now) is found


def test_judgement_about_something_else_is_not_found() -> None:
    judgements = Judgements()

    judgements.keep(b"k", YES, "low", 0.0)

    assert judgements.find(b"l", 0.0) is None


@pytest.mark.parametrize(("judgement", "level"), [(FAILED, "low"), (YES, "critical")])
def test_what_may_not_be_used_again_is_not_kept(judgement: Judgement, level: str) -> None:
    judgements = Judgements()

    judgements.keep(b"k", judgement, level, 0.0)

    assert repr(judgements) == "<Judgements 0, 0 bytes>"


def test_newer_judgement_takes_the_place_of_the_one_before() -> None:
    judgements = Judgements()
    judgements.keep(b"k", filtered(10), "low", 0.0)

    judgements.keep(b"k", NO, "low", 1.0)

    assert (judgements.find(b"k", 2.0), repr(judgements)) == (NO, "<Judgements 1, 0 bytes>")


# --- how many ---


def test_oldest_goes_when_there_are_too_many() -> None:
    judgements = Judgements(most=2)

    for key in (b"a", b"b", b"a", b"c"):
        judgements.keep(key, YES, "low", 0.0)

    assert [judgements.find(key, 0.0) for key in (b"a", b"b", b"c")] == [YES, None, YES]


def test_oldest_go_when_parameters_take_too_much_room() -> None:
    judgements = Judgements(most_bytes=100)

    for key, size_bytes in ((b"a", 40), (b"b", 40), (b"c", 90)):
        judgements.keep(key, filtered(size_bytes), "low", 0.0)

    assert repr(judgements) == "<Judgements 1, 90 bytes>"
    assert judgements.find(b"c", 0.0) == filtered(90)


def test_what_has_no_room_at_all_costs_the_others_nothing() -> None:
    judgements = Judgements(most_bytes=100)
    judgements.keep(b"a", filtered(100), "low", 0.0)

    judgements.keep(b"b", filtered(101), "low", 0.0)

    assert (judgements.find(b"a", 0.0), judgements.find(b"b", 0.0)) == (filtered(100), None)


def test_ten_thousand_and_16_mib_are_the_most() -> None:
    judgements = Judgements()

    for number in range(10_001):
        judgements.keep(number.to_bytes(2, "big"), filtered(1), "low", 0.0)
    many = repr(judgements)
    for number in range(17):
        judgements.keep(number.to_bytes(2, "big"), filtered(2**20), "low", 0.0)

    assert (many, repr(judgements)) == (
        "<Judgements 10000, 10000 bytes>",
        f"<Judgements 16, {2**24} bytes>",
    )


# --- for whom ---


@example(({"id": "a", "teams": ["b"]}, "c"), ({"id": "a", "teams": ["b", "c"]}, ""))
@example(("a", "bc"), ("ab", "c"))
@example(('a","b', ""), ("a", "b"))
@example((1,), (True,))
@example((1,), (1.0,))
@example((1,), ("1",))
@example((None,), ("null",))
@example(({},), ([],))
@given(st.lists(VALUES, max_size=4).map(tuple), st.lists(VALUES, max_size=4).map(tuple))
def test_different_questions_have_different_keys(
    one: tuple[object, ...], other: tuple[object, ...]
) -> None:
    assert (key_of(one) == key_of(other)) is (exact(one) == exact(other))


def test_order_of_an_object_s_keys_makes_no_other_question() -> None:
    assert key_of(({"a": 1, "b": {"c": 2, "d": 3}},)) == key_of(({"b": {"d": 3, "c": 2}, "a": 1},))


def test_numbers_differ_in_their_last_digit() -> None:
    numbers = [2**70, 2**70 + 1, Decimal("0.10000000000000000001"), 0.1]

    assert len({key_of((number,)) for number in numbers}) == len(numbers)


def test_key_says_nothing_of_what_was_asked() -> None:
    assert len(key_of(({"password": "secret"},))) == 32


def test_half_a_surrogate_pair_has_no_key() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        key_of(("\ud800",))

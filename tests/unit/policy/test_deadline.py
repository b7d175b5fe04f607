"""Facts about deadlines: what a caller may ask for."""

import pytest

from proxy.errors import BadValueError
from proxy.policy.deadline import asked_timeout_s
from tests.support.octets import DIGITS, EVERY, put

MOST_S = 600.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param(b"3", 3.0, id="seconds"),
        pytest.param(b"0.25", 0.25, id="part-of-a-second"),
        pytest.param(b"007", 7.0, id="zeros-in-front"),
        pytest.param(b"0.000000001", 1e-9, id="shortest"),
        pytest.param(b"600", 600.0, id="as-long-as-it-may"),
        pytest.param(b"600.1", 600.0, id="a-little-longer"),
        pytest.param(b"999999999.999999999", 600.0, id="absurdly-long"),
    ],
)
def test_caller_gets_the_seconds_it_asks_for_up_to_the_most(value: bytes, seconds: float) -> None:
    assert asked_timeout_s(value, MOST_S) == seconds


BAD = {
    "nothing": b"",
    "nought": b"0",
    "nought-in-full": b"000.000",
    "negative": b"-1",
    "signed": b"+1",
    "exponent": b"1e3",
    "infinite": b"inf",
    "no-number": b"nan",
    "word": b"soon",
    "unit": b"3s",
    "repeated": b"1, 2",
    "two-dots": b"1.2.3",
    "dot": b".",
    "dot-in-front": b".5",
    "dot-at-the-end": b"5.",
    "space-inside": b"1 2",
    "space-around": b" 1 ",
    "newline": b"1\n",
    "underscored": b"1_0",
    "hexadecimal": b"0x1",
    "other-digits": "\u0663".encode(),
    "ten-digits": b"1234567890",
    "ten-digits-behind-the-dot": b"1.1234567890",
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_what_is_no_number_above_nought_is_refused(value: bytes) -> None:
    with pytest.raises(BadValueError, match="Request-Timeout is not a number of seconds above 0"):
        asked_timeout_s(value, MOST_S)


def test_refusal_leaves_the_connection_open() -> None:
    assert (BadValueError.status, BadValueError.closes) == (400, False)


@pytest.mark.parametrize(
    ("template", "taken"),
    [
        pytest.param(b"@@", DIGITS - {ord("0")}, id="alone"),
        pytest.param(b"1@@", DIGITS, id="last"),
        pytest.param(b"@@1", DIGITS, id="first"),
        pytest.param(b"1@@1", DIGITS | {ord(".")}, id="between-two-digits"),
    ],
)
def test_octet_is_taken_in_a_number(template: bytes, taken: frozenset[int]) -> None:
    found = {octet for octet in EVERY if _taken(put(template, octet))}

    assert found == taken


def _taken(value: bytes) -> bool:
    try:
        return asked_timeout_s(value, MOST_S) > 0
    except BadValueError:
        return False

"""Facts about plain objects: what is one, what is refused, and what goes on as it came."""

import sys
from decimal import Decimal

import pytest

from proxy.errors import BadValueError
from proxy.wire.plain_object import DEEPEST, read_object, write_object


def nested(levels: int, opens: str = '{"a":', closes: str = "}") -> bytes:
    """An object with so many levels, all but the outer one of the kind that is given."""
    inner = levels - 1
    return b'{"a":%b1%b}' % (opens.encode() * inner, closes.encode() * inner)


def refusal(body: bytes) -> str:
    with pytest.raises(BadValueError) as caught:
        read_object(body)
    assert (caught.value.status, caught.value.closes) == (400, False)
    return caught.value.detail


# --- what is one ---


@pytest.mark.parametrize(
    ("body", "found"),
    [
        pytest.param(b"", {}, id="nothing"),
        pytest.param(b"{}", {}, id="empty"),
        pytest.param(b' \t\r\n{ "a" : 1 }\n', {"a": 1}, id="white-space"),
        pytest.param(b'{"a":[null,true,false,"x"]}', {"a": [None, True, False, "x"]}, id="values"),
        pytest.param('{"é":"\u2028"}'.encode(), {"é": "\u2028"}, id="utf-8"),
        pytest.param(rb'{"a":"\ud83d\ude00\u0000"}', {"a": "\U0001f600\0"}, id="escapes"),
        pytest.param(rb'{"a":"\\ud800"}', {"a": r"\ud800"}, id="escaped-backslash"),
        pytest.param(b'{"a":{"b":1},"b":{"b":2}}', {"a": {"b": 1}, "b": {"b": 2}}, id="same-names"),
    ],
)
def test_body_is_the_object_that_it_says(body: bytes, found: dict[str, object]) -> None:
    assert read_object(body) == found


def test_nothing_is_another_object_each_time() -> None:
    read_object(b"")["a"] = 1

    assert read_object(b"") == {}


# --- what goes on as it came ---


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "-1",
        "18446744073709551616",
        "-9223372036854775809",
        "9" * 4300,
        "0.0",
        "-0.0",
        "0.1",
        "1.5",
        "0.30000000000000004",
        "0.1000000000000000055511151231257827",
        "12345678901234567890.12",
        "5e-324",
        "1.7976931348623157e308",
    ],
)
def test_number_is_written_as_it_was_read(number: str) -> None:
    body = b'{"a":%b}' % number.encode()

    assert write_object(read_object(body)) == body


@pytest.mark.parametrize("number", ["1e5", "1E+5", "1.50", "-0", "100000000.000000000", "0e0"])
def test_number_in_other_words_is_the_same_number(number: str) -> None:
    written = write_object(read_object(b'{"a":%b}' % number.encode()))

    assert Decimal(written.decode()[5:-1]) == Decimal(number)


def test_what_a_float_can_be_is_a_float() -> None:
    found = read_object(b'{"a":[0.1,0.30000000000000004,1e5]}')

    assert repr(found) == "{'a': [0.1, 0.30000000000000004, 100000.0]}"


def test_object_is_written_in_few_bytes_and_in_its_own_order() -> None:
    assert write_object({"b": [1, "é"], "a": None}) == '{"b":[1,"é"],"a":null}'.encode()


# --- what is refused ---


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(b" ", "is not JSON (Expecting value, at character 1)", id="white-space-only"),
        pytest.param(b'{"a":1', "is not JSON", id="broken-off"),
        pytest.param(b"{'a':1}", "is not JSON", id="single-quotes"),
        pytest.param(b'{"a":1,}', "is not JSON", id="trailing-comma"),
        pytest.param(b'{"a":01}', "is not JSON", id="leading-zero"),
        pytest.param(b'{"a":+1}', "is not JSON", id="plus"),
        pytest.param(b'{"a":1}{', "is not JSON (Extra data, at character 7)", id="more-behind"),
        pytest.param(b'{"a":"\n"}', "(Invalid control character, at character 6)", id="control"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', "is not JSON", id="byte-order-mark"),
        pytest.param('{"a":1}'.encode("utf-16"), "is not UTF-8", id="utf-16"),
        pytest.param(b'{"a":"\xff"}', "is not UTF-8", id="no-utf-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', "is not UTF-8", id="surrogate-in-utf-8"),
        pytest.param(b"[]", "is not a JSON object", id="list"),
        pytest.param(b"null", "is not a JSON object", id="null"),
        pytest.param(b'"a"', "is not a JSON object", id="string"),
        pytest.param(b'{"a":1,"a":1}', "has a key twice", id="repeated-key"),
        pytest.param(rb'{"a":1,"\u0061":2}', "has a key twice", id="repeated-in-other-words"),
        pytest.param(b'{"a":[{"b":{"c":1,"c":1}}]}', "has a key twice", id="repeated-inside"),
        pytest.param(b'{"a":NaN}', "NaN in the body", id="nan"),
        pytest.param(b'{"a":Infinity}', "Infinity in the body", id="infinity"),
        pytest.param(b'{"a":[-Infinity]}', "-Infinity in the body", id="minus-infinity"),
        pytest.param(b'{"a":1e400}', "beyond a double's range", id="too-large"),
        pytest.param(b'{"a":-1e400}', "beyond a double's range", id="too-small"),
        pytest.param(b'{"a":1e-400}', "beyond a double's range", id="too-close-to-nothing"),
        pytest.param(b'{"a":%b}' % (b"9" * 4301), "too many digits", id="digits"),
        pytest.param(b'{"a":0.%b}' % (b"1" * 4300), "too many digits", id="fraction-digits"),
        pytest.param(rb'{"a":"\ud800"}', "half a surrogate pair", id="half-a-pair"),
        pytest.param(rb'{"\uDC00":1}', "half a surrogate pair", id="half-a-pair-in-a-key"),
        pytest.param(nested(DEEPEST + 1), "nested too deeply", id="objects"),
        pytest.param(nested(DEEPEST + 1, "[", "]"), "nested too deeply", id="lists"),
        pytest.param(nested(100_000), "nested too deeply", id="deeper-than-the-stack"),
    ],
)
def test_what_two_readers_could_take_differently_is_refused(body: bytes, why: str) -> None:
    assert why in refusal(body)


def test_python_s_own_limit_of_digits_may_be_lower() -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        assert "too many digits" in refusal(b'{"a":%b}' % (b"9" * 641))
    finally:
        sys.set_int_max_str_digits(before)


@pytest.mark.parametrize("kind", [('{"a":', "}"), ("[", "]")], ids=["objects", "lists"])
def test_as_deep_as_may_be_is_read_and_written(kind: tuple[str, str]) -> None:
    body = nested(DEEPEST, *kind).removesuffix(b"}") + b',"b":[[],{}]}'

    assert write_object(read_object(body)) == body


def test_wide_is_not_deep() -> None:
    body = b'{"a":[%b{}]}' % (b"{}," * 3 * DEEPEST)

    assert write_object(read_object(body)) == body


def test_who_asks_may_allow_for_more_levels() -> None:
    body = nested(DEEPEST + 2)

    assert write_object(read_object(body, deepest=DEEPEST + 2)) == body


@pytest.mark.parametrize("body", [b'{"secret":1,"secret":2}', b'{"secret":secret}'])
def test_refusal_repeats_nothing_of_the_body(body: bytes) -> None:
    assert "secret" not in refusal(body)

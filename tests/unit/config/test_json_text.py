"""Facts about JSON texts: numbers as JSON has them, and nothing silent."""

import pytest

from proxy.config.compose import MAX_DEPTH, Odd, RefusedError
from proxy.config.document import read_document
from proxy.config.json_text import may_be_json, read_json


def value_of(text: str) -> object:
    found = read_json(text.encode())
    assert found is not None
    return found[0]


def traps_of(text: str) -> list[tuple[tuple[str | int, ...], str, str]]:
    found = read_json(text.encode())
    assert found is not None
    return [(trap.path, trap.code, trap.message) for trap in found[1]]


@pytest.mark.parametrize(
    ("text", "may"),
    [
        (b'{"a": 1}', True),
        (b" \t\r\n[", True),
        (b"{a: 1}", True),
        (b"a: {}", False),
        (b"1", False),
        (b"", False),
        (b" ", False),
        (b"\x0b{}", False),
    ],
)
def test_only_mappings_and_lists_are_worth_asking(text: bytes, *, may: bool) -> None:
    assert may_be_json(text) is may


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e5", 100000.0),
        ("1E-5", 1e-05),
        ("-0.0", -0.0),
        ("-0", 0),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ('"on"', "on"),
        ('"\\ud83e\\udd80"', "🦀"),
        ("null", None),
    ],
)
def test_value_is_what_json_says(text: str, value: object) -> None:
    found = value_of(f"[{text}]")

    assert repr(found) == repr([value])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("18446744073709551616", "number beyond 64 bits"),
        ("-9223372036854775809", "number beyond 64 bits"),
        ("9" * 100_000, "number beyond 64 bits"),
        ("NaN", "number that is not finite"),
        ("-Infinity", "number that is not finite"),
        ("1e999", "number that is not finite"),
    ],
)
def test_number_that_readers_do_not_agree_on_is_odd(text: str, kind: str) -> None:
    assert value_of(f'{{"a": [{text}]}}') == {"a": [Odd(kind, text)]}
    assert traps_of(f'{{"a": [{text}]}}') == [(("a", 0), "BAD_TYPE", f"this is a {kind}")]


def test_repeated_key_is_found_where_it_is() -> None:
    text = '{"a": [{"b": 1, "c": 2, "b": 3, "b": 4}], "a\\u0062": 1, "ab": 2}'

    assert sorted(traps_of(text)) == [
        (("a", 0, "b"), "DUPLICATE_KEY", "repeated; the last one holds"),
        (("ab",), "DUPLICATE_KEY", "repeated; the last one holds"),
    ]
    assert value_of(text) == {"a": [{"b": 4, "c": 2}], "ab": 2}


@pytest.mark.parametrize(
    "text",
    ["{a: 1}", "{'a': 1}", "[1,]", "[1] [2]", "[01]", '["\\ud800"]', '["\t"]', '{"a": 1}\n---\n'],
)
def test_what_is_no_json_is_left_to_yaml(text: str) -> None:
    assert read_json(text.encode()) is None


@pytest.mark.parametrize("text", [b'["\xff"]', '["a"]'.encode("utf-16"), b'["\xed\xa0\x80"]'])
def test_what_is_no_utf_8_is_left_to_yaml(text: bytes) -> None:
    assert read_json(text) is None


@pytest.mark.parametrize("text", ["[" * 200 + "]" * 200, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_what_is_nested_too_deep_is_refused(text: str) -> None:
    with pytest.raises(RefusedError, match=f"deeper than {MAX_DEPTH}") as caught:
        read_json(text.encode())

    assert caught.value.code == "TOO_DEEP"


def test_bound_of_depth_is_that_of_yaml() -> None:
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH

    as_yaml = read_document("---\n" + deepest)

    assert value_of(deepest) == as_yaml.root
    with pytest.raises(RefusedError):
        read_json(f"[{deepest}]".encode())

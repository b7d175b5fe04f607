"""JSON goes out compact and in UTF-8, and comes in with limits."""

import pytest

from proxy.client.codec import decoded, encoded, mapping


def test_what_goes_out_is_one_compact_line() -> None:
    assert encoded({"a": [1, "ü\n"]}, "x") == '{"a":[1,"ü\\n"]}'.encode()


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), b"x", "\ud800", object()])
def test_what_is_no_json_is_named(value: object) -> None:
    with pytest.raises(ValueError, match="parameters cannot be written as JSON"):
        encoded({"a": value}, "parameters")


def test_what_refers_to_itself_is_no_json() -> None:
    endless: list[object] = []
    endless.append(endless)

    with pytest.raises(ValueError, match="cannot be written"):
        encoded(endless, "parameters")


@pytest.mark.parametrize("octets", [b"", b"{", b"[" * 100_000, b"\xff"], ids=len)
def test_what_cannot_be_read_is_a_value_error(octets: bytes) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        decoded(octets)


def test_mapping_of_anything_else_is_empty() -> None:
    assert (mapping([1]), mapping({"a": 1})) == ({}, {"a": 1})

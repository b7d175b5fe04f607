"""Facts about JSON values side by side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.generations.values import ABSENT, lacks, paired, same, step, steps


@pytest.mark.parametrize(
    ("old", "new", "are_same"),
    [
        pytest.param(1, 1.0, True, id="whole-and-float"),
        pytest.param(1, True, False, id="number-and-truth"),
        pytest.param(False, 0, False, id="truth-and-number"),
        pytest.param([1, {"a": 0}], [1, {"a": False}], False, id="deep-within"),
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, True, id="keys-in-another-order"),
        pytest.param([1, 2], [2, 1], False, id="list-in-another-order"),
        pytest.param((1,), [1], True, id="tuple-and-list"),
        pytest.param({"a": None}, {"b": None}, False, id="null-under-another-key"),
        pytest.param({}, [], False, id="two-kinds-of-empty"),
        pytest.param("1", 1, False, id="text-and-number"),
    ],
)
def test_values_are_the_same_as_json_has_it(old: object, new: object, *, are_same: bool) -> None:
    assert same(old, new) is are_same
    assert same(new, old) is are_same


@pytest.mark.parametrize(
    ("old", "new", "is_less"),
    [
        pytest.param([1, 2], [2, 1, 3], False, id="all-kept"),
        pytest.param([1, 2], [2], True, id="one-lost"),
        pytest.param([True], [1], True, id="truth-is-no-number"),
        pytest.param([1], [1.0], False, id="same-number"),
        pytest.param([{"a": [1]}], [{"a": [1]}], False, id="mappings"),
        pytest.param([[None]], [None], True, id="lists-within"),
        pytest.param("text", [], False, id="no-list-has-nothing"),
        pytest.param(["a"], "a", True, id="no-list-keeps-nothing"),
    ],
)
def test_a_list_lacks_what_it_lost(old: object, new: object, *, is_less: bool) -> None:
    assert lacks(old, new) is is_less


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError, match="no JSON value: set"):
        lacks([{1}], [])


def test_keys_are_paired_and_new_ones_come_last() -> None:
    rows = list(paired({"a": 1, "b": None}, {"c": 3, "a": 2}))

    assert rows == [("a", 1, 2), ("b", None, ABSENT), ("c", ABSENT, 3)]


@pytest.mark.parametrize(
    ("key", "path"),
    [("b", "a.b"), ("$ref", "a.$ref"), ("b.c", 'a["b.c"]'), ("", 'a[""]'), ('"]', r'a["\"]"]')],
)
def test_a_path_shows_where_a_key_ends(key: str, path: str) -> None:
    assert step("a", key) == path


@given(st.lists(st.text(st.characters(codec=None), max_size=9), max_size=5))
def test_a_path_tells_its_keys(keys: list[str]) -> None:
    path = "root"
    for key in keys:
        path = step(path, key)

    assert steps(path) == ["root", *keys]

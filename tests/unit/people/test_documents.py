import json  # noqa: TID251 - the other reader of what is written

from hypothesis import given
from hypothesis import strategies as st

from proxy.people.documents import is_json, laid_out, written

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    LEAVES, lambda each: st.lists(each) | st.dictionaries(st.text(), each), max_leaves=10
)


@given(VALUES)
def test_laid_out_it_says_the_same(value: object) -> None:
    assert json.loads(laid_out(written(value))) == value


@given(VALUES)
def test_laid_out_it_looks_as_the_standard_library_s(value: object) -> None:
    standard = json.dumps(value, indent=2, ensure_ascii=False)

    assert laid_out(written(value)) == standard


def test_words_and_their_order_stay() -> None:
    text = '{"n":1.10,"n":1e400,"s":"\\u0061\\"]"}'

    assert laid_out(text) == '{\n  "n": 1.10,\n  "n": 1e400,\n  "s": "\\u0061\\"]"\n}'


def test_numbers_of_any_size_are_written() -> None:
    assert written({"n": 10**30, "ž": "\ud800"}) == '{"n":1' + "0" * 30 + ',"ž":"\ud800"}'


def test_any_depth_is_laid_out() -> None:
    deep = "[" * 5_000 + "]" * 5_000

    assert "".join(laid_out(deep).split()) == deep


def test_what_is_too_deep_to_be_read_is_no_json() -> None:
    assert (is_json(b"[" * 100_000), is_json(b'{"a": [1]}'), is_json(b"\xff")) == (
        False,
        True,
        False,
    )

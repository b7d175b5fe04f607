"""Whatever a body is, it is refused or has one meaning, and that is what goes on."""

import json  # noqa: TID251 - reads with the decimals as they stand, by which ours is judged
from decimal import Decimal
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import BadValueError
from proxy.wire.plain_object import read_object, write_object

NUMBERS: Final = (
    st.integers()
    | st.integers(2**63 - 2, 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals("-1e30", "1e30", places=20).filter(lambda number: "E" not in str(number))
)
VALUES: Final[st.SearchStrategy[object]] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
OBJECTS: Final[st.SearchStrategy[dict[str, object]]] = st.dictionaries(
    st.text(), VALUES, max_size=5
)
# Bytes that are often nearly JSON.
NEARLY: Final = st.lists(
    st.sampled_from(
        [
            *("{", "}", "[", "]", ",", ":", '"a"', '"b"', '"', " ", "\\", "\0", r'"\ud800"'),
            *("1", "-0", "1e5", "1e999", "0.1", "12345678901234567890.5", "NaN", "null"),
        ]
    ),
    max_size=14,
).map(lambda pieces: ("{" + "".join(pieces) + "}").encode())


def exactly(body: bytes) -> Any:
    """Another reading, with every number as it is written; ValueError for repeated keys."""
    return json.loads(body, object_pairs_hook=once, parse_int=Decimal, parse_float=Decimal)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("twice")
    return dict(pairs)


@given(OBJECTS)
def test_object_that_is_written_is_read_as_the_same(found: dict[str, object]) -> None:
    written = write_object(found)

    again = write_object(read_object(written))

    assert exactly(again) == exactly(written)
    assert write_object(read_object(again)) == again


@settings(max_examples=300)
@given(NEARLY | st.binary() | OBJECTS.map(write_object))
def test_what_is_taken_means_the_same_when_it_goes_on(body: bytes) -> None:
    try:
        found = read_object(body)
    except BadValueError:
        return

    assert exactly(write_object(found)) == (exactly(body) if body else {})

"""Whatever is written, reading gives what was meant or says what is wrong."""

import contextlib

import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.document import DocumentError, read_document

KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | KEYS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
# Text that is mostly YAML's own signs gets further than text at large.
SIGNS = st.lists(
    st.sampled_from(["&a ", "*a", "<<", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ",", "!!set "])
    | st.sampled_from(["? ", "!x ", "---\n", "|\n", "'", '"', "\\ud83d", "1:2", "on", "2024-01-01"])
    | st.text(max_size=2),
    max_size=40,
).map("".join)


@given(VALUES)
def test_what_was_dumped_is_read(value: object) -> None:
    found = read_document(yaml.safe_dump(value, allow_unicode=True))

    assert (found.root, found.findings) == (value, ())


@given(st.text() | SIGNS | st.binary())
def test_text_is_read_or_refused_and_nothing_else(text: str | bytes) -> None:
    with contextlib.suppress(DocumentError):
        found = read_document(text)
        assert found.locate([("a",), (0, "b")]) is not None


@given(SIGNS)
def test_what_safe_load_reads_is_read_alike_or_a_trap(text: str) -> None:
    with contextlib.suppress(DocumentError, yaml.YAMLError, ValueError):
        found = read_document(text)
        expected = yaml.load(text, Loader=yaml.CSafeLoader)  # it is the safe one
        assert found.findings or found.root == expected

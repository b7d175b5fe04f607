import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.conversion.written import entry, flow, item, remarks, scalar, text_of

VALUES = st.recursive(
    st.text() | st.integers(-5, 10**9) | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "text", ["on", "no", "1.0", "1:30", "0x1", "*", "2027-01-01", "", " a", "~", "a: b"]
)
def test_what_yaml_would_mistake_is_quoted(text: str) -> None:
    assert scalar(text).startswith('"')


@pytest.mark.parametrize(
    "text", ["60s", "10MiB", "127.0.0.1:80", "$host", "/a/b", "http://b:80", "app"]
)
def test_what_people_write_is_bare(text: str) -> None:
    assert scalar(text) == text


@given(VALUES)
def test_whatever_is_written_reads_back(value: object) -> None:
    assert yaml.safe_load(text_of(entry("key", value))) == {"key": value}
    assert yaml.safe_load(flow(value)) == value


def test_long_mappings_are_unfolded_below_their_dash() -> None:
    value = {"match": {"prefix": "/x" * 40}, "to": "app", "headers": {"A": "b" * 90}}

    assert yaml.safe_load("list:\n" + text_of(item(value))) == {"list": [value]}


def test_a_remark_stays_a_remark() -> None:
    assert list(remarks("a\x1b\nb")) == ["# a\\x1b", "# b"]

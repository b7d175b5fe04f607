"""Whatever a JSON document is written in, its identity is that of `json.dumps`."""

import hashlib
import json  # noqa: TID251 - what identities are held against
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.document import read_document
from proxy.registry.identity import canonical_of

# PyYAML writes U+0085 as a break in some styles, and does not read it again itself.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85"), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from(["<<", "=", "on", "1e5", "2024-01-01", "~", "!!x", "&a", "*a", "0x1", "1:30"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)
# What is neither is no registry, and read as YAML.
DOCUMENTS = st.lists(VALUES, max_size=5) | st.dictionaries(TEXTS, VALUES, max_size=5)
STYLES = st.fixed_dictionaries(
    {
        "default_flow_style": st.sampled_from([True, False, None]),
        "default_style": st.sampled_from([None, '"', "'"]),
        "allow_unicode": st.booleans(),
        "sort_keys": st.booleans(),
        "indent": st.sampled_from([2, 7]),
        "width": st.just(10**6),  # PyYAML folds some texts so that it reads others
        "line_break": st.sampled_from(["\n", "\r\n"]),
    }
)


def identity_of(text: str) -> tuple[str, bool]:
    found = read_document(text)
    canonical = canonical_of(found.root, shares=found.may_share)
    return canonical.identity, canonical.exact


def wanted(document: object) -> tuple[str, bool]:
    octets = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(octets).hexdigest(), True


@given(DOCUMENTS, STYLES)
def test_yaml_has_the_identity_of_json(document: object, style: dict[str, Any]) -> None:
    # What JSON could be too is JSON, with its own numbers; a comment makes it YAML.
    text = "# YAML\n" + yaml.safe_dump(document, **style)

    assert identity_of(text) == wanted(document)


@given(document=DOCUMENTS, indent=st.sampled_from([None, 1, "\t"]), ensure_ascii=st.booleans())
def test_json_has_its_own_identity(
    document: object, indent: int | str | None, *, ensure_ascii: bool
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ensure_ascii)

    assert identity_of(text) == wanted(document)


@given(DOCUMENTS, DOCUMENTS)
def test_two_documents_have_two_identities(one: object, other: object) -> None:
    alike = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (wanted(one) == wanted(other)) is alike
    assert (canonical_of(one).identity == canonical_of(other).identity) is alike

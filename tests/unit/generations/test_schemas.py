"""Facts about two JSON schemas: does the new one refuse what the old one let pass?"""

from typing import Any, Final

import pytest

from proxy.generations.schemas import schema_changes
from proxy.generations.severity import Change, ChangeClass

OPEN: Final[dict[str, Any]] = {"type": "object", "properties": {"a": {"type": "string"}}}
CLOSED: Final = OPEN | {"additionalProperties": False}


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    return [change for change in schema_changes("in", old, new) if change]


def told(old: dict[str, Any], new: dict[str, Any]) -> dict[str, str]:
    return {change.path: change.change_class.value for change in changes(old, new)}


def of_a(**words: object) -> dict[str, Any]:
    return {"properties": {"a": words}}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param({}, OPEN, {"in.type": "compatible", "in.properties": "compatible"}, id="new"),
        pytest.param({}, {"type": "array"}, {"in.type": "breaking"}, id="no-object"),
        pytest.param({"type": "object"}, {}, {"in.type": "compatible"}, id="type-unsaid"),
        pytest.param(OPEN, CLOSED, {"in.additionalProperties": "breaking"}, id="closed"),
        pytest.param(CLOSED, OPEN, {"in.additionalProperties": "compatible"}, id="opened"),
        pytest.param(
            CLOSED, {**CLOSED, "properties": {}}, {"in.properties.a": "breaking"}, id="gone-closed"
        ),
        pytest.param(
            OPEN, {**OPEN, "properties": {}}, {"in.properties.a": "compatible"}, id="gone-open"
        ),
        pytest.param(
            CLOSED,
            {"type": "object", "additionalProperties": False},
            {"in.properties": "breaking"},
            id="all-gone-closed",
        ),
        pytest.param(
            {"properties": {}},
            {**of_a(type="string"), "required": ["a"]},
            {"in.properties.a": "breaking", "in.required": "breaking"},
            id="required-added",
        ),
        pytest.param(
            {"required": ["a", "b"]},
            {"required": ["b"]},
            {"in.required": "compatible"},
            id="let-go",
        ),
        pytest.param(
            {"additionalProperties": True},
            {"additionalProperties": {"type": "string"}},
            {"in.additionalProperties": "breaking"},
            id="others-typed",
        ),
        pytest.param(
            {"additionalProperties": False},
            {"additionalProperties": {"type": "string"}},
            {"in.additionalProperties": "compatible"},
            id="others-let-in",
        ),
        pytest.param(
            {"additionalProperties": {"type": "string"}},
            {"additionalProperties": {"type": "number"}},
            {"in.additionalProperties.type": "breaking"},
            id="others-of-another-type",
        ),
        pytest.param(
            {"anyOf": [{"type": "string"}]},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            {"in.anyOf": "compatible"},
            id="alternative-added",
        ),
        pytest.param(
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            {"anyOf": [{"type": "string"}]},
            {"in.anyOf": "breaking"},
            id="alternative-lost",
        ),
        pytest.param(
            {"anyOf": [{"title": "A"}, {"type": "null"}]},
            {"anyOf": [{"title": "B"}, {"type": "null"}]},
            {"in.anyOf.0.title": "compatible"},
            id="alternative-named",
        ),
        pytest.param(
            {"allOf": [{"type": "string"}, {"minLength": 1}]},
            {"allOf": [{"type": "string"}]},
            {"in.allOf": "compatible"},
            id="condition-let-go",
        ),
        pytest.param(
            {"allOf": [True]}, {"allOf": [False]}, {"in.allOf.0": "breaking"}, id="never-fits"
        ),
        pytest.param(
            {"items": {"type": "string"}},
            {"items": {"type": "string", "title": "x"}},
            {"in.items.title": "compatible"},
            id="items",
        ),
        pytest.param({}, {"items": True}, {"in.items": "compatible"}, id="items-of-any-kind"),
        pytest.param(
            {"$defs": {"A": {"type": "string"}}},
            {"$defs": {"A": {"type": "number"}, "B": {}}},
            {"in.$defs.A.type": "breaking", "in.$defs.B": "compatible"},
            id="definitions",
        ),
        pytest.param(
            {"patternProperties": {}},
            {"patternProperties": {"^x": {"type": "string"}}},
            {'in.patternProperties["^x"]': "breaking"},
            id="pattern-added",
        ),
        pytest.param(
            {"properties": {"a": True}},
            {"properties": {"a": {"type": "string"}}},
            {"in.properties.a": "breaking"},
            id="truth-to-schema",
        ),
        pytest.param({"minimum": 1}, {}, {"in.minimum": "compatible"}, id="bound-removed"),
        pytest.param({}, {"x-order": 1}, {"in.x-order": "compatible"}, id="extension"),
        pytest.param({}, {"strange": 1}, {"in.strange": "breaking"}, id="unknown-word"),
        pytest.param(
            {"properties": 3}, {"properties": {}}, {"in.properties": "compatible"}, id="odd"
        ),
        pytest.param(
            {"const": 1}, {"const": True}, {"in.const": "breaking"}, id="truth-for-a-number"
        ),
    ],
)
def test_a_schema_is_judged_keyword_by_keyword(
    old: dict[str, Any], new: dict[str, Any], expected: dict[str, str]
) -> None:
    assert told(old, new) == expected


@pytest.mark.parametrize(
    ("old", "new", "change_class"),
    [
        pytest.param("string", "number", "breaking", id="another"),
        pytest.param("string", ["string", "null"], "breaking", id="one-more"),
        pytest.param("string", ["string"], "compatible", id="same-in-a-list"),
        pytest.param(["a", "b"], ["b", "a"], "compatible", id="another-order"),
    ],
)
def test_a_type_is_what_it_names(old: object, new: object, change_class: str) -> None:
    assert told(of_a(type=old), of_a(type=new)) == {"in.properties.a.type": change_class}


@pytest.mark.parametrize(
    ("old", "new", "change_class"),
    [
        pytest.param({}, {"enum": ["x"]}, "breaking", id="appears"),
        pytest.param({"enum": ["x", "y"]}, {"enum": ["y"]}, "breaking", id="narrowed"),
        pytest.param({"enum": ["x"]}, {"enum": ["y", "x"]}, "compatible", id="widened"),
        pytest.param({"enum": ["x"]}, {}, "compatible", id="gone"),
    ],
)
def test_an_enum_may_grow(old: dict[str, Any], new: dict[str, Any], change_class: str) -> None:
    assert told(of_a(**old), of_a(**new)) == {"in.properties.a.enum": change_class}


@pytest.mark.parametrize(
    "word",
    [
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "$comment",
        "readOnly",
        "writeOnly",
    ],
)
def test_what_only_people_read_is_compatible(word: str) -> None:
    assert told(of_a(), of_a(**{word: "x"})) == {f"in.properties.a.{word}": "compatible"}


def test_a_property_may_have_the_name_of_a_keyword() -> None:
    new = {"properties": {"title": {"minLength": 1}}}

    assert told({"properties": {"title": {}}}, new) == {"in.properties.title.minLength": "breaking"}


def test_a_type_said_within_is_a_condition() -> None:
    assert told(of_a(), of_a(type="object")) == {"in.properties.a.type": "breaking"}


def test_very_deep_schemas_are_compared_whole() -> None:
    def nested(title: str) -> dict[str, Any]:
        schema: dict[str, Any] = {"title": title}
        for _ in range(60):
            schema = {"items": schema}
        return schema

    (change,) = changes(nested("a"), nested("b"))

    assert change.change_class is ChangeClass.BREAKING
    assert change.path.count("items") == 33


def test_a_schema_that_is_the_same_has_no_changes() -> None:
    assert changes(CLOSED, {key: CLOSED[key] for key in reversed(CLOSED)}) == []

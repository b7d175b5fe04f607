"""Facts about what a tool takes, whichever way its entry says it."""

import pytest

from proxy.control_plane.parameters import parameters_of, schema_of, type_of
from proxy.registry.model import Parameter, Tool


def taking(**schema: object) -> list[dict[str, object]]:
    return parameters_of(Tool(name="t", input_schema=schema))


def test_parameters_are_those_of_the_entry() -> None:
    tool = Tool(
        name="t",
        parameters=(Parameter(name="a", type="date", required=True), Parameter(name="b")),
        input_schema={"properties": {"other": {"type": "object"}}},
    )

    assert parameters_of(tool) == [
        {"name": "a", "type": "date", "required": True},
        {"name": "b", "type": "string", "required": False},
    ]


def test_parameters_are_derived_from_the_schema() -> None:
    found = taking(
        type="object", properties={"a": {"type": "string"}, "b": {}}, required=["b", "c"]
    )

    assert found == [
        {"name": "a", "type": "string", "required": False},
        {"name": "b", "type": "any", "required": True},
    ]


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"properties": None},
        {"properties": ["a"]},
        {"type": "object", "required": ["a"]},
    ],
)
def test_schema_without_properties_has_no_parameters(schema: dict[str, object]) -> None:
    assert taking(**schema) == []


@pytest.mark.parametrize("required", [None, True, "a", {"a": 1}, [1, {}, None]])
def test_what_is_no_list_of_names_requires_nothing(required: object) -> None:
    assert taking(properties={"a": True}, required=required) == [
        {"name": "a", "type": "any", "required": False}
    ]


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ({"type": "integer"}, "integer"),
        ({"type": ["string", "null"]}, "string"),
        ({"type": ["string", "integer"]}, "any"),
        ({"type": ["null"]}, "any"),
        ({"type": []}, "any"),
        ({"type": [{}]}, "any"),
        ({"type": 7}, "any"),
        ({"type": "null"}, "any"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number"),
        ({"oneOf": [{"type": "array"}, {"items": {}}]}, "array"),
        ({"anyOf": [{"type": "number"}, {"$ref": "#/x"}]}, "any"),
        ({"anyOf": [{"anyOf": [{"type": "number"}]}]}, "any"),
        ({"anyOf": "x", "enum": ["a", None]}, "string"),
        ({"enum": [1, 2]}, "integer"),
        ({"enum": [True]}, "boolean"),
        ({"enum": [1, "a"]}, "any"),
        ({"enum": []}, "any"),
        ({"properties": {}}, "object"),
        ({"items": {}, "description": "many"}, "array"),
        ({"pattern": "x", "items": {}}, "any"),
        ({"$ref": "#/x"}, "any"),
        ({}, "any"),
        (True, "any"),
        (None, "any"),
    ],
)
def test_type_is_one_word(schema: object, word: str) -> None:
    assert type_of(schema) == word


def test_schema_is_that_of_the_entry() -> None:
    tool = Tool(name="t", input_schema={"type": "object"}, parameters=(Parameter(name="a"),))

    assert schema_of(tool) == {"type": "object"}


def test_schema_is_derived_from_the_parameters() -> None:
    tool = Tool(
        name="t",
        parameters=(
            Parameter(
                name="a",
                type="integer",
                required=True,
                description="How many",
                default=3,
                enum=(3, 4),
            ),
            Parameter(name="b", type="date"),
        ),
    )

    assert schema_of(tool) == {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "description": "How many", "default": 3, "enum": (3, 4)},
            "b": {},
        },
        "required": ["a"],
    }


def test_tool_of_which_nothing_is_known_takes_an_object() -> None:
    assert schema_of(Tool(name="t")) == {"type": "object", "properties": {}, "required": []}

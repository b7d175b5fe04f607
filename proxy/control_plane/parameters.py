"""What a tool takes: as a list of parameters, and as a JSON Schema, whichever its entry gives.

Knows only what lists need of JSON Schema. Checks no call.
"""

from typing import Any, Final

from proxy.registry.model import Parameter, Tool

ANY: Final = "any"
_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "object", "array"})
# Words that only one type of value is asked for by.
_TELLING: Final = {
    "properties": "object",
    "additionalProperties": "object",
    "items": "array",
    "pattern": "string",
    "minLength": "string",
    "maxLength": "string",
}


def parameters_of(tool: Tool) -> list[dict[str, object]]:
    """`name`, `type` and `required` of each."""
    if tool.parameters:
        return [
            {"name": each.name, "type": each.type, "required": each.required}
            for each in tool.parameters
        ]
    schema: dict[str, Any] = tool.input_schema
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict):
        return []
    needed = frozenset(
        name for name in (required if isinstance(required, list) else ()) if isinstance(name, str)
    )
    return [
        {"name": name, "type": type_of(described), "required": name in needed}
        for name, described in properties.items()
    ]


def schema_of(tool: Tool) -> dict[str, object]:
    """What calls look like, as JSON Schema."""
    if tool.input_schema:
        return tool.input_schema
    return {
        "type": "object",
        "properties": {each.name: _property(each) for each in tool.parameters},
        "required": [each.name for each in tool.parameters if each.required],
    }


def _property(parameter: Parameter) -> dict[str, object]:
    said: dict[str, object] = {}
    if parameter.type in _TYPES:  # else it is a word of somebody's own
        said["type"] = parameter.type
    if parameter.description:
        said["description"] = parameter.description
    if parameter.default is not None:
        said["default"] = parameter.default
    if parameter.enum:
        said["enum"] = parameter.enum
    return said


def type_of(schema: object) -> str:
    """One word for what a schema takes, null aside: `any` where it takes several or says none."""
    types = _types(schema) - {"null"}
    return types.pop() if len(types) == 1 else ANY


def _types(schema: object, *, deeper: bool = True) -> set[str]:
    if not isinstance(schema, dict):  # `true` takes anything
        return {ANY}
    said = schema.get("type")
    if isinstance(said, str):
        return {said}
    if isinstance(said, list):
        return {each if isinstance(each, str) else ANY for each in said}
    choices = schema.get("anyOf") or schema.get("oneOf")
    if deeper and isinstance(choices, list):
        return {word for each in choices for word in _types(each, deeper=False)}
    if isinstance(values := schema.get("enum"), list) and values:
        return {_type_of_value(each) for each in values}
    return {_TELLING[key] for key in schema if key in _TELLING} or {ANY}


def _type_of_value(value: object) -> str:
    return _KINDS.get(type(value), ANY)


_KINDS: Final[dict[type, str]] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    dict: "object",
    list: "array",
    type(None): "null",
}

"""Whatever two registries are, their comparison is true: it can be applied, and tells no secret."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import fields, replace

from proxy.generations.comparison import Comparison, Table, compare
from proxy.generations.severity import Change, ChangeClass
from proxy.generations.shown import pieces
from proxy.generations.values import ABSENT, steps
from proxy.registry.address import parse_address
from proxy.registry.model import (
    Balance,
    CircuitConfig,
    Dependencies,
    Latency,
    Parameter,
    Server,
    Tls,
    Tool,
)
from tests.support.registry_edits import entries_of, finished

WORDS: Final = st.sampled_from(["a", "b", "c.d", 'e"]', "properties", "enum", ""])
NAMES: Final = st.lists(st.sampled_from("abc"), unique=True, max_size=3).map(tuple)
SCALARS: Final = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["x", "y", 0.5])
KEYWORDS: Final = st.sampled_from(
    ["type", "enum", "required", "additionalProperties", "default", "anyOf", "items", "x-a", "odd"]
)
VALUES: Final = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
SCHEMAS: Final = st.recursive(
    st.dictionaries(KEYWORDS, VALUES, max_size=3),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(WORDS, inner | VALUES, max_size=3),
            "$defs": st.dictionaries(WORDS, inner, max_size=2),
            "items": inner,
            "anyOf": st.lists(inner | VALUES, max_size=2),
            "required": st.lists(WORDS, max_size=2),
            "type": st.sampled_from(["object", "string", ["string", "null"]]),
        },
    ),
    max_leaves=5,
)
PARAMETERS: Final = st.lists(
    st.builds(
        Parameter,
        name=WORDS,
        type=st.sampled_from(["string", "number"]),
        required=st.booleans(),
        default=VALUES,
        enum=st.lists(SCALARS, max_size=2).map(tuple),
    ),
    max_size=3,
).map(tuple)
DEPENDENCIES: Final = st.builds(
    Dependencies,
    credentials_required=NAMES,
    expected_latency_ms=st.none() | st.builds(Latency, p50=st.none() | st.just(1.0)),
)
TOOLS: Final = st.lists(
    st.builds(
        Tool,
        name=st.sampled_from(["a", "b", "c.d"]),
        path=st.sampled_from(["/a", "/b"]),
        parameters=PARAMETERS,
        input_schema=SCHEMAS,
        required_capabilities=NAMES,
        sensitive_params=NAMES,
        upstream_dependencies=st.none() | DEPENDENCIES,
    ),
    max_size=3,
    unique_by=lambda tool: tool.name,
).map(tuple)
ENDPOINTS: Final = st.lists(
    st.builds(
        lambda host, weight: replace(parse_address(f"http://{host}"), weight=weight),
        st.sampled_from("xyz"),
        st.integers(1, 2),
    ),
    min_size=1,
    max_size=3,
).map(tuple)


def servers(namespace: str) -> st.SearchStrategy[Server]:
    return st.builds(
        Server,
        namespace=st.just(namespace),
        name=st.sampled_from(["x", "y"]),
        port=st.none() | st.just(80),
        endpoints=ENDPOINTS,
        circuit=st.builds(CircuitConfig, failures=st.integers(1, 2)),
        balance=st.sampled_from([Balance(), Balance(method="round_robin")]),
        tls=st.none() | st.builds(Tls, ca=st.none() | st.just("/ca")),
        forward_headers=NAMES,
        inject_headers=st.dictionaries(st.sampled_from(["a", "b.c"]), st.sampled_from("12")),
        passthrough=st.booleans() | st.just(("/a",)),
        access_restrictions=st.dictionaries(WORDS, VALUES, max_size=2),
        authorized_teams=NAMES,
        upstream_dependencies=DEPENDENCIES,
        tools=TOOLS,
    )


TABLES: Final = st.fixed_dictionaries(
    {}, optional={namespace: servers(namespace) for namespace in ("one", "two", "three")}
)


def applied(table: Table, comparison: Comparison) -> Table:
    """What the comparison makes of the table that it was made for."""
    after = {name: deepcopy(server) for name, server in table.items()}
    for gone in comparison.removed:
        if gone.tool:
            after[gone.server] = with_tool(after[gone.server], gone.tool, None)
        else:
            del after[gone.server]
    for new in comparison.added:
        if isinstance(new.definition, Tool):
            after[new.server] = with_tool(after[new.server], new.tool, new.definition)
        else:
            after[new.server] = new.definition
    for modified in comparison.modified:
        server = after[modified.server]
        for change in modified.changes:
            if modified.tool:
                (tool,) = (each for each in server.tools if each.name == modified.tool)
                server = with_tool(server, tool.name, changed(tool, change))
            else:
                server = changed(server, change)
        after[modified.server] = server
    return after


def with_tool(server: Server, name: str, tool: Tool | None) -> Server:
    others = tuple(each for each in server.tools if each.name != name)
    return replace(server, tools=others if tool is None else (*others, tool))


def changed(definition: Any, change: Change) -> Any:
    return put(definition, steps(change.path), change.new)


def put(inside: Any, keys: list[str], value: object) -> Any:
    """The same with another value there."""
    if not keys:
        return value
    key, *below = keys
    if isinstance(inside, Struct):
        (attribute,) = (each.name for each in fields(inside) if each.encode_name == key)
        return replace(inside, **{attribute: put(getattr(inside, attribute), below, value)})
    if isinstance(inside, tuple):
        named = put({each.name: each for each in inside}, keys, value)
        return tuple(named.values())
    if isinstance(inside, list):
        return [
            put(each, below, value) if key == str(at) else each for at, each in enumerate(inside)
        ]
    others = {name: each for name, each in inside.items() if name != key}
    there = value if not below else put(inside[key], below, value)
    return others if there is ABSENT else others | {key: there}


def ordered(table: Table) -> object:
    """Without the orders that mean nothing, and as exact as JSON is."""
    return {
        name: repr(
            plain(
                replace(
                    server,
                    endpoints=tuple(sorted(server.endpoints, key=repr)),
                    tools=tuple(sorted(map(in_order, server.tools), key=lambda tool: tool.name)),
                )
            )
        )
        for name, server in table.items()
    }


def in_order(tool: Tool) -> Tool:
    names = [parameter.name for parameter in tool.parameters]
    if len(set(names)) < len(names):
        return tool
    return replace(tool, parameters=tuple(sorted(tool.parameters, key=lambda each: each.name)))


def plain(value: object) -> object:
    if isinstance(value, Struct):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(value[key]) for key in sorted(value)}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


@given(TABLES)
def test_nothing_differs_from_itself(table: Table) -> None:
    comparison = finished(compare(table, deepcopy(table)))

    assert (comparison.added, comparison.removed, comparison.modified) == ((), (), ())
    assert (comparison.total_changes, comparison.status) == (0, "up-to-date")
    assert comparison.unchanged == tuple(table)


@given(TABLES, TABLES)
def test_a_comparison_applied_to_the_old_table_gives_the_new_one(old: Table, new: Table) -> None:
    comparison = finished(compare(old, new))

    assert ordered(applied(old, comparison)) == ordered(new)


@given(TABLES, TABLES)
def test_what_is_added_one_way_is_removed_the_other_way(old: Table, new: Table) -> None:
    there, back = finished(compare(old, new)), finished(compare(new, old))

    assert sorted(entries_of(there.added)) == sorted(entries_of(back.removed))
    assert sorted(entries_of(there.removed)) == sorted(entries_of(back.added))
    assert {each[:2] for each in there.modified} == {each[:2] for each in back.modified}
    assert there.total_changes == back.total_changes
    assert sorted(there.unchanged) == sorted(back.unchanged)


@given(TABLES, TABLES)
def test_all_changes_are_classed_and_counted(old: Table, new: Table) -> None:
    comparison = finished(compare(old, new))

    changes = [change for each in comparison.modified for change in each.changes]
    entries = len(comparison.added) + len(comparison.removed)
    breaks = bool(comparison.removed) or any(
        change.change_class is ChangeClass.BREAKING for change in changes
    )
    assert comparison.total_changes == entries + len(changes)
    assert {change.change_class for change in changes} <= set(ChangeClass)
    assert (comparison.change_class is ChangeClass.BREAKING) is breaks
    assert not any(
        change.old == change.new and repr(change.old) == repr(change.new) for change in changes
    )


SECRET: Final = "S3SAME-"  # noqa: S105 - it opens nothing
SECRETS: Final = st.integers(0, 9).map(lambda at: f"{SECRET}{at}")


def with_secrets(secret: str, wrapped: object) -> Table:
    """One server that has secrets wherever they may stand."""
    tool = Tool(
        name="t",
        sensitive_params=("pin",),
        parameters=(Parameter(name="pin", default=wrapped, enum=(secret,)),),
        input_schema={
            "default": {"pin": wrapped},
            "properties": {"pin": {"default": wrapped, "examples": [secret], "enum": [secret]}},
        },
    )
    server = Server(
        namespace="one",
        name="one",
        port=80,
        health_url=f"http://one/health?{secret}",
        capabilities_url=f"http://one/c?{secret}",
        inject_headers={"authorization": secret},
        access_restrictions={"api_key": wrapped, "ldap": {"password": wrapped}},
        tools=(tool,),
    )
    return {"one": server}


@given(
    SECRETS,
    SECRETS,
    st.recursive(SECRETS, lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner)),
)
def test_no_piece_tells_a_secret(old: str, new: str, wrapped: object) -> None:
    comparison = finished(compare(with_secrets(old, old), with_secrets(new, wrapped)))

    assert SECRET.encode() not in b"".join(pieces(comparison))
    without = replace(with_secrets(new, wrapped)["one"], inject_headers={}, tools=())
    assert SECRET.encode() not in b"".join(
        pieces(finished(compare(with_secrets(old, old), {"one": without})))
    )

"""Facts about comparing: what one registry has, and another lacks, adds or says otherwise."""

from time import perf_counter
from typing import Any, Final

import pytest
from msgspec.structs import replace

from proxy.generations.comparison import compare
from proxy.generations.severity import ChangeClass
from proxy.registry.model import Server
from tests.support.registry_edits import (
    BASE,
    GONE,
    Edit,
    compared,
    edited,
    entries_of,
    finished,
    paths_of,
    table,
)

BREAKING: Final = ChangeClass.BREAKING
COMPATIBLE: Final = ChangeClass.COMPATIBLE
NOTES: Final = ("servers", 0)
MAIL: Final = ("servers", 1)
TOOLS: Final = (*NOTES, "tools")
TOOL: Final = (*TOOLS, 0)
PARAMETERS: Final = (*TOOL, "parameters")
SCHEMA: Final = (*TOOL, "input_schema")
PROPERTIES: Final = (*SCHEMA, "properties")


def edit(name: str, change_class: ChangeClass, *edits: Edit) -> object:
    return pytest.param(edits, change_class, id=name)


EDITS: Final = [
    edit("server-added", COMPATIBLE, (("servers", 2), {"namespace": "n", "name": "n", "port": 1})),
    edit("server-removed", BREAKING, (MAIL, GONE)),
    edit("server-renamed", BREAKING, ((*MAIL, "namespace"), "post")),
    edit("tool-added", COMPATIBLE, ((*TOOLS, 2), {"name": "more"})),
    edit("tool-removed", BREAKING, ((*TOOLS, 1), GONE)),
    edit("endpoint-added", COMPATIBLE, ((*NOTES, "endpoints", 2), "http://10.0.0.7")),
    edit("endpoint-of-several-removed", COMPATIBLE, ((*NOTES, "endpoints", 1), GONE)),
    edit("all-endpoints-moved", BREAKING, ((*NOTES, "endpoints"), ["http://10.0.0.9:80"])),
    edit("scheme-changed", BREAKING, ((*NOTES, "endpoints"), ["https://10.0.0.5:80"])),
    edit("weight-changed", COMPATIBLE, ((*NOTES, "endpoints", 0, "weight"), 7)),
    edit("port-changed", BREAKING, ((*MAIL, "port"), 8082)),
    edit("name-that-is-the-host-changed", BREAKING, ((*MAIL, "name"), "post")),
    edit("name-beside-endpoints-changed", COMPATIBLE, ((*NOTES, "name"), "notes-2")),
    edit("method-changed", BREAKING, ((*TOOL, "method"), "PUT")),
    edit("path-changed", BREAKING, ((*TOOL, "path"), "/find")),
    edit("description-changed", COMPATIBLE, ((*TOOL, "description"), "Find mail")),
    edit("tool-timeout-changed", COMPATIBLE, ((*TOOL, "timeout"), "1s")),
    edit("circuit-changed", COMPATIBLE, ((*NOTES, "circuit", "failures"), 9)),
    edit("health-changed", COMPATIBLE, ((*NOTES, "health"), {"path": "/alive"})),
    edit("limit-added", COMPATIBLE, ((*NOTES, "limits"), {"max_requests": 3})),
    edit("rate-added", COMPATIBLE, ((*TOOL, "rate"), "3/s")),
    edit("default-changed", COMPATIBLE, (("defaults", "connect_timeout"), "3s")),
    edit("secret-changed", COMPATIBLE, ((*NOTES, "inject_headers", "x-key"), "Basic ${KEY}")),
    edit("credential-no-longer-passed", BREAKING, ((*NOTES, "forward_headers", 0), GONE)),
    edit("passthrough-closed", BREAKING, ((*NOTES, "passthrough", 1), GONE)),
    edit("passthrough-widened", COMPATIBLE, ((*NOTES, "passthrough"), True)),
    edit("team-shut-out", BREAKING, ((*NOTES, "authorized_teams", 0), GONE)),
    edit("team-let-in", COMPATIBLE, ((*NOTES, "authorized_teams", 2), "green")),
    edit("teams-for-everybodys", BREAKING, ((*MAIL, "authorized_teams"), ["red"])),
    edit("everybody-let-in", COMPATIBLE, ((*NOTES, "authorized_teams"), [])),
    edit(
        "credential-required",
        BREAKING,
        ((*NOTES, "upstream_dependencies", "credentials_required", 1), "B_KEY"),
    ),
    edit(
        "credential-required-by-a-tool",
        BREAKING,
        ((*TOOL, "upstream_dependencies"), {"credentials_required": ["C_KEY"]}),
    ),
    edit("service-named", COMPATIBLE, ((*TOOL, "upstream_dependencies"), {"services": ["x"]})),
    edit("capability-required", BREAKING, ((*TOOL, "required_capabilities", 1), "write")),
    edit("capability-let-go", COMPATIBLE, ((*TOOL, "required_capabilities"), [])),
    edit("parameter-made-required", BREAKING, ((*PARAMETERS, 1, "required"), True)),
    edit("parameter-made-optional", COMPATIBLE, ((*PARAMETERS, 0, "required"), False)),
    edit("parameter-of-another-type", BREAKING, ((*PARAMETERS, 0, "type"), "number")),
    edit("parameter-allows-less", BREAKING, ((*PARAMETERS, 1, "enum"), ["new"])),
    edit("parameter-allows-more", COMPATIBLE, ((*PARAMETERS, 1, "enum", 2), "best")),
    edit("required-parameter-added", BREAKING, ((*PARAMETERS, 3), {"name": "n", "required": True})),
    edit("optional-parameter-added", COMPATIBLE, ((*PARAMETERS, 3), {"name": "n"})),
    edit("parameter-removed", COMPATIBLE, ((*PARAMETERS, 1), GONE)),
    edit("property-made-required", BREAKING, ((*SCHEMA, "required"), ["text", "order"])),
    edit("property-of-another-type", BREAKING, ((*PROPERTIES, "text", "type"), "number")),
    edit("optional-property-added", COMPATIBLE, ((*PROPERTIES, "most"), {"type": "integer"})),
    edit("property-described", COMPATIBLE, ((*PROPERTIES, "text", "description"), "words")),
    edit("property-bounded", BREAKING, ((*PROPERTIES, "text", "maxLength"), 9)),
    edit("nested-requirement", BREAKING, ((*PROPERTIES, "where", "required"), ["folder", "x"])),
    edit("schema-closed", BREAKING, ((*SCHEMA, "additionalProperties"), False)),
]


@pytest.mark.parametrize(("edits", "change_class"), EDITS)
def test_an_edit_has_its_class(edits: tuple[Edit, ...], change_class: ChangeClass) -> None:
    comparison = compared(BASE, edited(*edits))

    assert (comparison.change_class, comparison.total_changes > 0) == (change_class, True)


def test_there_are_forty_edits_and_more() -> None:
    assert len(EDITS) >= 40


REORDERED: Final = [
    pytest.param(("servers",), id="servers"),
    pytest.param(TOOLS, id="tools"),
    pytest.param((*NOTES, "endpoints"), id="endpoints"),
    pytest.param(PARAMETERS, id="parameters"),
]


@pytest.mark.parametrize("path", REORDERED)
def test_another_order_is_no_change(path: tuple[str | int, ...]) -> None:
    rows: Any = BASE
    for step in path:
        rows = rows[step]

    comparison = compared(BASE, edited((path, [*rows][::-1])))

    assert (comparison.total_changes, comparison.status) == (0, "up-to-date")


def test_a_server_is_one_entry_with_its_tools() -> None:
    comparison = compared(BASE, edited((MAIL, {"namespace": "n", "name": "n", "port": 1})))

    assert (entries_of(comparison.added), entries_of(comparison.removed)) == (["n"], ["mail"])
    assert (comparison.total_changes, comparison.unchanged) == (2, ("notes",))


def test_tools_of_a_server_of_both_are_entries_of_their_own() -> None:
    comparison = compared(BASE, edited(((*TOOLS, 1), {"name": "more"})))

    assert entries_of(comparison.added) == ["notes.more"]
    assert entries_of(comparison.removed) == ["notes.list"]
    assert (comparison.modified, comparison.unchanged) == ((), ("mail",))


def test_changes_are_listed_where_they_are() -> None:
    new = edited(
        ((*NOTES, "circuit", "failures"), 9),
        ((*TOOL, "path"), "/find"),
        ((*PARAMETERS, 1, "required"), True),
        ((*PROPERTIES, "text", "type"), "number"),
    )

    comparison = compared(BASE, new)

    assert paths_of(comparison) == [
        "circuit.failures",
        "search:path",
        "search:parameters.order.required",
        "search:input_schema.properties.text.type",
    ]
    assert [each.change_class for each in comparison.modified] == [COMPATIBLE, BREAKING]
    assert comparison.total_changes == 4
    assert comparison.recommendation.startswith("Look before you apply it: 3 changes")


def test_a_port_that_is_the_address_shows_as_both() -> None:
    comparison = compared(BASE, edited(((*MAIL, "port"), 8082)))

    assert paths_of(comparison) == ["port", "endpoints"]
    assert [each.change_class for each in comparison.modified[0].changes] == [BREAKING] * 2


@pytest.mark.parametrize(
    ("edits", "status"),
    [
        pytest.param((), "up-to-date", id="nothing"),
        pytest.param(((("version",), "2.0"),), "up-to-date", id="nothing-that-matters"),
        pytest.param((((*TOOL, "path"), "/find"),), "outdated", id="changed"),
        pytest.param((((*TOOLS, 1), GONE),), "outdated", id="tool-gone"),
        pytest.param(((MAIL, GONE),), "diverged", id="server-gone"),
    ],
)
def test_the_status_says_which_is_ahead(edits: tuple[Edit, ...], status: str) -> None:
    assert compared(BASE, edited(*edits)).status == status


def test_the_same_identity_is_cosmetic_and_not_looked_at() -> None:
    old = table(BASE)

    comparison = finished(compare(old, dict(old), same_identity=True))

    assert (comparison.change_class, comparison.status) == (ChangeClass.COSMETIC, "up-to-date")
    assert comparison.unchanged == ("notes", "mail")


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        pytest.param((), "nothing differs", id="nothing"),
        pytest.param((((*TOOL, "rate"), "1/s"),), "nothing that callers rely on", id="compatible"),
        pytest.param((((*TOOL, "path"), "/find"),), "1 change can break callers", id="breaking"),
        pytest.param(((MAIL, GONE),), "missing from it", id="diverged"),
    ],
)
def test_the_recommendation_is_a_sentence_for_a_person(edits: tuple[Edit, ...], said: str) -> None:
    recommendation = compared(BASE, edited(*edits)).recommendation

    assert said in recommendation
    assert recommendation.endswith(".")


def test_ten_thousand_changed_tools_are_compared_in_short_steps() -> None:
    server = table(BASE)["notes"]

    def many(description: str) -> dict[str, Server]:
        tool = replace(server.tools[0], description=description)
        tools = tuple(replace(tool, name=f"t{number}") for number in range(10_000))
        return {"notes": replace(server, tools=tools)}

    spans = []
    began_at = perf_counter()
    for _ in compare(many("old"), many("new")):
        spans.append(perf_counter() - began_at)
        began_at = perf_counter()

    assert len(spans) > 20_000  # one for each tool, of both
    assert sorted(spans)[-100] < 0.01  # ten times what it takes: the machine may be busy

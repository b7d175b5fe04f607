"""Facts about a comparison as the contract's JSON."""

import json  # noqa: TID251 - read as anybody reads it
from typing import Any

from proxy.generations.comparison import Comparison
from proxy.generations.shown import pieces
from tests.support.registry_edits import BASE, GONE, compared, edited


def document(comparison: Comparison) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b"".join(pieces(comparison)))
    return found


def test_nothing_is_a_document_too() -> None:
    assert document(compared(BASE, BASE)) == {
        "status": "up-to-date",
        "change_class": "compatible",
        "added": [],
        "removed": [],
        "modified": [],
        "unchanged": ["notes", "mail"],
        "total_changes": 0,
        "recommendation": "Safe to apply: nothing differs in what it means.",
    }


def test_the_document_is_the_contracts() -> None:
    new = edited(
        (("servers", 1), {"namespace": "post", "name": "post", "port": 1}),
        (("servers", 0, "tools", 1), GONE),
        (("servers", 0, "tools", 0, "path"), "/find"),
        (("servers", 0, "tools", 0, "timeout"), "5s"),
        (("servers", 0, "circuit", "failures"), 9),
    )

    found = document(compared(BASE, new))

    assert found["added"] == [{"server": "post", "class": "compatible"}]
    assert found["removed"] == [
        {"server": "mail", "class": "breaking"},
        {"server": "notes", "tool": "list", "class": "breaking"},
    ]
    assert found["modified"] == [
        {
            "server": "notes",
            "class": "compatible",
            "changes": [{"path": "circuit.failures", "old": 5, "new": 9, "class": "compatible"}],
        },
        {
            "server": "notes",
            "tool": "search",
            "class": "breaking",
            "changes": [
                {"path": "path", "old": "/search", "new": "/find", "class": "breaking"},
                {"path": "timeout", "old": 10.0, "new": 5.0, "class": "compatible"},
            ],
        },
    ]
    assert (found["status"], found["change_class"]) == ("diverged", "breaking")
    assert (found["unchanged"], found["total_changes"]) == ([], 6)


def test_a_header_that_changes_is_named_and_hidden() -> None:
    headers = ("servers", 0, "inject_headers")

    (modified,) = document(compared(BASE, edited(((*headers, "x-key"), "other"))))["modified"]

    assert modified["changes"] == [
        {"path": "inject_headers.x-key", "old": "***", "new": "***", "class": "compatible"}
    ]


def test_what_either_calls_sensitive_is_hidden() -> None:
    tool = ("servers", 0, "tools", 0)
    new = edited(
        ((*tool, "sensitive_params"), ["text"]),
        ((*tool, "parameters", 0, "default"), "new secret"),
        ((*tool, "parameters", 2, "default"), "another secret"),
    )

    (modified,) = document(compared(BASE, new))["modified"]

    assert [(each["path"], each["old"], each["new"]) for each in modified["changes"]] == [
        ("parameters.text.default", None, "***"),
        ("parameters.password.default", "***", "***"),
        ("sensitive_params", ["password"], ["text"]),
    ]


def test_pieces_are_small_however_many_changes_there_are() -> None:
    parameters = ("servers", 0, "tools", 0, "parameters")
    many = [{"name": f"p{at}"} for at in range(2000)] + [{"name": "x" * 9999}]

    found = [*pieces(compared(BASE, edited((parameters, many))))]

    assert len(found) > 2000
    assert max(map(len, found)) < 10_000

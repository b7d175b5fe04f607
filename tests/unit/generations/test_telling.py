"""Facts about what is told of generations."""

from typing import Any

import pytest

from proxy.config.document import Finding
from proxy.generations import telling
from proxy.generations.reading import Candidate
from proxy.generations.severity import ChangeClass
from proxy.generations.telling import codes_of, rejected, reloaded
from proxy.registry.live import LiveRegistry
from proxy.registry.load import RegistryRejectedError, load
from proxy.registry.snapshot import Snapshot
from tests.support.generations_scene import RULES
from tests.support.signing import Signer

TEXT = b"""\
servers:
- {namespace: a, name: a, port: 1, tmeout: 1, tools: [{name: t}, {name: u}]}
- {namespace: b, name: b, port: x}
"""
SIGNED = Signer().signs({}, 7)


def table_and_candidate() -> tuple[Snapshot, Candidate]:
    loaded = load(TEXT, "registry.yaml", RULES, {})
    registry = LiveRegistry(RULES, {})
    registry.take_first(loaded)
    return registry.current, Candidate(loaded, (), SIGNED)


def test_what_came_into_force_is_told_with_its_numbers() -> None:
    table, candidate = table_and_candidate()

    assert reloaded(table, candidate, ChangeClass.BREAKING, "accept") == {
        "generation": 1,
        "identity": candidate.identity,
        "change_class": "breaking",
        "reason": "accept",
        "version": 7,
        "signed_by": SIGNED.envelope.key_id,
        "counts": {"servers": 1, "tools": 2, "quarantined": 1},
        "problems": [str(finding) for finding in candidate.loaded.findings],
    }


def test_what_is_not_signed_or_compared_says_so() -> None:
    table, candidate = table_and_candidate()

    facts: dict[str, Any] = {**reloaded(table, candidate._replace(signed=None), None, "start")}

    assert (facts["version"], facts["signed_by"], facts["change_class"]) == (None, None, None)


def test_what_was_rejected_is_told_line_by_line() -> None:
    table, _ = table_and_candidate()

    assert rejected(table, "one\ntwo", "held", identity="abc") == {
        "status": "failure",
        "generation": 1,
        "identity": "abc",
        "problems": ["one", "two"],
        "error_code": "registry_held",
        "error_message": "one",
    }


def test_of_many_problems_the_first_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_MOST_TOLD", 2)
    table, candidate = table_and_candidate()
    many = candidate._replace(
        loaded=load(TEXT.replace(b"tmeout: 1", b"x: 1, y: 1, z: 1"), "r", RULES, {})
    )

    told = [reloaded(table, many, None, "source"), rejected(table, "a\nb\nc", "rejected")]

    assert [len(facts["problems"]) for facts in told] == [2, 2]  # type: ignore[arg-type]  # lists


def test_codes_come_once_each() -> None:
    findings = [Finding(code, "x", "error", "") for code in ("B", "A", "B")]

    assert codes_of(RegistryRejectedError(findings)) == ["A", "B"]

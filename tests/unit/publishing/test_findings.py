from argparse import Namespace
from pathlib import Path

import pytest

from proxy.config.document import Finding
from proxy.config.settings import SettingsError
from proxy.people.output import STDERR, Look, Output
from proxy.people.tables import Sheet
from proxy.publishing.findings import as_document, complain_of, has_errors, rules_of

WARNING = Finding("UNKNOWN_KEY", "unknown key", "warning", "a", 1, "registry.yaml")
ERROR = Finding("BAD_URL", "no\x1b[31m URL", "error", "b", 2, "registry.yaml")


def complained(*findings: Finding) -> list[str]:
    written = bytearray()
    look = Look(
        out_is_terminal=False,
        err_is_terminal=False,
        json=False,
        sheet=Sheet(width=80, colour=False),
    )

    def write(stream: int, octets: bytes) -> None:
        assert stream == STDERR
        written.extend(octets)

    complain_of(findings, Output(look, write))
    return written.decode().splitlines()


def test_errors_come_first_and_nothing_in_them_is_obeyed() -> None:
    assert complained(WARNING, ERROR) == [
        r"toolproxy: error BAD_URL: registry.yaml:2: b: no\u001b[31m URL",
        "toolproxy: warning UNKNOWN_KEY: registry.yaml:1: a: unknown key",
    ]


def test_of_many_findings_some_are_shown() -> None:
    said = complained(*[WARNING] * 103)

    assert (len(said), said[-1]) == (101, "toolproxy: … and 3 more")


def test_a_finding_has_its_parts() -> None:
    assert as_document(WARNING) == {
        "code": "UNKNOWN_KEY",
        "message": "unknown key",
        "severity": "warning",
        "path": "a",
        "line": 1,
    }


def test_a_warning_is_no_error() -> None:
    assert (has_errors([WARNING]), has_errors([WARNING, ERROR])) == (False, True)


def test_the_rules_are_those_of_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text("secrets: {env: [A_*]}\n")

    assert rules_of(Namespace(config=str(path)), {}).secrets_env == ("A_*",)


@pytest.mark.parametrize("options", [Namespace(), Namespace(config=None)], ids=["unsaid", "none"])
def test_without_settings_the_usual_rules_hold(options: Namespace) -> None:
    assert (rules_of(options, {}).secrets_env, rules_of(options, {}).strict) == ((), False)


def test_settings_that_cannot_be_used_are_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        rules_of(Namespace(config=str(tmp_path / "absent")), {})

"""What is wrong with a registry, by which rules, and how is that shown?"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Final

from proxy.config.document import Finding
from proxy.config.settings import Settings, load_settings
from proxy.people.output import Output
from proxy.registry.load import LoadRules

_MOST_SHOWN: Final = 100


def rules_of(options: Namespace, environ: Mapping[str, str]) -> LoadRules:
    """Those of the settings that were named, or of none; raises `SettingsError`."""
    config = getattr(options, "config", None)
    return LoadRules.of(Settings() if config is None else load_settings(config, environ, {}))


def has_errors(findings: Sequence[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def as_document(finding: Finding) -> dict[str, object]:
    return {
        "code": finding.code,
        "message": finding.message,
        "severity": finding.severity,
        "path": finding.path,
        "line": finding.line,
    }


def complain_of(findings: Sequence[Finding], output: Output) -> None:
    """A line for each on standard error, errors first."""
    ordered = sorted(findings, key=lambda finding: finding.severity != "error")
    for finding in ordered[:_MOST_SHOWN]:
        output.complain(f"{finding.severity} {finding.code}: {finding}")
    if len(ordered) > _MOST_SHOWN:
        output.complain(f"… and {len(ordered) - _MOST_SHOWN} more")

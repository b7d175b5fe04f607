"""`registry sign`: is this registry fit for sidecars, and which version of it is this?

What is not valid is not signed. The version only grows: an older one is what sidecars refuse.
"""

from argparse import Namespace
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from proxy.artifact import (
    MOST_SIGNED_BYTES,
    ArtifactError,
    Envelope,
    Floor,
    Signed,
    moment,
    read_signed,
)
from proxy.config.document import MAX_BYTES
from proxy.people.output import Output
from proxy.people.tables import pairs
from proxy.people.unusable import UnusableError
from proxy.publishing import signing
from proxy.publishing.files import read_octets, replace_octets
from proxy.publishing.findings import complain_of, has_errors, rules_of
from proxy.publishing.private_keys import PrivateKey, read_private
from proxy.registry.load import (
    LoadRules,
    RegistryRejectedError,
    canonical_in,
    load_document,
    read_registry,
)


class Fit(NamedTuple):
    """A registry that may be signed."""

    identity: str
    canonical: bytes


def sign(output: Output, options: Namespace, environ: Mapping[str, str]) -> int:
    """Status 1 for a registry that is not valid, and for a version that is not newer."""
    file = Path(options.file)
    private = read_private(Path(options.key))
    text = read_octets(file, MAX_BYTES)
    fit = fit_to_sign(text, file.name, rules_of(options, environ), environ, output)
    if fit is None:
        output.complain(f"{file} is not signed")
        return 1
    target = Path(options.artifact or f"{options.file}.sig")
    before = _before(target, options)
    signed = _signed(fit, before, options, private)
    if before is not None and not _follows(before, signed.envelope):
        floor = Floor(before.envelope.version, before.envelope.registry_sha256)
        output.complain(f"{file} is not signed: {floor.why_not(signed.envelope)}")
        return 1
    artifact = signing.artifact_text(fit.canonical, signed)
    replace_octets(target, artifact if options.artifact else signing.sig_text(signed))
    _tell(target, signed, output)
    return 0


def fit_to_sign(
    text: bytes, name: str, rules: LoadRules, environ: Mapping[str, str], output: Output
) -> Fit | None:
    """What is wrong with it is said on standard error; None when that is an error."""
    try:
        document = read_registry(text, name)
        canonical = canonical_in(document, shares=document.may_share)
        findings = load_document(document, canonical.identity, rules, environ).findings
    except RegistryRejectedError as error:
        complain_of(error.findings, output)
        return None
    complain_of(findings, output)
    if has_errors(findings):
        return None
    if not canonical.exact:
        output.complain("It has values that JSON lacks, such as dates: quote them")
        return None
    return Fit(canonical.identity, canonical.octets)


def _before(target: Path, options: Namespace) -> Signed | None:
    """What was signed last time; what cannot be read stands in the way of a version by itself."""
    if not target.exists():
        return None
    try:
        if not options.artifact:
            return read_signed(read_octets(target, MOST_SIGNED_BYTES))
        parts = signing.split_artifact(read_octets(target, MAX_BYTES))
        if parts is None:
            raise UnusableError(f"{target} is there already, and is no artifact: it is not touched")
        return parts[1]
    except ArtifactError as error:
        if options.version is None:
            raise UnusableError(
                f"{target} does not say which version was the last: {error}; give --version"
            ) from None
        return None


def _signed(fit: Fit, before: Signed | None, options: Namespace, private: PrivateKey) -> Signed:
    version = options.version or (before.envelope.version + 1 if before else 1)
    now = moment(datetime.now(UTC).timestamp())
    try:
        return signing.sign(fit.identity, options.profile, version, now, private)
    except ArtifactError as error:
        raise UnusableError(str(error)) from None


def _follows(before: Signed, envelope: Envelope) -> bool:
    """Versions are counted by profile."""
    last = before.envelope
    other = last.profile != envelope.profile
    return other or Floor(last.version, last.registry_sha256).admits(envelope)


def _tell(target: Path, signed: Signed, output: Output) -> None:
    envelope = signed.envelope
    told = {
        "written": str(target),
        "identity": envelope.registry_sha256,
        "profile": envelope.profile,
        "version": envelope.version,
        "created_at": envelope.created_at,
        "key_id": envelope.key_id,
    }
    if output.for_people:
        output.lines(pairs(list(told.items()), output.sheet))
    else:
        output.document(told)

"""`registry verify`: is this registry valid, and signed by a trusted key for this deployment?

The judgement is that of a sidecar, by the same code.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from proxy.artifact import MOST_SIGNED_BYTES, Floor, Signed
from proxy.config.document import MAX_BYTES, Finding
from proxy.generations.keys import Trusted, read_trusted
from proxy.generations.reading import Job, Trust, read
from proxy.people.output import Output
from proxy.people.tables import pairs
from proxy.people.unusable import UnusableError
from proxy.publishing.files import read_octets
from proxy.publishing.findings import as_document, complain_of, has_errors, rules_of
from proxy.registry.load import RegistryRejectedError

_NO_KEYS: Final = Trusted({}, {}, ())


class Verdict(NamedTuple):
    """What was found out; without an identity it could not be read to its end."""

    findings: Sequence[Finding]
    identity: str | None = None
    signed: Signed | None = None

    @property
    def valid(self) -> bool:
        return self.identity is not None and not has_errors(self.findings)


def verify(output: Output, options: Namespace, environ: Mapping[str, str]) -> int:
    """Status 1 for what a sidecar with these trusted keys would not take up whole."""
    trusted = _trusted(options, output)
    file = Path(options.file)
    job = Job(
        path=str(file),
        name=file.name,
        rules=rules_of(options, environ),
        signature=_signature(options),
        trust=_trust(options),
    )
    verdict = _verdict(read_octets(file, MAX_BYTES), job, environ)
    told = _told(verdict, trusted, options)
    if output.for_people:
        complain_of(verdict.findings, output)
        output.lines(pairs(list(told.items()), output.sheet))
    else:
        output.document(told | {"findings": [*map(as_document, verdict.findings)]})
    return 0 if verdict.valid else 1


def _verdict(text: bytes, job: Job, environ: Mapping[str, str]) -> Verdict:
    try:
        candidate = read(text, job, environ)
    except RegistryRejectedError as error:
        return Verdict(error.findings)
    return Verdict(candidate.loaded.findings, candidate.identity, candidate.signed)


def _trusted(options: Namespace, output: Output) -> Trusted:
    if options.trusted is None:
        for name in ("profile", "min_version", "sig"):
            if getattr(options, name) is not None:
                flag = name.replace("_", "-")
                raise UnusableError(f"--{flag} says nothing without --trusted DIR")
        return _NO_KEYS
    trusted = read_trusted(options.trusted)
    for trouble in trusted.troubles:
        output.complain(f"warning: {trouble}")
    return trusted


def _trust(options: Namespace) -> Trust:
    return Trust(
        folder=options.trusted or "",
        required=options.trusted is not None,
        profile="default" if options.profile is None else options.profile,
        floor=Floor(options.min_version or 0),
    )


def _signature(options: Namespace) -> bytes | None:
    beside = Path(options.sig or f"{options.file}.sig")
    if options.trusted is None or not (options.sig or beside.exists()):
        return None
    return read_octets(beside, MOST_SIGNED_BYTES)


def _told(verdict: Verdict, trusted: Trusted, options: Namespace) -> dict[str, object]:
    told: dict[str, object] = {"valid": verdict.valid, "identity": verdict.identity}
    if verdict.signed is None:
        # Where one is required, what is wrong with it is a finding.
        return told | {"signature": "not looked at" if options.trusted is None else None}
    envelope = verdict.signed.envelope
    return told | {
        "signature": "good",
        "signed_by": trusted.names[envelope.key_id],
        "key_id": envelope.key_id,
        "profile": envelope.profile,
        "version": envelope.version,
        "created_at": envelope.created_at,
    }

"""Reading: which generation is this text, and may it be one here?

The beginning of the contract's order: read, parse, identity, signature, validate. Knows the text
and what the operator trusts. Does not know what runs.
"""

import stat
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from proxy.artifact import (
    ArtifactError,
    Expected,
    Floor,
    Parts,
    Signed,
    parts_of,
    read_signed,
    verify,
)
from proxy.config.document import MAX_BYTES, Document, Finding
from proxy.config.sections import RegistrySettings
from proxy.generations.keys import KeysError, Trusted, read_trusted
from proxy.generations.source import Text
from proxy.registry.identity import Canonical
from proxy.registry.load import (
    Loaded,
    LoadRules,
    canonical_in,
    load_document,
    read_registry,
    rejected,
)

_MOST_TOLD: Final = 10  # files that are no keys
_PIECE_BYTES: Final = 64 * 1024


class Trust(Struct, frozen=True, kw_only=True):
    """Whose signatures count, for what, from which version on."""

    folder: str = ""  # of the trusted keys; empty: signatures are not looked at
    required: bool = False
    profile: str = "default"
    floor: Floor = Floor()
    ages: bool = True  # has a key that expired signed nothing? Not of what was accepted before


class Job(Struct, frozen=True, kw_only=True):
    """A text to be read: where it lies, what people call it, and by which rules."""

    path: str
    name: str
    rules: LoadRules
    signature: bytes | None = None  # what lies beside it
    unreadable: str = ""  # why that cannot be read
    trust: Trust = Trust()


def trust_of(settings: RegistrySettings, *known: Floor) -> Trust:
    """What the settings trust, from the highest of the versions that are known on."""
    floors = (*known, Floor(settings.min_version))
    return Trust(
        folder=settings.trusted_keys,
        required=settings.needs_signature,
        profile=settings.profile,
        floor=max(floors, key=lambda floor: floor.version),
    )


def job_of(text: Text, name: str, rules: LoadRules, trust: Trust) -> Job:
    """What a source lends, to be read by these rules."""
    return Job(
        path=text.path,
        name=name,
        rules=rules,
        signature=text.signature,
        unreadable=text.unreadable,
        trust=trust,
    )


class Candidate(NamedTuple):
    """A generation that may be taken up."""

    loaded: Loaded
    canonical: tuple[bytes, ...]  # in pieces
    signed: Signed | None  # None also for a signature that was not looked at

    @property
    def identity(self) -> str:
        return self.loaded.identity


def read_file(job: Job, environ: Mapping[str, str]) -> Candidate:
    """Read a file to its end; RegistryRejectedError when that, or anything after it, fails."""
    try:
        if not stat.S_ISREG(Path(job.path).stat().st_mode):
            raise rejected("UNREADABLE", f"cannot read {job.name}: not a regular file", job.name)
        with Path(job.path).open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        why = getattr(error, "strerror", None) or str(error)
        raise rejected("UNREADABLE", f"cannot read {job.name}: {why}", job.name) from None
    return read(text, job, environ)


def read(text: bytes, job: Job, environ: Mapping[str, str]) -> Candidate:
    """What the text is; RegistryRejectedError when it may not be a generation here."""
    document = read_registry(text, job.name)
    shares = document.may_share
    try:
        artifact = parts_of(document.root)
        if artifact is not None:
            _refuse_repeats(document)
            document = document.below("payload")
        canonical = canonical_in(document, shares=shares)
        if artifact is not None:
            artifact.check_name(canonical.identity)
        signed, doubts = _judged(canonical, _signature_of(artifact, job), job.trust)
    except ArtifactError as error:
        raise rejected(error.code, str(error), job.name) from None
    loaded = load_document(document, canonical.identity, job.rules, environ)
    if doubts:
        told = (Finding(it.code, str(it), "warning", "", None, job.name) for it in doubts)
        loaded = replace(loaded, findings=(*loaded.findings, *told))
    pieces = range(0, len(canonical.octets), _PIECE_BYTES)
    octets = tuple(canonical.octets[at : at + _PIECE_BYTES] for at in pieces)
    return Candidate(loaded, octets, signed)


def _refuse_repeats(document: Document) -> None:
    # Which of two envelopes was meant? In the payload it is what its identity says.
    for finding in document.findings:
        if not finding.path.startswith("payload."):
            raise ArtifactError("BAD_ARTIFACT", f"{finding.path}: {finding.message}")


def _signature_of(artifact: Parts | None, job: Job) -> Callable[[], Signed] | None:
    """How to read the signature that came along, if one did."""
    if artifact is not None:
        return artifact.signed if artifact.is_signed else None
    if job.signature is None and not job.unreadable:
        return None
    return lambda: _beside(job)


def _beside(job: Job) -> Signed:
    if job.unreadable:
        raise ArtifactError("UNREADABLE", job.unreadable)
    try:
        return read_signed(job.signature or b"")
    except ArtifactError as error:
        raise ArtifactError(error.code, f"the signature beside it: {error}") from None


class _Verdict(NamedTuple):
    """The signature, if it counts; and what people should know of it and of the trusted keys."""

    signed: Signed | None = None
    doubts: tuple[ArtifactError, ...] = ()


def _judged(canonical: Canonical, signature: Callable[[], Signed] | None, trust: Trust) -> _Verdict:
    """Whether the signature counts; raises where that is required."""
    if not trust.folder:
        return _Verdict()
    troubles: tuple[ArtifactError, ...] = ()
    try:
        trusted = read_trusted(trust.folder)
        troubles = tuple(ArtifactError("BAD_KEY", text) for text in trusted.troubles[:_MOST_TOLD])
        signed = _verified(canonical, signature, _expected(trust, trusted))
    except KeysError as error:
        doubt = ArtifactError("NO_TRUSTED_KEYS", str(error))
    except ArtifactError as error:
        doubt = error
    else:
        return _Verdict(signed, troubles)
    if trust.required:
        beside = "".join(f"; {trouble}" for trouble in troubles)
        raise ArtifactError(doubt.code, f"{doubt}{beside}")
    return _Verdict(None, troubles if doubt.code == "UNSIGNED" else (doubt, *troubles))


def _verified(
    canonical: Canonical, signature: Callable[[], Signed] | None, expected: Expected
) -> Signed:
    if signature is None:
        raise ArtifactError("UNSIGNED", "it is not signed, as it must be here")
    if not canonical.exact:
        raise ArtifactError("UNSIGNABLE", "it has values that JSON lacks: nobody can sign it")
    signed = signature()
    verify(canonical.identity, signed, expected)
    return signed


def _expected(trust: Trust, trusted: Trusted) -> Expected:
    now = datetime.now(UTC).timestamp() if trust.ages else None
    return Expected(trusted.keys, trust.profile, trust.floor, now)

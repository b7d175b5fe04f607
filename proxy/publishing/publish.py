"""`registry publish`: may this registry take the place of what lies there, and as which version?

Validated and compared before it is signed; what is there is replaced whole, or stays. Knows no
target but by its promise.
"""

import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from proxy.artifact import ArtifactError, Floor, Signed, moment
from proxy.config.document import MAX_BYTES
from proxy.generations.reading import Candidate, Job, read
from proxy.people.output import Output
from proxy.people.tables import pairs
from proxy.people.unusable import UnusableError
from proxy.publishing import signing
from proxy.publishing.before import Before, breaks, lying
from proxy.publishing.comparing import as_document, compared
from proxy.publishing.diffs import lines
from proxy.publishing.file_target import FileTarget
from proxy.publishing.files import read_octets
from proxy.publishing.findings import rules_of
from proxy.publishing.http_target import HttpTarget
from proxy.publishing.private_keys import PrivateKey, read_private
from proxy.publishing.redis_target import RedisTarget
from proxy.publishing.refusal import RefusedError
from proxy.publishing.sign import fit_to_sign
from proxy.publishing.targets import Parcel, Target, There
from proxy.publishing.uploads import Upload
from proxy.registry.load import LoadRules

_REDIS: Final = ("redis://", "rediss://")
_HTTP: Final = ("https://", "http://")


@dataclass(frozen=True, slots=True)
class Draft:
    """A registry that is valid, and what it is to be."""

    text: bytes
    candidate: Candidate
    private: PrivateKey | None
    profile: str

    @property
    def canonical(self) -> bytes:
        return b"".join(self.candidate.canonical)


def publish(output: Output, options: Namespace, environ: Mapping[str, str]) -> int:
    """Raises `RefusedError` for what is not valid, breaks callers, or was overtaken."""
    target = target_of(options, environ)
    rules = rules_of(options, environ)
    draft = _draft(target, rules, output, options, environ)
    there = target.look()
    before = Before() if there is None else lying(there, target.name, rules, environ)
    found = _compare(before, draft, output, options)
    if there is not None and _lies_there(there, before, draft, target):
        _tell(output, target, draft, before.signed, found, published=False)
        output.note("It lies there already: nothing is published")
        return 0
    signed = _signed(draft, before, target, options)
    _ask_leave(output, target, signed, options)
    with Upload(output) as upload:
        target.put(Parcel(draft.text, draft.canonical, signed), there, upload)
    _tell(output, target, draft, signed, found, published=True)
    return 0


def target_of(options: Namespace, environ: Mapping[str, str]) -> Target:
    """Raises `UnusableError`."""
    name: str = options.target
    if name.startswith(_REDIS):
        return RedisTarget(name)
    if name.startswith(_HTTP):
        return HttpTarget(name, options, environ)
    if "://" in name:
        raise UnusableError("TARGET is none: a path, https://host/path, or redis://host:port/key")
    return FileTarget(name)


def _draft(
    target: Target,
    rules: LoadRules,
    output: Output,
    options: Namespace,
    environ: Mapping[str, str],
) -> Draft:
    private = read_private(Path(options.key)) if options.key else None
    file = Path(options.file)
    text = read_octets(file, MAX_BYTES)
    if fit_to_sign(text, file.name, rules, environ, output) is None:
        raise RefusedError(f"{file} is not published")
    candidate = read(text, Job(path="", name=file.name, rules=rules), environ)
    return Draft(text, candidate, private, options.profile or target.profile)


def _compare(
    before: Before, draft: Draft, output: Output, options: Namespace
) -> dict[str, object] | None:
    """The difference, if there is something to compare with, shown to people.

    Raises `RefusedError` where it breaks callers, or may.
    """
    found: dict[str, object] | None = None
    problem = before.problem
    if before.candidate is not None:
        comparison = compared(before.candidate, draft.candidate)
        found = as_document(comparison)
        problem = "It breaks callers" if breaks(comparison) else ""
        if output.for_people:
            output.lines(lines(found, output.sheet))
    elif problem:
        problem = f"What lies there cannot be compared: {problem}"
    if problem and not options.allow_breaking:
        if not output.for_people:
            output.document({"published": False, "comparison": found})
        raise RefusedError(f"{problem}; --allow-breaking publishes it all the same")
    return found


def _lies_there(there: There, before: Before, draft: Draft, target: Target) -> bool:
    """The same registry, the same text where that is kept, and the same signature if any."""
    if before.identity != draft.candidate.identity:
        return False
    if target.keeps_text and there.text != draft.text:
        return False
    if draft.private is None or before.signed is None:
        return draft.private is None and before.signed is None
    envelope = before.signed.envelope
    wanted = (draft.candidate.identity, draft.profile, draft.private.key_id)
    return (envelope.registry_sha256, envelope.profile, envelope.key_id) == wanted


def _signed(draft: Draft, before: Before, target: Target, options: Namespace) -> Signed | None:
    """Raises `UnusableError`, and `RefusedError` for a version that is not newer."""
    if draft.private is None:
        return None
    if before.problem and before.signed is None and options.version is None:
        raise UnusableError(
            f"{target.name} does not say which version was the last: {before.problem};"
            " give --version"
        )
    last = before.signed.envelope if before.signed else None
    version = options.version or (last.version + 1 if last else 1)
    now = moment(datetime.now(UTC).timestamp())
    try:
        signed = signing.sign(draft.candidate.identity, draft.profile, version, now, draft.private)
    except ArtifactError as error:
        raise UnusableError(str(error)) from None
    if last is not None and last.profile == draft.profile:
        floor = Floor(last.version, last.registry_sha256)
        if not floor.admits(signed.envelope):
            raise RefusedError(f"It is not published: {floor.why_not(signed.envelope)}")
    return signed


def _ask_leave(output: Output, target: Target, signed: Signed | None, options: Namespace) -> None:
    """Of a person on a terminal; raises `RefusedError` without it."""
    if options.yes or not (output.for_people and sys.stdin.isatty()):
        return
    what = "It, unsigned," if signed is None else f"Version {signed.envelope.version}"
    output.text(f"{what} goes to {target.name}: publish? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RefusedError("It is not published")


def _tell(
    output: Output,
    target: Target,
    draft: Draft,
    signed: Signed | None,
    found: dict[str, object] | None,
    *,
    published: bool,
) -> None:
    envelope = None if signed is None else signed.envelope
    said = {
        "target": target.name,
        "published": published,
        "identity": draft.candidate.identity,
        "profile": envelope and envelope.profile,
        "version": envelope and envelope.version,
        "created_at": envelope and envelope.created_at,
        "key_id": envelope and envelope.key_id,
    }
    if output.for_people:
        output.lines(pairs(list(said.items()), output.sheet))
    else:
        output.document({**said, "comparison": found})

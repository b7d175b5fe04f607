"""The start: which generation runs first, when the source, the store or both have something to say?

Before anybody is served, so it reads here and not elsewhere. Knows the registrar, and nothing of
those who call.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from proxy import errors
from proxy.config.sections import RegistrySettings
from proxy.generations import telling
from proxy.generations.archive import Archive
from proxy.generations.reading import Candidate, Job, job_of, read_file, trust_of
from proxy.generations.records import Active
from proxy.generations.registrar import Newest, Registrar, Running
from proxy.generations.severity import ChangeClass
from proxy.generations.source import AwayError
from proxy.generations.sources import source_of
from proxy.registry.load import Loaded, LoadRules, RegistryRejectedError, rejected

_LOG = logging.getLogger("toolproxy.registry")


class UnguardedError(Exception):
    """Signatures are required, and nothing would remember which version was the newest."""


async def start(registrar: Registrar, environ: Mapping[str, str], *, resumes: bool = False) -> None:
    """Take up the first generation; raises `RegistryRejectedError`.

    A source elsewhere that is away, or unusable, stops nobody: the last good copy runs, or none. So
    it does where this process `resumes` for one that ran a moment ago.
    """
    kept = await registrar.archive.active()
    if kept is not None and kept.activation.source != registrar.source.name:
        kept = None  # somebody else's, or from before the settings changed

    async def read_here(job: Job, _: int | None) -> Candidate:
        return read_file(job, environ)

    try:
        candidate = await registrar.fetch(read_here)
    except AwayError as error:
        remote = registrar.source.remote
        if not ((resumes or remote) and await _resume(registrar, kept)) and not remote:
            raise rejected("UNREADABLE", str(error), registrar.source.name) from None
        registrar.note_away(str(error))
    except RegistryRejectedError as error:
        await _go_on_without(registrar, kept, error, resumes=resumes)
    else:
        if candidate is not None:
            await _begin(registrar, kept, candidate)


async def look(
    settings: RegistrySettings, rules: LoadRules, environ: Mapping[str, str]
) -> tuple[Loaded, str]:
    """What the source has now, and its name; nothing is started.

    Raises `SourceError`, `AwayError`, `UnguardedError` and `RegistryRejectedError`. It is not asked
    whether the store has seen a newer version.
    """
    _refuse_unguarded(settings, could_write=_could_write(settings.store))
    source = source_of(settings)
    async with source.fetch("") as text:
        if text is None:
            raise AwayError(f"{source.name} has nothing")
        return read_file(
            job_of(text, source.name, rules, trust_of(settings)), environ
        ).loaded, source.name


async def archive_for(settings: RegistrySettings, before: Archive | None = None) -> Archive:
    """The store of these settings, open; `before` if it is that. Raises `UnguardedError`."""
    archive = before
    if archive is None or archive.folder != settings.store:
        archive = Archive(settings.store)
        await archive.open()
    elif archive.problem:
        await archive.open()  # perhaps it was mended
    why = archive.problem or "registry.store is empty"
    _refuse_unguarded(settings, could_write=archive.is_writable, why=why)
    return archive


def _refuse_unguarded(
    settings: RegistrySettings, *, could_write: bool, why: str = "it cannot be written"
) -> None:
    """An old signed registry could be put back in place of a newer one, and nobody would know."""
    if settings.needs_signature and not settings.min_version and not could_write:
        raise UnguardedError(
            f"signatures are required, but no store remembers the newest version ({why}):"
            " make registry.store writable, or set registry.min_version"
        )


def _could_write(folder: str) -> bool:
    """Without making it: can the nearest folder that is there be written?"""
    there = next((each for each in (Path(folder), *Path(folder).parents) if each.exists()), None)
    return bool(folder) and there is not None and there.is_dir() and os.access(there, os.W_OK)


async def _go_on_without(
    registrar: Registrar, kept: Active | None, error: RegistryRejectedError, *, resumes: bool
) -> None:
    """Is there anything better than to stop? An operator's own file is better mended first."""
    remote = registrar.source.remote
    missing = any(finding.code == "UNREADABLE" for finding in error.findings)
    ordered = kept is not None and bool(kept.pinned_against)
    may_resume = (
        remote or ordered or resumes or (registrar.settings.needs_signature and not missing)
    )
    if not (may_resume and await _resume(registrar, kept)) and not remote:
        raise error
    registrar.reject(str(error), codes=telling.codes_of(error))


async def _begin(registrar: Registrar, kept: Active | None, candidate: Candidate) -> None:
    if kept is not None and _comes_first(registrar, kept, candidate):
        if await _resume(registrar, kept):
            await registrar.consider(candidate)
            return
    elif kept is not None:
        registrar.running = _running(kept)
    same = registrar.running.identity == candidate.identity
    registrar.newest = Newest(candidate.identity, candidate.signed, "up-to-date")
    registrar.live.take_first(candidate.loaded)
    await registrar.taken(candidate, ChangeClass.COSMETIC if same else None, "start")


def _comes_first(registrar: Registrar, kept: Active, candidate: Candidate) -> bool:
    """Does what ran before have a say in whether this may run?"""
    if kept.activation.generation == candidate.identity:
        return False
    pinned = kept.pinned_against == candidate.identity
    return pinned or registrar.settings.on_breaking != "accept"


async def _resume(registrar: Registrar, kept: Active | None) -> bool:
    """Run what ran before, if it can be read; without it, nothing runs yet."""
    if kept is None:
        return False
    try:
        candidate = await registrar.stored(kept.activation.generation)
    except errors.ProxyError as error:
        _LOG.error("What ran before can't be taken up again: %s", error.detail)
        return False
    registrar.running = _running(kept)
    registrar.live.take_first(candidate.loaded)
    await registrar.taken(candidate, ChangeClass.COSMETIC, "start", kept.pinned_against)
    return True


def _running(kept: Active) -> Running:
    activation = kept.activation
    return Running(activation.generation, activation.signed, activation.at, kept.pinned_against)

"""`history`, `show`, `rollback`, `unpin` and `accept`: which generation runs, and which one should.

Asks a running sidecar, or reads its store. Raises `UnusableError` and `RefusedError`.
"""

import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from proxy.artifact import ArtifactError, canonical, identity, signed_of
from proxy.client.codec import mapping
from proxy.people.output import Output
from proxy.people.unusable import UnusableError
from proxy.publishing import stored
from proxy.publishing.asked import looked_up, ordered
from proxy.publishing.files import replace_octets
from proxy.publishing.pages import history_page, status_page
from proxy.publishing.refusal import RefusedError
from proxy.publishing.signing import artifact_text

_GENERATION: Final = re.compile(r"[0-9a-f]{8,64}")
_STATUS: Final = "/registry"


def history(output: Output, options: Namespace, environ: Mapping[str, str]) -> int:
    if options.store is None:
        target = f"{_STATUS}/history?limit={options.limit}"
        found = looked_up(options, environ, target, "history")
    else:
        found = stored.history(options.store, options.limit)
    if output.for_people:
        output.lines(history_page(found, output.sheet))
    else:
        output.document(found)
    return 0


def show(output: Output, options: Namespace, environ: Mapping[str, str]) -> int:
    if options.generation is not None:
        return _show_generation(output, options, environ)
    if options.out is not None:
        raise UnusableError("--out needs the generation that is to be written: show GEN --out FILE")
    if options.store is None:
        found = looked_up(options, environ, _STATUS, "show")
    else:
        found = stored.status(options.store)
    return _tell(found, output)


def rollback(output: Output, options: Namespace, environ: Mapping[str, str]) -> int:
    order = {"generation": _named(options)}
    return _tell(ordered(options, environ, f"{_STATUS}/rollback", order), output)


def unpin(output: Output, options: Namespace, environ: Mapping[str, str]) -> int:
    return _tell(ordered(options, environ, f"{_STATUS}/unpin", {}), output)


def accept(output: Output, options: Namespace, environ: Mapping[str, str]) -> int:
    order = {"generation": _named(options)}
    return _tell(ordered(options, environ, f"{_STATUS}/accept", order), output)


def _show_generation(output: Output, options: Namespace, environ: Mapping[str, str]) -> int:
    wanted = _named(options)
    if options.store is None:
        found = looked_up(options, environ, f"{_STATUS}/generations/{wanted}", f"show {wanted}")
    else:
        found = stored.generation(options.store, wanted)
    _check(found, wanted)
    if options.out is None:
        output.document(found)
        return 0
    replace_octets(Path(options.out), _artifact(found))
    output.note(f"{found['artifact_id']} is written to {options.out}")
    return 0


def _named(options: Namespace) -> str:
    generation: str = options.generation
    if not _GENERATION.fullmatch(generation):
        raise UnusableError(
            f"{generation!r} names no generation: it is 8 to 64 of its hexadecimal digits,"
            " as 'registry history' lists them"
        )
    return generation


def _check(found: Mapping[str, object], wanted: str) -> None:
    """An artifact says of itself what it is; raises `RefusedError` for one that lies."""
    name = found.get("artifact_id")
    try:
        named = isinstance(name, str) and name.startswith(wanted)
        is_that = named and identity(found.get("payload")) == name
    except ValueError:
        is_that = False
    if not is_that:
        raise RefusedError(f"What was answered is not generation {wanted}: it is not shown")


def _artifact(found: Mapping[str, object]) -> bytes:
    """As sidecars read it; one that is not signed has neither envelope nor signature."""
    octets = canonical(mapping(found.get("payload")))
    if found.get("envelope") is None:
        return b'{"payload": ' + octets + b"}\n"
    try:
        return artifact_text(octets, signed_of(found["envelope"], found.get("signature")))
    except ArtifactError as error:
        raise RefusedError(f"Its signature cannot be read: {error}") from None


def _tell(status: Mapping[str, object], output: Output) -> int:
    if output.for_people:
        output.lines(status_page(status, output.sheet))
    else:
        output.document(status)
    return 0

"""`registry diff`: what would change if the second registry ran in the place of the first?

Both are read as a sidecar reads them; signatures are not looked at.
"""

from argparse import Namespace
from collections.abc import Collection, Mapping
from pathlib import Path

from proxy.client.codec import decoded, mapping
from proxy.config.document import MAX_BYTES
from proxy.generations.comparison import Comparison, Table, compare
from proxy.generations.reading import Candidate, Job, read
from proxy.generations.shown import pieces
from proxy.people.output import Output
from proxy.people.unusable import UnusableError
from proxy.publishing.diffs import lines
from proxy.publishing.files import read_octets
from proxy.publishing.findings import complain_of, rules_of
from proxy.registry.load import LoadRules, RegistryRejectedError


def diff(output: Output, options: Namespace, environ: Mapping[str, str]) -> int:
    """Status 1 when something differs, or may: what is set aside cannot be compared."""
    rules = rules_of(options, environ)
    old, new = (_read(Path(name), rules, environ, output) for name in (options.old, options.new))
    comparison = compared(old, new)
    document = as_document(comparison)
    if output.for_people:
        output.lines(lines(document, output.sheet))
    else:
        output.document(document)
    same = old.identity == new.identity
    return 0 if same or not (comparison.total_changes or _set_aside(old, new)) else 1


def compared(old: Candidate, new: Candidate) -> Comparison:
    """What takes the place of what; servers that are set aside are not compared."""
    without = _set_aside(old, new)
    same = old.identity == new.identity
    steps = compare(_table(old, without), _table(new, without), same_identity=same)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            comparison: Comparison = end.value
            return comparison


def as_document(comparison: Comparison) -> dict[str, object]:
    """The contract's JSON of it."""
    return mapping(decoded(b"".join(pieces(comparison))))


def _read(file: Path, rules: LoadRules, environ: Mapping[str, str], output: Output) -> Candidate:
    text = read_octets(file, MAX_BYTES)
    try:
        found = read(text, Job(path=str(file), name=file.name, rules=rules), environ)
    except RegistryRejectedError as error:
        complain_of(error.findings, output)
        raise UnusableError(f"{file} is no registry that can be compared; see above") from None
    for each in found.loaded.quarantined:
        name = each.namespace or f"servers[{each.index}]"
        output.complain(f"{file}: {name} is set aside, and not compared: {each.findings[0]}")
    return found


def _set_aside(*sides: Candidate) -> set[str | None]:
    return {each.namespace for side in sides for each in side.loaded.quarantined}


def _table(candidate: Candidate, without: Collection[str | None]) -> Table:
    servers = candidate.loaded.servers
    return {each.namespace: each for each in servers if each.namespace not in without}

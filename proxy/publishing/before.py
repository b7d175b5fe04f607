"""What lies at a target: which registry, which version, and what would another one change?

Nothing that lies there is trusted. It may be anybody's, or no registry at all.
"""

from collections.abc import Mapping
from typing import NamedTuple

from proxy.artifact import ArtifactError, Signed, read_signed
from proxy.generations.comparison import Comparison
from proxy.generations.reading import Candidate, Job, read
from proxy.generations.severity import ChangeClass
from proxy.publishing.signing import split_artifact
from proxy.publishing.targets import There
from proxy.registry.load import LoadRules, RegistryRejectedError


class Before(NamedTuple):
    """What lay there. What could not be read is None, and `problem` says why."""

    candidate: Candidate | None = None
    signed: Signed | None = None
    problem: str = ""

    @property
    def identity(self) -> str:
        return self.candidate.identity if self.candidate else ""


def lying(there: There, name: str, rules: LoadRules, environ: Mapping[str, str]) -> Before:
    """What `there` is."""
    try:
        signed = _signed(there)
    except ArtifactError as error:
        return Before(problem=str(error))
    job = Job(path="", name=name, rules=rules)
    try:
        return Before(read(there.text, job, environ), signed)
    except RegistryRejectedError as error:
        return Before(None, signed, str(error.findings[0]))


def breaks(comparison: Comparison) -> bool:
    return comparison.change_class is ChangeClass.BREAKING


def _signed(there: There) -> Signed | None:
    """Raises `ArtifactError`."""
    parts = split_artifact(there.text)
    if parts is not None:
        return parts[1]
    return None if there.signature is None else read_signed(there.signature)

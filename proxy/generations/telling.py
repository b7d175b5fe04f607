"""What is told of generations: the facts of the events `registry_reloaded` and `registry_rejected`.

Knows the events' contract. Knows nothing of who listens.
"""

from collections.abc import Mapping
from typing import Final

from proxy.generations.reading import Candidate
from proxy.generations.records import Reason
from proxy.generations.severity import ChangeClass
from proxy.registry.load import RegistryRejectedError
from proxy.registry.snapshot import Snapshot

_MOST_TOLD: Final = 500  # problems of one reload

Facts = Mapping[str, object]


def reloaded(
    table: Snapshot, candidate: Candidate, change: ChangeClass | None, reason: Reason
) -> Facts:
    """A generation came into force."""
    signed = candidate.signed
    return {
        "generation": table.generation,
        "identity": candidate.identity,
        "change_class": change and change.value,
        "reason": reason,
        "version": signed and signed.envelope.version,
        "signed_by": signed and signed.envelope.key_id,
        "counts": {
            "servers": len(table.servers),
            "tools": len(table.tools),
            "quarantined": len(table.quarantined),
        },
        "problems": [str(finding) for finding in candidate.loaded.findings[:_MOST_TOLD]],
    }


def rejected(table: Snapshot, why: str, result: str, **more: object) -> Facts:
    """The newest text did not."""
    return {
        "status": "failure",
        "generation": table.generation,
        **more,
        "problems": why.split("\n")[:_MOST_TOLD],
        "error_code": f"registry_{result}",
        "error_message": why.partition("\n")[0],
    }


def codes_of(error: RegistryRejectedError) -> list[str]:
    """Of what is wrong, each once."""
    return sorted({finding.code for finding in error.findings})

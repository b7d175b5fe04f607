"""What operators order of the registrar: roll back, unpin, accept, and say what would change.

Each order takes its turn with what the source brings. Raises `ProxyError`, whose sentence says what
to do.
"""

from typing import Final

from msgspec.structs import replace

from proxy import errors
from proxy.generations.comparison import Comparison
from proxy.generations.reading import Candidate, Job, trust_of
from proxy.generations.registrar import Registrar
from proxy.generations.source import AwayError

_SHORTEST: Final = 8  # of an id, for a hand that slips


async def roll_back(registrar: Registrar, generation: str) -> None:
    """Run a generation that is kept, and pin it until the source has another text than now."""
    async with registrar.turn:
        found = await registrar.archive.find(generation)
        candidate = await registrar.stored(found)
        comparison = await registrar.compare(candidate)
        passed_over = registrar.passed_over
        is_back = passed_over == found
        await registrar.take(
            candidate, comparison.change_class, "rollback", "" if is_back else passed_over
        )
        if registrar.newest.identity:
            status = "up-to-date" if is_back else _status_after(comparison)
            registrar.newest = registrar.newest._replace(status=status)


def _status_after(comparison: Comparison) -> str:
    """How the source stands to what was gone back to: it lacks the servers that came with it."""
    came = any(not entry.tool for entry in comparison.added)
    return "diverged" if came else "outdated"


async def unpin(registrar: Registrar) -> None:
    """Take up what the source says after all."""
    async with registrar.turn:
        if not registrar.running.pinned_against:
            raise errors.RegistryConflictError("Nothing is pinned: what the source says runs")
        registrar.running = registrar.running._replace(pinned_against="")
        await registrar.archive.unpin()
        registrar.forget()  # the text was seen, and passed over
    await registrar.refresh()


async def accept(registrar: Registrar, generation: str) -> None:
    """Take up what is held."""
    async with registrar.turn:
        held = registrar.held
        if held is None:
            raise errors.RegistryConflictError("No generation is held")
        if len(generation) < _SHORTEST or not held.identity.startswith(generation):
            raise errors.RegistryConflictError(f"The generation that is held is {held.identity}")
        octets = b"".join(held.canonical)
        try:
            trust = await registrar.trust()
        except AwayError as error:
            raise errors.StoreUnavailableError(f"It can't be taken up: {error}") from None
        candidate = await registrar.reread(octets, held.signed, trust)
        comparison = await registrar.compare(candidate)
        await registrar.take(candidate, comparison.change_class, "accept")
        registrar.newest = registrar.newest._replace(status="up-to-date")


async def difference(registrar: Registrar, text: bytes) -> tuple[Candidate, Comparison]:
    """What a text would change; nothing is. Raises the registry's `RegistryRejectedError`."""
    trust = replace(trust_of(registrar.settings), required=False)  # what is wrong is a finding
    job = Job(path="", name="candidate", rules=registrar.live.rules, trust=trust)
    candidate = await registrar.read_octets(text, job)
    return candidate, await registrar.compare(candidate)

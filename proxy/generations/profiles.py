"""Registries laid ready for clients: published under a client and a profile, and fetched.

What is published is signed for `client/profile` by a key that is trusted here, in a version that
only grows. Knows nothing of who asks.
"""

import re
from typing import Final

from proxy import errors
from proxy.artifact import Floor, Signed
from proxy.generations.reading import Job, Trust
from proxy.generations.records import NAME
from proxy.generations.registrar import Registrar
from proxy.registry.load import RegistryRejectedError

_NAME: Final = re.compile(NAME)


async def publish(registrar: Registrar, client: str, profile: str, text: bytes) -> Signed:
    """Lay an artifact ready; raises `ProxyError`."""
    _refuse_names(client, profile)
    folder = registrar.settings.trusted_keys
    if not folder:
        raise errors.RegistryConflictError(
            "Nothing can be published here: registry.trusted_keys of the settings is empty"
        )
    trust = Trust(
        folder=folder,
        required=True,
        profile=f"{client}/{profile}",
        floor=await _floor(registrar, client, profile),
    )
    job = Job(path="", name=trust.profile, rules=registrar.live.rules, trust=trust)
    try:
        candidate = await registrar.read_octets(text, job)
    except RegistryRejectedError as error:
        raise errors.RegistryRejectedError(str(error).replace("\n", "; ")) from None
    if candidate.signed is None:
        raise errors.RegistryRejectedError("It is not signed")
    octets = b"".join(candidate.canonical)
    await registrar.archive.publish(client, profile, octets, candidate.signed)
    return candidate.signed


async def published(registrar: Registrar, client: str, profile: str) -> tuple[bytes, Signed]:
    """The canonical form of what lies ready, and its signature; raises `ProxyError`."""
    _refuse_names(client, profile)
    there = await registrar.archive.published(client, profile)
    if there is None or there.signed is None:
        raise errors.GenerationNotFoundError(f"Nothing is published for {client}/{profile}")
    octets, _ = await registrar.archive.read(there.generation)
    return octets, there.signed


async def _floor(registrar: Registrar, client: str, profile: str) -> Floor:
    there = await registrar.archive.published(client, profile)
    if there is None or there.signed is None:
        return Floor()
    return Floor(there.signed.envelope.version, there.generation)


def _refuse_names(*names: str) -> None:
    if not all(_NAME.fullmatch(name) for name in names):
        raise errors.BadValueError(
            "A client and a profile are 1 to 64 letters, digits, dots, _ and -, not dots first"
        )

"""Registries that a gateway keeps for clients: fetched, and believed for their signature alone.

Not for who answered: the way to the gateway, and the gateway itself, need not be trusted. Knows
which keys its caller trusts, and which versions this client has seen.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import quote

from proxy import artifact
from proxy.artifact import ArtifactError, Expected, Floor, Signed
from proxy.client.breaker import GATEWAY
from proxy.client.catalog import Asking
from proxy.client.deadline import deadline_of
from proxy.client.errors import Facts, GatewayError
from proxy.client.fields import caller_fields
from proxy.client.http import HttpTransport, Request
from proxy.client.retry import Leave
from proxy.client.trusted_keys import TrustedKeys, keys_of

_GENERATION: Final = re.compile(r"[0-9a-f]{64}")
_NO_KEYS: Final = (
    "trusted_keys are needed: a folder of .pub files, key ids with public keys in base64, or"
    " TrustedKeys; verify=False takes whatever comes"
)


class UntrustedError(GatewayError):
    """What came is not what a trusted key signed for this; `code` says why, for programs.

    `UNSIGNED`, `UNKNOWN_KEY`, `BAD_SIGNATURE`, `TAMPERED`, `OTHER_PROFILE`, `OLD_VERSION`,
    `EXPIRED_KEY`, `BAD_ARTIFACT`, `BAD_ENVELOPE`, `BAD_KEY`, `NO_TRUSTED_KEYS`,
    `NO_CRYPTOGRAPHY`.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A registry as it was published. `artifact_id` is the SHA-256 of its canonical form.

    `payload` is the registry's document (`{"version", "servers": […], …}`). What is signed of it,
    in an `Envelope`, and the signature (base64 of 64 octets) are None where nobody signed it.
    `verified` says whether a trusted key did.
    """

    artifact_id: str
    payload: Mapping[str, Any] = field(repr=False)
    envelope: artifact.Envelope | None
    signature: str | None = field(repr=False)
    verified: bool

    @property
    def version(self) -> int | None:
        """It only grows, by profile."""
        return None if self.envelope is None else self.envelope.version

    @property
    def profile(self) -> str | None:
        """`client/profile`, for what is published under them."""
        return None if self.envelope is None else self.envelope.profile

    @property
    def created_at(self) -> str | None:
        """When it was signed: RFC 3339, UTC."""
        return None if self.envelope is None else self.envelope.created_at

    @property
    def key_id(self) -> str | None:
        """Whose signature it is."""
        return None if self.envelope is None else self.envelope.key_id


class Retrieving:
    """The part of a `GatewayClient` that retrieves registries."""

    _retrieval: "Retrieval"

    async def get_config(
        self,
        client_id: str,
        profile_id: str,
        *,
        trusted_keys: TrustedKeys | None = None,
        min_version: int = 0,
        verify: bool = True,
    ) -> Artifact:
        """The registry that is published for a client and a profile, verified.

        It must be signed for `client_id/profile_id` by one of `trusted_keys`, which has not
        expired, in a version that is neither below `min_version` nor below one that this client
        got before. `trusted_keys` is a folder of `.pub` files, as `toolproxy registry keygen`
        makes them, read anew each time; or a mapping of key ids to public keys (base64 of 32
        octets); or `TrustedKey`s. With `verify=False` nobody's signature is looked at.

        Raises `UntrustedError`, `NotFoundError` where nothing is published, whatever a refused
        call is, and `ValueError` for arguments that cannot be meant.

        >>> async def main() -> None:
        ...     async with GatewayClient(gateway_url=URL) as client:
        ...         config = await client.get_config("laptop", "prod", trusted_keys="trusted_keys")
        ...         print(config.version, [each["namespace"] for each in config.payload["servers"]])
        """
        wanted = _Wanted.published(client_id, profile_id, min_version)
        return await self._retrieval.artifact(wanted, trusted_keys, verify=verify)

    async def get_generation(
        self,
        generation: str,
        *,
        trusted_keys: TrustedKeys | None = None,
        profile: str | None = None,
        verify: bool = True,
    ) -> Artifact:
        """A generation that the gateway keeps, verified; `generation` is all of its 64 digits.

        It must be signed by one of `trusted_keys` (see `get_config`), for `profile` if one is
        given. It may be an old one, and its key may have expired since. Generations are the
        operator's to see: the client's `api_key` must be one with `admin: true`, where the gateway
        asks who calls.

        Raises as `get_config` does.
        """
        wanted = _Wanted.generation(generation, profile)
        return await self._retrieval.artifact(wanted, trusted_keys, verify=verify)


class _Wanted(NamedTuple):
    """What is asked for, and what must be true of it. None: anything will do."""

    target: str
    what: str
    identity: str | None = None
    profile: str | None = None
    min_version: int | None = None

    @classmethod
    def published(cls, client_id: str, profile_id: str, min_version: int) -> "_Wanted":
        for name, value in (("client_id", client_id), ("profile_id", profile_id)):
            if value in ("", ".", ".."):
                raise ValueError(f"the {name} must not be {value!r}")
        if min_version < 0:
            raise ValueError("min_version must not be below 0")
        target = f"/registry/profiles/{quote(client_id, safe='')}/{quote(profile_id, safe='')}"
        profile = f"{client_id}/{profile_id}"
        what = f"get_config({client_id}, {profile_id})"
        return cls(target, what, profile=profile, min_version=min_version)

    @classmethod
    def generation(cls, generation: str, profile: str | None) -> "_Wanted":
        if not _GENERATION.fullmatch(generation):
            raise ValueError(
                "generation must be all of its 64 hexadecimal digits: fewer prove nothing"
            )
        what = f"get_generation({generation[:12]})"
        return cls(f"/registry/generations/{generation}", what, generation, profile)


class Asks(Protocol):
    """Who asks, for something that this client may do."""

    def __call__(self, what: str, user_token: str | None) -> Asking: ...


class Retrieval:
    """Artifacts of one gateway."""

    def __init__(self, http: HttpTransport, asks: Asks, default_timeout_s: float) -> None:
        self._http = http
        self._asks = asks
        self._default_timeout_s = default_timeout_s
        self._floors: dict[str, Floor] = {}  # by profile

    def __repr__(self) -> str:
        return f"<Retrieval {self._http} profiles={len(self._floors)}>"

    async def artifact(
        self, wanted: _Wanted, trusted_keys: TrustedKeys | None, *, verify: bool
    ) -> Artifact:
        """Raises `GatewayError`."""
        if verify and trusted_keys is None:
            raise ValueError(_NO_KEYS)
        body = await self._body(wanted)
        floor = self._floors.get(wanted.profile or "", Floor())
        try:
            # Long registries take a while to be hashed.
            found = await asyncio.to_thread(
                _judged, body, wanted, floor, trusted_keys if verify else None
            )
        except ArtifactError as error:
            sentence = f"{wanted.what} is not to be trusted: {error}"
            raise UntrustedError(sentence, Facts(code=error.code)) from None
        if found.verified and wanted.min_version is not None:
            self._raise_floor(found)
        return found

    async def _body(self, wanted: _Wanted) -> bytes:
        asking = self._asks(wanted.what.partition("(")[0], None)
        fields = caller_fields(asking.api_key, asking.user_token, None)
        request = Request(target=wanted.target, what=wanted.what, fields=fields)
        deadline = deadline_of(None, self._default_timeout_s)
        answer = await self._http.send(request, GATEWAY, Leave.READ, deadline)
        return answer.body

    def _raise_floor(self, found: Artifact) -> None:
        if found.envelope is not None:
            seen = Floor(found.envelope.version, found.artifact_id)
            before = self._floors.get(found.envelope.profile, Floor())
            self._floors[found.envelope.profile] = max(before, seen, key=lambda it: it.version)


def _judged(
    body: bytes, wanted: _Wanted, floor: Floor, trusted_keys: TrustedKeys | None
) -> Artifact:
    """Raises `ArtifactError`."""
    parts = artifact.parts_of(artifact.read_json(body))
    if parts is None or not isinstance(parts.payload, dict):
        raise ArtifactError("BAD_ARTIFACT", "what came is no registry")
    identity = _identity(parts.payload)
    parts.check_name(identity)
    if wanted.identity not in (None, identity):
        raise ArtifactError("TAMPERED", f"another generation came: {identity}")
    signed = parts.signed() if parts.is_signed else None
    if trusted_keys is not None:
        _verify(identity, signed, wanted, floor, trusted_keys)
    return Artifact(
        artifact_id=identity,
        payload=parts.payload,
        envelope=signed and signed.envelope,
        signature=signed and signed.signature,
        verified=trusted_keys is not None,
    )


def _identity(payload: dict[str, Any]) -> str:
    try:
        return artifact.identity(payload)
    except ValueError:
        raise ArtifactError("BAD_ARTIFACT", "the payload has what no JSON can say") from None


def _verify(
    identity: str, signed: Signed | None, wanted: _Wanted, seen: Floor, trusted_keys: TrustedKeys
) -> None:
    if signed is None:
        raise ArtifactError("UNSIGNED", "nobody signed it")
    is_new = wanted.min_version is not None
    asked = Floor(wanted.min_version or 0)
    expected = Expected(
        keys=keys_of(trusted_keys),
        profile=wanted.profile or signed.envelope.profile,
        floor=max(seen, asked, key=lambda it: it.version) if is_new else Floor(),
        now=datetime.now(UTC).timestamp() if is_new else None,
    )
    try:
        artifact.verify(identity, signed, expected)
    except ImportError:
        raise ArtifactError(
            "NO_CRYPTOGRAPHY", "signatures cannot be verified here: pip install cryptography"
        ) from None

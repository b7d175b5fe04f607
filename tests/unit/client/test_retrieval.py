"""What a client believes of an artifact that came, whoever sent it."""

import builtins
from collections.abc import Mapping
from typing import Any, Final

import orjson
import pytest

from proxy.artifact import Signed, TrustedKey, identity
from proxy.client import GatewayClient
from proxy.client.answers import Answer
from proxy.client.errors import GatewayError
from proxy.client.http import Request
from proxy.client.retrieval import Artifact, UntrustedError
from tests.support.signatures import PRIVATE, private_key, signed

REGISTRY: Final = {"servers": [{"namespace": "ü", "weight": 1.5}]}
PROFILE: Final = "laptop/prod"
KEYS: Final = (TrustedKey(PRIVATE.public_key),)
EXPIRED: Final = (TrustedKey(PRIVATE.public_key, expires_at=5.0),)


def served(document: object = REGISTRY, by: Signed | None = None, **other: object) -> bytes:
    beside = {"envelope": None, "signature": None} if by is None else by.document()
    return orjson.dumps({"artifact_id": identity(document), "payload": document, **beside, **other})


def published(version: int = 1, profile: str = PROFILE, **other: object) -> bytes:
    return served(REGISTRY, signed(REGISTRY, profile=profile, version=version), **other)


class Scripted:
    """In the place of HTTP: bodies in their order, and what was asked for."""

    def __init__(self, *bodies: bytes) -> None:
        self._bodies = list(bodies)
        self.targets: list[str] = []

    async def send(self, request: Request, *_: object) -> Answer:
        self.targets.append(request.target)
        return Answer(200, {}, self._bodies.pop(0))


def client_of(*bodies: bytes) -> tuple[GatewayClient, Scripted]:
    client, scripted = GatewayClient("http://a"), Scripted(*bodies)
    client._retrieval._http = scripted  # type: ignore[assignment] # all that is used of it
    return client, scripted


async def got(body: bytes, **how: Any) -> Artifact:
    client, _ = client_of(body)
    return await client.get_config("laptop", "prod", **{"trusted_keys": KEYS, **how})


async def generation(body: bytes, wanted: str = identity(REGISTRY), **how: Any) -> Artifact:
    client, _ = client_of(body)
    return await client.get_generation(wanted, **{"trusted_keys": KEYS, **how})


async def test_what_is_signed_for_it_is_believed() -> None:
    found = await got(published(version=3))

    assert (found.artifact_id, found.payload, found.verified) == (
        identity(REGISTRY),
        REGISTRY,
        True,
    )
    assert (found.version, found.profile, found.key_id) == (3, PROFILE, PRIVATE.key_id)
    assert found.created_at == "2027-01-15T08:00:00Z"


async def test_names_are_segments_of_the_path_whatever_they_hold() -> None:
    client, scripted = client_of(published())

    with pytest.raises(UntrustedError):
        await client.get_config("a/b", "c?d", trusted_keys=KEYS)

    assert scripted.targets == ["/registry/profiles/a%2Fb/c%3Fd"]


BAD: Final[Mapping[str, tuple[bytes, str]]] = {
    "no-json": (b"<html>", "BAD_ENVELOPE"),
    "no-object": (b"[]", "BAD_ARTIFACT"),
    "no-payload": (b"{}", "BAD_ARTIFACT"),
    "a-key-twice": (published()[:-1] + b',"payload":{}}', "BAD_ENVELOPE"),
    "endless": (b'{"payload":{"a":1e999}}', "BAD_ARTIFACT"),
    "other-name": (published(artifact_id="0" * 64), "TAMPERED"),
    "odd-name": (published(artifact_id=7), "BAD_ARTIFACT"),
    "more-than-that": (published(more=1), "BAD_ARTIFACT"),
    "no-registry": (orjson.dumps({"payload": []}), "BAD_ARTIFACT"),
    "unsigned": (served(), "UNSIGNED"),
    "no-signature": (published(signature=None), "BAD_ARTIFACT"),
    "other-registry": (served({"a": 1}, signed(REGISTRY, profile=PROFILE)), "TAMPERED"),
    "other-profile": (published(profile="laptop/test"), "OTHER_PROFILE"),
    "other-key": (
        served(REGISTRY, signed(REGISTRY, profile=PROFILE, private=private_key(2))),
        "UNKNOWN_KEY",
    ),
    "other-signature": (
        published(signature=signed(REGISTRY, profile=PROFILE, version=2).signature),
        "BAD_SIGNATURE",
    ),
}


@pytest.mark.parametrize(("body", "code"), BAD.values(), ids=BAD.keys())
async def test_anything_else_is_refused_in_a_sentence(body: bytes, code: str) -> None:
    with pytest.raises(UntrustedError, match=r"^get_config\(laptop, prod\) is not to be") as error:
        await got(body)

    assert (error.value.code, isinstance(error.value, GatewayError)) == (code, True)


async def test_an_expired_key_vouches_for_nothing_new() -> None:
    with pytest.raises(UntrustedError, match="has expired"):
        await got(published(), trusted_keys=EXPIRED)


async def test_a_version_below_what_is_asked_for_is_refused() -> None:
    with pytest.raises(UntrustedError, match="version 3 is older than 4"):
        await got(published(version=3), min_version=4)

    assert (await got(published(version=4), min_version=4)).version == 4


async def test_a_version_below_one_that_was_seen_is_refused() -> None:
    other: dict[str, object] = {"servers": []}
    same_version = served(other, signed(other, profile=PROFILE, version=5))
    client, _ = client_of(published(5), published(4), same_version, published(5), published(6))
    codes: list[object] = []

    for _ in range(5):
        try:
            found = await client.get_config("laptop", "prod", trusted_keys=KEYS)
            codes.append(found.version)
        except UntrustedError as error:
            codes.append(error.code)

    assert codes == [5, "OLD_VERSION", "OLD_VERSION", 5, 6]


async def test_a_version_that_was_seen_is_of_one_registry_whatever_is_asked_for() -> None:
    other: dict[str, object] = {"servers": []}
    client, _ = client_of(published(5), served(other, signed(other, profile=PROFILE, version=5)))
    await client.get_config("laptop", "prod", trusted_keys=KEYS)

    with pytest.raises(UntrustedError, match="version 5 was another registry"):
        await client.get_config("laptop", "prod", trusted_keys=KEYS, min_version=5)


async def test_versions_are_counted_by_profile() -> None:
    client, _ = client_of(published(5), published(1, "laptop/test"))

    await client.get_config("laptop", "prod", trusted_keys=KEYS)

    assert (await client.get_config("laptop", "test", trusted_keys=KEYS)).version == 1


async def test_what_nobody_verified_raises_no_floor() -> None:
    client, _ = client_of(published(9), published(1))

    unverified = await client.get_config("laptop", "prod", verify=False)

    assert (unverified.verified, unverified.version) == (False, 9)
    assert (await client.get_config("laptop", "prod", trusted_keys=KEYS)).version == 1


async def test_a_payload_that_is_not_what_it_says_is_refused_unverified_too() -> None:
    with pytest.raises(UntrustedError, match="not the one that artifact_id names"):
        await got(published(artifact_id="0" * 64), verify=False)


async def test_who_trusts_nobody_must_say_so() -> None:
    client, scripted = client_of()

    with pytest.raises(ValueError, match="verify=False takes whatever comes"):
        await client.get_config("laptop", "prod")

    assert scripted.targets == []


@pytest.mark.parametrize("names", [("", "a"), ("a", ".."), (".", "a")], ids=str)
async def test_a_name_that_is_no_segment_is_refused(names: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="must not be"):
        await client_of()[0].get_config(*names, trusted_keys=KEYS)


async def test_a_generation_is_the_one_that_was_named() -> None:
    found = await generation(published(version=2, profile="default"))

    assert (found.artifact_id, found.version) == (identity(REGISTRY), 2)
    with pytest.raises(UntrustedError, match="another generation came"):
        await generation(published(), "0" * 64)


async def test_a_generation_may_be_old_and_its_key_expired() -> None:
    client, _ = client_of(published(9), published(1))
    await client.get_config("laptop", "prod", trusted_keys=KEYS)

    found = await client.get_generation(identity(REGISTRY), trusted_keys=EXPIRED)

    assert found.version == 1


async def test_a_generation_may_have_to_be_of_a_profile() -> None:
    with pytest.raises(UntrustedError, match="sign it for laptop/test"):
        await generation(published(), profile="laptop/test")


async def test_a_generation_that_nobody_signed_is_taken_by_who_verifies_nothing() -> None:
    with pytest.raises(UntrustedError, match="nobody signed it"):
        await generation(served())

    found = await generation(served(), verify=False)
    assert (found.verified, found.envelope, found.version, found.profile) == (
        False,
        None,
        None,
        None,
    )


@pytest.mark.parametrize("name", ["", "abcdef12", "Z" * 64, "a" * 65], ids=len)
async def test_a_generation_has_a_whole_name(name: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        await generation(b"", name)


async def test_without_cryptography_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def refusing(name: str, *rest: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(UntrustedError, match="pip install cryptography") as error:
        await got(published())

    assert error.value.code == "NO_CRYPTOGRAPHY"

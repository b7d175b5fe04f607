"""The client gets what was published at a real sidecar, and its events tell who got what."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.client import (
    Artifact,
    AuthenticationError,
    GatewayClient,
    GatewayError,
    NotFoundError,
    UntrustedError,
    set_trace,
)
from tests.support.admission_scene import CI, OPS, UNKNOWN, usual
from tests.support.client_patience import quick_client
from tests.support.publisher import Publisher
from tests.support.sidecar import Sidecar, registry, server

UPSTREAM: Final = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    return Publisher(tmp_path_factory.mktemp("publisher"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    """Whom the sidecar trusts, too, and clients do not."""
    return Publisher(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="module")
def sidecar(
    publisher: Publisher, other: Publisher, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sidecar]:
    """One for all; each test publishes under a profile of its own."""
    trusted = tmp_path_factory.mktemp("trusted")
    for number, each in enumerate((publisher, other)):
        (trusted / f"{number}.pub").write_bytes((each.trusted / "publisher.pub").read_bytes())
    settings = usual(registry={"trusted_keys": str(trusted)})
    text = registry(server("o", UPSTREAM))
    started = Sidecar(tmp_path_factory.mktemp("sidecar"), text, settings)
    yield started
    started.close()


def published(sidecar: Sidecar, publisher: Publisher, at: str, *tools: str) -> dict[str, Any]:
    """Under `laptop/<at>`."""
    target = f"http://127.0.0.1:{sidecar.port}/registry/profiles/laptop/{at}"
    text = registry(server("o", UPSTREAM, tools=["call", *tools]))
    return publisher.publishes(target, text, extra={"TOOLPROXYCTL_API_KEY": OPS})


def client_of(sidecar: Sidecar, key: str = OPS) -> GatewayClient:
    return quick_client(f"http://127.0.0.1:{sidecar.port}", api_key=key)


def got(sidecar: Sidecar, at: str, *, key: str = OPS, **how: Any) -> Artifact:
    async def get() -> Artifact:
        async with client_of(sidecar, key) as client:
            return await client.get_config("laptop", at, **how)

    return asyncio.run(get())


def test_what_was_published_is_what_the_client_gets(sidecar: Sidecar, publisher: Publisher) -> None:
    said = published(sidecar, publisher, "first")

    found = got(sidecar, "first", key=CI, trusted_keys=publisher.trusted)

    assert (found.artifact_id, found.version, found.profile, found.key_id) == (
        said["identity"],
        said["version"],
        "laptop/first",
        publisher.key_id,
    )
    assert [each["namespace"] for each in found.payload["servers"]] == ["o"]


def test_a_client_sees_the_next_version_at_once(sidecar: Sidecar, publisher: Publisher) -> None:
    async def get_both() -> list[int | None]:
        async with client_of(sidecar) as client:
            versions = []
            for tools in ((), ("more",)):
                await asyncio.to_thread(published, sidecar, publisher, "next", *tools)
                found = await client.get_config("laptop", "next", trusted_keys=publisher.trusted)
                versions.append(found.version)
            return versions

    assert asyncio.run(get_both()) == [1, 2]


def test_a_generation_is_got_by_its_name(sidecar: Sidecar, publisher: Publisher) -> None:
    said = published(sidecar, publisher, "named", "named")

    async def get() -> Artifact:
        async with client_of(sidecar) as client:
            return await client.get_generation(said["identity"], trusted_keys=publisher.trusted)

    assert asyncio.run(get()).artifact_id == said["identity"]


def test_whom_the_client_does_not_trust_it_does_not_believe(
    sidecar: Sidecar, publisher: Publisher, other: Publisher
) -> None:
    published(sidecar, other, "others")

    with pytest.raises(UntrustedError, match="which is not trusted"):
        got(sidecar, "others", trusted_keys=publisher.trusted)


@pytest.mark.parametrize(
    ("key", "at", "kind"),
    [
        pytest.param(OPS, "absent", NotFoundError, id="nothing-published"),
        pytest.param(UNKNOWN, "absent", AuthenticationError, id="nobody-known"),
        pytest.param(OPS, ".hidden", GatewayError, id="no-profile"),
    ],
)
def test_a_refusal_is_what_it_is_for_every_call(
    sidecar: Sidecar, publisher: Publisher, key: str, at: str, kind: type[GatewayError]
) -> None:
    with pytest.raises(kind) as error:
        got(sidecar, at, key=key, trusted_keys=publisher.trusted)

    assert error.value.status in (400, 401, 404)


def test_each_retrieval_leaves_its_events_in_its_trace(
    sidecar: Sidecar, publisher: Publisher
) -> None:
    said = published(sidecar, publisher, "traced")

    async def get() -> list[dict[str, Any]]:
        set_trace("retrieval-1")
        async with client_of(sidecar) as client:
            await client.get_config("laptop", "traced", trusted_keys=publisher.trusted)
            with pytest.raises(NotFoundError):
                await client.get_config("laptop", "absent", trusted_keys=publisher.trusted)
            return await client.events_for("retrieval-1")

    events = asyncio.run(get())
    kinds = [each["event_type"].removeprefix("config_retrieval_") for each in events]
    assert kinds == ["started", "completed", "started", "failed"]
    assert said["identity"] in str(events[1])


def test_a_folder_without_keys_is_said_to_be_one(
    sidecar: Sidecar, publisher: Publisher, tmp_path: Path
) -> None:
    published(sidecar, publisher, "keyless")

    with pytest.raises(UntrustedError, match="there is no trusted key"):
        got(sidecar, "keyless", trusted_keys=tmp_path)

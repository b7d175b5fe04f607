"""A deployment of a test's own, and a host that has a registry."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from proxy.generations.https_source import HttpsSource
from tests.support.generations_scene import Scene
from tests.support.https_reading import NEVER_S, PATH
from tests.support.registry_host import RegistryHost


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


@pytest.fixture
async def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RegistryHost]:
    async with RegistryHost() as host:
        monkeypatch.setenv("SSL_CERT_FILE", str(host.authorities(tmp_path)))
        host.documents[PATH] = b"servers: []"
        yield host


@pytest.fixture
def source(host: RegistryHost) -> HttpsSource:
    return HttpsSource(host.url + PATH, NEVER_S)

"""A registrar with a real store, whose source says what a test lets it say."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson
from msgspec.structs import replace

from proxy.artifact import Signed
from proxy.config.sections import RegistrySettings
from proxy.config.settings import Settings
from proxy.generations.reading import Candidate, Job, read_file
from proxy.generations.registrar import Registrar
from proxy.generations.source import AwayError, Changed, Source, Text, tag_of
from proxy.generations.starting import archive_for, start
from proxy.registry.live import LiveRegistry
from proxy.registry.load import LoadRules
from tests.support.sidecar import server
from tests.support.signing import Signer, beside

RULES: Final = LoadRules.of(Settings())
Document = Mapping[str, object]


def document(*servers: Mapping[str, object]) -> Document:
    return {"version": "1.0", "servers": list(servers)}


def of_tools(*tools: str, namespace: str = "a", port: int = 81) -> Document:
    """A registry with one server that has these tools."""
    return document(server(namespace, f"http://10.0.0.1:{port}", tools=tools))


class Written:
    """A source that a test writes; what it lends lies in a file of the folder."""

    def __init__(self, folder: Path, *, remote: bool = False) -> None:
        self.name = "https://registries/fleet" if remote else str(folder / "registry.yaml")
        self.remote = remote
        self.away = ""  # why it cannot be asked
        self.signature: bytes | None = None
        self._path = folder / "registry.yaml"

    def says(self, text: Document | bytes, signed: Signed | None = None) -> None:
        self._path.write_bytes(text if isinstance(text, bytes) else orjson.dumps(text))
        self.signature = signed and beside(signed)

    def has_nothing(self) -> None:
        self._path.unlink(missing_ok=True)

    @asynccontextmanager
    async def fetch(self, known: str) -> AsyncIterator[Text | None]:
        await asyncio.sleep(0)
        if self.away:
            raise AwayError(self.away)
        octets = self._path.read_bytes() if self._path.exists() else b""
        tag = tag_of(hashlib.sha256(octets).hexdigest(), self.signature)
        yield None if tag == known else Text(str(self._path), tag, self.signature)

    async def watch(self, changed: Changed) -> None:
        raise NotImplementedError


class Scene:
    """One deployment: its folder, its source, its store; and each registrar that ran there."""

    def __init__(self, folder: Path, *, remote: bool = False) -> None:
        self.folder = folder
        self.source: Source = Written(folder, remote=remote)
        self.signer = Signer()
        self.keys = folder / "keys"
        self._store = folder / "store"
        self.rules = replace(RULES, secrets_dir=str(folder))
        self.environ: dict[str, str] = {}
        self.told: list[tuple[str, Mapping[str, Any]]] = []
        self.reads = 0  # since the last start
        self._registrars: list[Registrar] = []

    @property
    def written(self) -> Written:
        assert isinstance(self.source, Written)
        return self.source

    def settings(self, **keys: Any) -> RegistrySettings:
        path = str(self.folder / "registry.yaml")
        own: dict[str, Any] = {"path": path, "store": str(self._store)}
        own["insecure"] = self.source.remote
        if self.source.remote:
            own["url"] = "https://registries/fleet"
        return RegistrySettings(**own | keys)

    def requiring(self, **keys: Any) -> RegistrySettings:
        """Settings that require a signature, of a key that is trusted."""
        self.signer.is_trusted_in(self.keys)
        own = {"require_signature": True, "insecure": False, "trusted_keys": str(self.keys)}
        return self.settings(**own | keys)

    async def built(self, settings: RegistrySettings | None = None) -> Registrar:
        """A registrar that was not started."""
        settings = settings or self.settings()
        live = LiveRegistry(self.rules, self.environ, self._tell)
        registrar = Registrar(live, self.source, settings, self._tell, self._read)
        registrar.follow(settings, await archive_for(settings))
        self._registrars.append(registrar)
        self.reads = 0
        return registrar

    async def started(self, settings: RegistrySettings | None = None) -> Registrar:
        """A registrar that runs, as after a start of the process; what it was told is forgotten."""
        registrar = await self.built(settings)
        self.told.clear()
        await start(registrar, self.environ)
        return registrar

    async def running(self, text: Document, settings: RegistrySettings | None = None) -> Registrar:
        """The same, of a text, which is signed where there are keys."""
        self.written.says(text, self.signer.signs(text) if self.keys.exists() else None)
        return await self.started(settings)

    def breaks_the_store(self) -> None:
        """A file lies in its place: not even an administrator can write there."""
        self._store.rename(self._store.with_name("aside"))
        self._store.write_text("")

    def mends_the_store(self) -> None:
        self._store.unlink()
        self._store.with_name("aside").rename(self._store)

    def told_of(self, kind: str) -> list[Mapping[str, Any]]:
        return [facts for each, facts in self.told if each == kind]

    def close(self) -> None:
        for registrar in self._registrars:
            registrar.archive.close()

    def _tell(self, kind: str, facts: Mapping[str, object]) -> None:
        self.told.append((kind, facts))

    async def _read(self, job: Job, handle: int | None) -> Candidate:
        del handle
        self.reads += 1
        return read_file(job, self.environ)

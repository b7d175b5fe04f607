"""The commands of publishers, in this process: arguments in, status and words out."""

import argparse
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import pytest

from proxy.publishing.command import perform
from proxy.publishing.options import add_registry_commands
from proxy.publishing.private_keys import Made, make_keys
from tests.support.signatures import NOW_S

REGISTRY: Final = "servers:\n- {namespace: a, name: b, port: 80, tools: [{name: c}]}\n"


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return orjson.loads(self.out)


class Desk:
    """A folder to publish from: a registry, and keys that are trusted."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.registry = folder / "registry.yaml"
        self.sig = folder / "registry.yaml.sig"
        self.trusted = folder / "trusted"
        self.registry.write_text(REGISTRY)
        self.fleet = self.keys("fleet")
        self._capfd = capfd

    def __repr__(self) -> str:
        return f"<Desk {self.folder}>"

    def keys(self, name: str) -> Made:
        return make_keys(name, self.folder / "keys", now=NOW_S, public_folder=self.trusted)

    def ask(self, *arguments: object) -> Ended:
        parser = argparse.ArgumentParser()
        add_registry_commands(parser.add_subparsers(), lambda options: perform(options, {}))
        options = parser.parse_args(["registry", *map(str, arguments)])
        return Ended(options.command(options), *self._capfd.readouterr())

    def sign(self, *more: object) -> Ended:
        return self.ask("sign", self.registry, "--key", self.fleet.private, *more)

    def verify(self, *more: object) -> Ended:
        return self.ask("verify", self.registry, "--trusted", self.trusted, *more)

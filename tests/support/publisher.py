"""Somebody who publishes: a key of their own, a registry, and the real command."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from proxy.publishing.private_keys import make_keys
from tests.support.admission_scene import OPERATORS, operators_ask, operators_port
from tests.support.messages import get
from tests.support.sidecar import Sidecar, run_command
from tests.support.waiting import eventually

WITHIN_S: Final = 20.0
_MADE_AT_S: Final = 1_700_000_000.0

Done = subprocess.CompletedProcess[str]


class Publisher:
    """Keys and files in one folder; `trusted` is what sidecars get of it."""

    def __init__(self, folder: Path, *, expires_at: float | None = None) -> None:
        self.folder = folder
        self.trusted = folder / "trusted"
        self.file = folder / "registry.yaml"
        made = make_keys(
            "publisher",
            folder / "keys",
            now=_MADE_AT_S,
            expires_at=expires_at,
            public_folder=self.trusted,
        )
        self.key = made.private
        self.key_id = made.key.key_id

    def __repr__(self) -> str:
        return f"<Publisher {self.key_id}>"

    def tries(
        self, target: object, text: str, *words: str, extra: Mapping[str, str] | None = None
    ) -> Done:
        """Publish a text, signed, and see what comes of it."""
        self.file.write_text(text)
        signing = () if "--unsigned" in words else ("--key", str(self.key))
        said = ("registry", "publish", str(target), str(self.file), *signing, *words)
        return run_command(*said, extra=extra)

    def publishes(
        self, target: object, text: str, *words: str, extra: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """What the command says of a text that it published."""
        done = self.tries(target, text, *words, extra=extra)
        assert done.returncode == 0, done
        said = orjson.loads(done.stdout)
        assert isinstance(said, dict)
        return said


def status_of(sidecar: Sidecar) -> dict[str, Any]:
    """What `GET /registry` says, on the listener that serves it."""
    for_operators = OPERATORS.search(sidecar.stderr)
    ask = operators_ask if for_operators else Sidecar.ask
    return ask(sidecar, get("/registry")).json()


def url_for_orders(sidecar: Sidecar) -> str:
    """Where a sidecar with an admin listener takes them."""
    return f"http://127.0.0.1:{operators_port(sidecar)}"


def runs(sidecar: Sidecar, identity: object) -> bool:
    """Does it take up this generation, before long?"""
    return eventually(lambda: bool(status_of(sidecar)["active"] == identity), within_s=WITHIN_S)

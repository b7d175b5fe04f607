"""Builds of the sidecar: where its code lies, as it is or compiled, of this checkout or another.

Knows pip and the file system. Knows nothing of how a sidecar is run.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, Protocol

CHECKOUT: Final = Path(__file__).parents[2]
_FILES: Final = ("pyproject.toml", "README.md", "LICENSE")


class Build(Protocol):
    """Code of the sidecar that can be run."""

    home: Path
    kind: str

    def prepare(self) -> None:
        """See to it that it is there, if that can be done; may take minutes."""

    def missing(self) -> str | None:
        """Why it is not there."""


class Plain:
    """A checkout's sources as they are."""

    kind: str = "pure Python"

    def __init__(self, checkout: Path) -> None:
        self.home = checkout

    def __repr__(self) -> str:
        return f"<Plain {self.home}>"

    def prepare(self) -> None:
        """Nothing is to be done."""

    def missing(self) -> str | None:
        there = all((self.home / path).exists() for path in (*_FILES, "proxy/__main__.py"))
        return None if there else f"{self.home} is no checkout of the sidecar"


class Compiled:
    """A checkout's sources, compiled with mypyc into this checkout's `build/`.

    A folder of its own for each state of the sources: an old build is never taken for a new.
    """

    kind: str = "compiled"

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self.home = CHECKOUT / "build" / f"compiled-{_digest(checkout)}"

    def __repr__(self) -> str:
        return f"<Compiled {self._checkout} {'missing' if self.missing() else 'built'}>"

    def prepare(self) -> None:
        """Build it if it is not there. Takes a minute; pip complains on standard error."""
        if self.home.exists():
            return
        self.home.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.home.parent) as name:
            folder = Path(name, "home")
            self._build(folder)
            if (folder / "proxy").is_dir():  # else pip has failed, and may not the next time
                folder.rename(self.home)

    def missing(self) -> str | None:
        if not self.home.exists():
            return "not built (a run without --quick builds it; pip says above why it could not)"
        return None if _is_compiled(self.home) else "its build has no compiled modules"

    def best_home(self) -> Path:
        """Where the code lies that a user would run: compiled where that is possible."""
        return self._checkout if self.missing() else self.home

    def _build(self, folder: Path) -> None:
        """From a copy, since what is compiled stays beside its source, and would be run unasked."""
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        with tempfile.TemporaryDirectory() as name:
            for path in _FILES:
                shutil.copy(self._checkout / path, name)
            only_sources = shutil.ignore_patterns("*.so", "__pycache__")
            shutil.copytree(self._checkout / "proxy", Path(name, "proxy"), ignore=only_sources)
            subprocess.run(  # noqa: S603 - fixed words
                [*command, "--no-deps", "--target", str(folder), name],
                env={**os.environ, "HATCH_BUILD_HOOK_ENABLE_MYPYC": "1"},
                check=False,
            )


def _is_compiled(home: Path) -> bool:
    return any((home / "proxy" / "wire").glob("*.so"))


def _digest(checkout: Path) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for path in [checkout / "pyproject.toml", *sorted((checkout / "proxy").rglob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


OURS: Final = Compiled(CHECKOUT)

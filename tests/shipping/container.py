"""A container without an engine: the image's command, run by nobody in particular.

`confined` does what an engine does with `read_only`, `cap_drop: [ALL]` and `no-new-privileges`: the
root is mounted read-only and the command is process 1. Not every machine lets us do that.
"""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from proxy.config.settings import Settings
from tests.shipping.dockerfile import Image, below
from tests.support.caller import Caller
from tests.support.sidecar import READY, START_WITHIN_S, STOP_WITHIN_S
from tests.support.waiting import eventually

_MOUNT_READ_ONLY: Final = """\
mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; mount -o remount,bind,ro /; exec "$@"
"""
_WITHOUT_RIGHTS: Final = ("--no-new-privs", "--inh-caps=-all", "--bounding-set=-all")

Confinement = Callable[[Image], list[str]]
"""What stands before a command so that it runs as in a container."""


def unprivileged(image: Image) -> list[str]:
    return ["setpriv", *_as_user(image), "--no-new-privs"]


def confined(image: Image) -> list[str]:
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid():
        alone.append("--map-root-user")  # who is not root may mount only where it looks so
    read_only = ["sh", "-ec", _MOUNT_READ_ONLY, str(image.root)]
    return [*alone, *read_only, "setpriv", *_as_user(image), *_WITHOUT_RIGHTS]


def permitted(confinement: Confinement, image: Image) -> bool:
    """Whether this machine lets us, and lets that user reach the interpreter."""
    try:
        done = subprocess.run(  # noqa: S603 - built of constants
            [*confinement(image), image.python, "-c", ""],
            env=image.environment,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        return False
    return done.returncode == 0


class Container:
    """The image's command with a registry, from its first word to its end."""

    def __init__(self, image: Image, registry: str, confinement: Confinement, log: Path) -> None:
        self.image = image
        self._log = log
        self._registry = below(image.root, Settings().registry.path)
        self._registry.parent.mkdir(parents=True, exist_ok=True)
        self.write_registry(registry)
        given = {"HOST": "127.0.0.1", "PORT": "0", "REGISTRY_PATH": str(self._registry)}
        with log.open("w") as stderr:
            self._process = subprocess.Popen(  # noqa: S603 - built of constants
                [*confinement(image), *image.command],
                env={**image.environment, **given},
                cwd=image.root,
                stderr=stderr,
            )
        self._is_child = confinement is confined  # of `unshare`; `setpriv` becomes the command
        self.port = self._wait_until_it_listens()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()

    @property
    def pid(self) -> int:
        """Of the command itself, as it is known outside."""
        own = self._process.pid
        if not self._is_child:
            return own
        (child,) = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return int(child)

    def write_registry(self, text: str) -> None:
        """From outside, where it can be written; seen inside as another file of that name."""
        new = self._registry.with_suffix(".new")
        new.write_text(text)
        new.replace(self._registry)

    def caller(self) -> Caller:
        return Caller(self.port)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def run_inside(self, command: list[str]) -> int:
        """What `exec` of an engine does, in a confined one; the exit status."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid"]
        if os.geteuid():
            enter += ["--user", "--preserve-credentials"]
        done = subprocess.run(  # noqa: S603 - built of constants
            [*enter, "setpriv", *_as_user(self.image), "--no-new-privs", *command],
            env=self.image.environment,
            check=False,
        )
        return done.returncode

    def exit_status(self) -> int:
        """Wait for the end."""
        return self._process.wait(STOP_WITHIN_S)

    def status(self) -> dict[str, str]:
        """What the kernel knows of the command."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)

    def mounts(self) -> dict[str, list[str]]:
        """The options of what is mounted, by place."""
        lines = Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines()
        return {fields[4]: fields[5].split(",") for fields in map(str.split, lines)}

    def _wait_until_it_listens(self) -> int:
        eventually(
            lambda: self._listening() or self._process.poll() is not None, within_s=START_WITHIN_S
        )
        found = self._listening()
        if found is None:
            self._kill()
            raise AssertionError(f"it does not listen: {self._log.read_text()}")
        return int(found[1])

    def _listening(self) -> re.Match[str] | None:
        return READY.search(self._log.read_text())

    def _kill(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, ValueError):  # it ended meanwhile
                os.kill(self.pid, signal.SIGKILL)  # `unshare` would leave it behind
        self._process.kill()
        self._process.wait()


def _as_user(image: Image) -> list[str]:
    if os.geteuid():
        return []  # nobody in particular already
    user, _, group = image.user.partition(":")
    return [f"--reuid={user}", f"--regid={group}", "--clear-groups"]

"""A successor: the same command started anew on the sockets that we listen on.

It adopts them as any that are passed on (see `sockets`), and ends us once it serves; no caller is
ever refused. Knows nothing of what is served.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Final

from proxy.listening.sockets import FIRST_PASSED_ON, SUCCEEDS, Opened

_INIT: Final = 1


class NoSuccessorError(Exception):
    """It can't be started."""


class Succession:
    """Whoever comes after this process, if anybody does."""

    def __init__(self) -> None:
        self._successor: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Succession {self._successor}>"

    @property
    def is_under_way(self) -> bool:
        return self._successor is not None and self._successor.poll() is None

    def begin(self, opened: Iterable[Opened]) -> int:
        """Start the successor; its process id. Raises `NoSuccessorError`."""
        if os.getpid() == _INIT:
            raise NoSuccessorError("the first process of a container can't leave: start another")
        if self.is_under_way:
            raise NoSuccessorError("one is being started already")
        handed = list(opened)
        handles = [each.fileno() for one in handed for each in one.sockets]
        # A process that starts the command in its own place: only there is its number known.
        command = [sys.executable, "-m", __name__, *map(str, handles), "--"]
        command += [sys.executable, *sys.orig_argv[1:]]
        try:
            self._successor = subprocess.Popen(  # noqa: S603 - our own command again
                command, pass_fds=handles, env={**os.environ, SUCCEEDS: str(os.getpid())}
            )
        except OSError as error:
            raise NoSuccessorError(str(error.strerror)) from None
        for one in handed:
            one.hand_over()
        return self._successor.pid


def end_predecessor(environ: Mapping[str, str], opened: Iterable[Opened]) -> None:
    """We serve: whoever started us for that may go, and what it opened is ours."""
    if environ.get(SUCCEEDS) == str(os.getppid()):
        for one in opened:
            one.adopt()
        os.kill(os.getppid(), signal.SIGQUIT)


def main() -> None:
    """Become the command that is named behind `--`, with these descriptors from the third on."""
    handles, command = _parted(sys.argv[1:])
    # First out of the way of one another.
    free = max(handles, default=0) + FIRST_PASSED_ON + len(handles)
    for place, handle in enumerate(handles):
        os.dup2(handle, free + place)
    for place in range(len(handles)):
        os.dup2(free + place, FIRST_PASSED_ON + place)
    os.closerange(FIRST_PASSED_ON + len(handles), free + len(handles))
    passed_on = {"LISTEN_FDS": str(len(handles)), "LISTEN_PID": str(os.getpid())}
    os.execvpe(command[0], command, {**os.environ, **passed_on})  # noqa: S606 - as above


def _parted(arguments: list[str]) -> tuple[list[int], list[str]]:
    at = arguments.index("--")
    return [int(each) for each in arguments[:at]], arguments[at + 1 :]


if __name__ == "__main__":
    main()

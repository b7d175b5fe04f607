"""A sidecar of several processes, from outside: who is who, and which worker has a connection."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.support.caller import Answer, Caller
from tests.support.sidecar import Sidecar

_MOST_TRIES = 200
_ESTABLISHED = "01"


def processes(sidecar: Sidecar) -> list[int]:
    """The children of the master, oldest first: the office, then workers."""
    of_master = Path(f"/proc/{sidecar.pid}/task/{sidecar.pid}/children")
    return [int(each) for each in of_master.read_text().split()]


def holder_of(sidecar: Sidecar, caller_port: int) -> int | None:
    """Which process has accepted the connection that comes from this port."""
    inode = _inode_of(sidecar.port, caller_port)
    held = (pid for pid in processes(sidecar) if inode and inode in _sockets_of(pid))
    return next(held, None)


@contextlib.contextmanager
def on_each(sidecar: Sidecar, workers: int = 2) -> Iterator[list[Caller]]:
    """A connection to each worker: so many are opened until each has one."""
    with contextlib.ExitStack() as stack:
        found: dict[int, Caller] = {}
        for _ in range(_MOST_TRIES):
            caller = stack.enter_context(sidecar.caller())
            pid = _settled_at(sidecar, caller)
            found.setdefault(pid, caller)
            if len(found) == workers:
                break
        assert len(found) == workers, f"no connection came to some: {found}"
        yield [found[pid] for pid in sorted(found)]


def ask(caller: Caller, request: bytes) -> Answer:
    caller.send(request)
    return caller.answer(request.split(b" ")[0].decode())


def _settled_at(sidecar: Sidecar, caller: Caller) -> int:
    """Asked once, it has been accepted."""
    assert ask(caller, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    pid = holder_of(sidecar, caller.port)
    assert pid is not None
    return pid


def _inode_of(port: int, caller_port: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *rest = line.split()
        ports = tuple(int(each.rpartition(":")[2], 16) for each in (local, remote))
        if ports == (port, caller_port) and state == _ESTABLISHED:
            return f"socket:[{rest[5]}]"
    return ""


def _sockets_of(pid: int) -> set[str]:
    found = set()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(handle.readlink()))
    return found

"""The sockets of all listeners: opened before any loop runs, or taken over from who started us.

Knows addresses, the file system and sd_listen_fds(3). Knows nothing of connections. Nothing waits
here, so a process may open them, fork, and leave serving to its children.
"""

import errno
import logging
import os
import socket
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from proxy.config.listeners import Listener, Unix

_LOG = logging.getLogger("toolproxy.listening")
BACKLOG: Final = 1024
FIRST_PASSED_ON: Final = 3  # SD_LISTEN_FDS_START
SUCCEEDS: Final = "SUCCEEDS_PID"  # says that what is passed on is ours from now on, and from whom
_MOST_PASSED_ON: Final = 1024
_PROBE_S: Final = 1.0
Place = tuple[str, int] | str  # an address of a socket, as far as it is told apart here


class CannotListenError(Exception):
    """The address can't be had."""


class Opened:
    """One listener's sockets: several, where its host's name stands for several addresses."""

    def __init__(
        self, key: str, listener: Listener, sockets: list[socket.socket], *, made_here: bool
    ) -> None:
        self.key = key  # of the settings
        self.listener = listener
        self.sockets = sockets
        self._file: tuple[int, int] | None = None
        if made_here and isinstance(listener.address, Unix):
            self._file = _identity(listener.address.path)

    def __repr__(self) -> str:
        return f"<Opened {self.key} {self.url}>"

    @property
    def port(self) -> int:
        """The one that it has, where the settings say any; nought for a Unix socket."""
        place = _place_of(self.sockets[0])
        return 0 if isinstance(place, str) else place[1]

    @property
    def url(self) -> str:
        """Where it is, as people read it."""
        listener, place = self.listener, _place_of(self.sockets[0])
        if isinstance(place, str):
            return f"unix:{place}"
        host = f"[{place[0]}]" if ":" in place[0] else place[0]
        return f"{listener.scheme}://{host}:{place[1]}"

    def close(self) -> None:
        """Let go of it; a socket's file goes too, if it is ours and nobody's since."""
        for each in self.sockets:
            each.close()
        if self._file is not None and isinstance(self.listener.address, Unix):
            path = self.listener.address.path
            if _identity(path) == self._file:
                Path(path).unlink(missing_ok=True)

    def adopt(self) -> None:
        """It was handed over to us, and whoever did so has gone: its file is ours."""
        if isinstance(self.listener.address, Unix):
            self._file = _identity(self.listener.address.path)

    def hand_over(self) -> None:
        """Another process serves it from now on: its file stays."""
        self._file = None


def open_all(listeners: Iterable[tuple[str, Listener]], environ: Mapping[str, str]) -> list[Opened]:
    """Every listener with its sockets, in the order of the settings; raises `CannotListenError`."""
    wanted = list(listeners)
    passed_on = _PassedOn(environ)
    opened: list[Opened] = []
    try:
        for key, listener in wanted:
            opened.append(_opened(key, listener, passed_on))
    except CannotListenError:
        for each in opened:
            each.close()
        raise
    finally:
        passed_on.close_rest()
    return opened


def _opened(key: str, listener: Listener, passed_on: "_PassedOn") -> Opened:
    address = listener.address
    try:
        if isinstance(address, Unix):
            taken = passed_on.take(address.path)
            sock = taken or _bound_unix(address.path)
            return Opened(key, listener, [sock], made_here=taken is None)
        sockets = [
            passed_on.take((place[0], place[1])) or _bound(family, place)
            for family, place in _resolved(address.host, address.port)
        ]
        return Opened(key, listener, sockets, made_here=True)
    except OSError as error:
        raise CannotListenError(f"{key}: {address} can't be had: {_why(error)}") from error


def _resolved(host: str, port: int) -> Iterable[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return dict.fromkeys((each[0], each[4]) for each in found)


def _bound(family: socket.AddressFamily, place: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # so that [::] and 0.0.0.0 may have a listener each
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(place)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)  # noqa: FBT003 - the name of the method says it
    return sock


def _bound_unix(path: str) -> socket.socket:
    _clear(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)  # noqa: FBT003 - as above
    return sock


def _clear(path: str) -> None:
    """Take away what a dead process left; raises OSError when somebody is there."""
    try:
        mode = Path(path).lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except TimeoutError:
            pass  # its queue is full: somebody is there
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


class _PassedOn:
    """Listening sockets that this process was started with, by where they are bound."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._sockets: list[socket.socket] = []
        if environ.get("LISTEN_PID") != str(os.getpid()):
            return
        count = environ.get("LISTEN_FDS", "")
        most = min(int(count), _MOST_PASSED_ON) if count.isascii() and count.isdigit() else 0
        for handle in range(FIRST_PASSED_ON, FIRST_PASSED_ON + most):
            sock = _listening(handle)
            if sock is not None:
                self._sockets.append(sock)

    def take(self, place: Place) -> socket.socket | None:
        """The one that is bound there; any port will do where any was asked for."""
        for at, sock in enumerate(self._sockets):
            if _is_at(sock, place):
                return self._sockets.pop(at)
        return None

    def close_rest(self) -> None:
        for sock in self._sockets:
            _LOG.warning("A socket that was passed on is closed: no listener is %s", _shown(sock))
            sock.close()
        self._sockets.clear()


def _listening(handle: int) -> socket.socket | None:
    try:
        sock = socket.socket(fileno=handle)
    except OSError as error:
        _LOG.warning("Descriptor %d that was passed on is no socket: %s", handle, error.strerror)
        return None
    os.set_inheritable(handle, False)  # noqa: FBT003 - the name of the function says it
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        _LOG.warning("Descriptor %d that was passed on is closed: it does not listen", handle)
        sock.close()
        return None
    sock.setblocking(False)  # noqa: FBT003 - as above
    return sock


def _is_at(sock: socket.socket, place: Place) -> bool:
    bound = _place_of(sock)
    if isinstance(bound, str) or isinstance(place, str):
        return bound == place
    return bound == place or (bound[0] == place[0] and not place[1])


def _place_of(sock: socket.socket) -> Place:
    name = sock.getsockname()
    return name if isinstance(name, str) else (str(name[0]), int(name[1]))


def _shown(sock: socket.socket) -> str:
    place = _place_of(sock)
    return f"unix:{place}" if isinstance(place, str) else f"{place[0]}:{place[1]}"


def _identity(path: str) -> tuple[int, int] | None:
    """Which file it is, whatever its name."""
    try:
        found = Path(path).lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _why(error: OSError) -> str:
    """The kernel's words, or the resolver's."""
    if isinstance(error, socket.gaierror) or not error.errno:
        return str(error.strerror or error).lower()
    return os.strerror(error.errno).lower()

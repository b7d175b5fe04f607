"""The master: holds the listening sockets, forks the others, and forks anew whoever dies.

Runs no event loop and no thread, so that a fork is always safe and costs milliseconds. Knows
nothing of what its children do.
"""

import contextlib
import logging
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

_LOG = logging.getLogger("toolproxy.workers")
_PASSED_ON: Final = (signal.SIGHUP, signal.SIGUSR1)
_DRAINING: Final = (signal.SIGTERM, signal.SIGQUIT)
_HEARD: Final = (*_PASSED_ON, *_DRAINING, signal.SIGINT, signal.SIGUSR2, signal.SIGCHLD)
_FAILED: Final = 1
_COMM: Final = Path("/proc/self/comm")
_COMM_BYTES: Final = 15
# Who dies sooner than that has a reason that will still be there: slower, but for ever.
_SHORT_LIFE_S: Final = 1.0
_PATIENCE: Final = 3  # short lives in a row before that
_PAUSE_S: Final = 1.0
_LOOK_S: Final = 0.2
_AT_ONCE_S: Final = 5.0  # for what was told to stop at once


class Role(NamedTuple):
    """What a child is for. `main` gets what to call when it is ready, and gives an exit status."""

    name: str
    main: Callable[[Callable[[], None]], int]


class Orders(Protocol):
    """What the master does beside keeping its children; each is short, and raises nothing."""

    def ready(self) -> None:
        """All are ready, for the first time."""

    def reload(self) -> None:
        """Who is forked from now on begins with newer settings."""

    def upgrade(self) -> None:
        """Somebody else is to take over."""

    def drain(self) -> float:
        """All are told to end; in so many seconds nobody new may come in."""

    def shut(self) -> None:
        """Nobody new comes in any more."""


class _Child:
    """A role, and the process that has it now."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.pid = 0
        self.ready_on = -1  # says so by a byte
        self.is_ready = False
        self.was_ready = False
        self.began_at = 0.0
        self.short_lives = 0
        self.due_at = 0.0  # when it may be forked again

    def __repr__(self) -> str:
        return f"<_Child {self.role.name} pid {self.pid}>"


class Master:
    """All processes of one sidecar. `run` gives the exit status."""

    def __init__(self, roles: Sequence[Role], orders: Orders) -> None:
        self._children = [_Child(role) for role in roles]
        self._orders = orders
        self._were_ready = False
        self._woken, self._wakes = os.pipe()
        # Its other end is ours alone: when we die, whatever way, everybody finds it at its end.
        self._lifeline, self._held = os.pipe()
        self._stopping = False
        self._shut_at = float("inf")
        self._kill_at = float("inf")
        self._status = 0
        self._received: list[int] = []
        self._pid = os.getpid()

    def __repr__(self) -> str:
        return f"<Master of {len(self._children)}>"

    def run(self) -> int:
        """Until all have ended."""
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wakes, False)
        signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        for heard in _HEARD:
            signal.signal(heard, lambda number, _: self._received.append(number))
        while self._is_needed():
            self._fork_who_is_due()
            self._wait()
            for number in self._taken():
                self._hear(number)
            self._bury()
            if time.monotonic() > self._shut_at:
                self._shut_at = float("inf")
                self._orders.shut()
            if time.monotonic() > self._kill_at:
                self._send(signal.SIGKILL)
        return self._status

    def _is_needed(self) -> bool:
        return not self._stopping or any(child.pid for child in self._children)

    def _taken(self) -> Iterator[int]:
        while self._received:
            yield self._received.pop(0)

    def _hear(self, number: int) -> None:
        if number in _DRAINING:
            self._stopping = True
            self._send(signal.SIGTERM)
            self._shut_at = time.monotonic() + self._orders.drain()
        elif number == signal.SIGINT:
            self._stopping = True
            self._kill_at = time.monotonic() + _AT_ONCE_S
            self._send(signal.SIGINT)
        elif number == signal.SIGUSR2:
            self._orders.upgrade()
        elif number in _PASSED_ON:
            if number == signal.SIGHUP:
                self._orders.reload()
            self._send(signal.Signals(number))

    def _send(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, number)

    def _wait(self) -> None:
        """For a signal, for somebody to be ready, for somebody to be due."""
        unready = {child.ready_on: child for child in self._children if child.ready_on >= 0}
        poll = select.poll()
        for handle in (self._woken, *unready):
            poll.register(handle, select.POLLIN)
        for handle, _ in poll.poll(_LOOK_S * 1000):
            if handle == self._woken:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 4096)
            else:
                self._is_ready(unready[handle])

    def _is_ready(self, child: _Child) -> None:
        child.is_ready = bool(os.read(child.ready_on, 1))
        child.was_ready = child.was_ready or child.is_ready
        os.close(child.ready_on)
        child.ready_on = -1
        if not self._were_ready and all(each.is_ready for each in self._children):
            self._were_ready = True
            self._orders.ready()

    # --- children ---

    def _fork_who_is_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if not (child.pid or self._stopping) and now >= child.due_at:
                self._fork(child, now)

    def _fork(self, child: _Child, now: float) -> None:
        # What is sent to a child before it has handlers of its own must wait for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        try:
            ready_on, ready = os.pipe()
            try:
                pid = os.fork()
            except OSError:
                os.close(ready_on)
                os.close(ready)
                raise
        except OSError as error:
            child.due_at = now + _PAUSE_S
            _LOG.error("%s can't be started now: %s", child.role.name, error.strerror)
            return
        finally:
            if os.getpid() == self._pid:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        if not pid:
            os.close(ready_on)
            os._exit(self._live(child.role, ready))
        os.close(ready)
        child.pid, child.ready_on, child.is_ready, child.began_at = pid, ready_on, False, now

    def _live(self, role: Role, ready: int) -> int:
        """A child's whole life; its exit status."""
        try:
            _be_called(role.name)
            signal.set_wakeup_fd(-1)
            for number in _HEARD:
                # What is no end must not be one, until it is listened to.
                ends = number not in _PASSED_ON
                signal.signal(number, signal.SIG_DFL if ends else signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
            for handle in (self._woken, self._wakes, self._held):
                os.close(handle)
            for child in self._children:
                if child.ready_on >= 0:
                    os.close(child.ready_on)
            return role.main(lambda: _say_ready(ready))
        except BaseException:  # noqa: BLE001 - the last line of defence; nobody is above it
            _LOG.exception("A bug of ours ended %s", role.name)
            return _FAILED

    @property
    def lifeline(self) -> int:
        """A descriptor that a child finds at its end when the master is gone."""
        return self._lifeline

    def _bury(self) -> None:
        while True:
            try:
                pid, how = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            child = next((each for each in self._children if each.pid == pid), None)
            if child is not None:
                self._ended(child, how)

    def _ended(self, child: _Child, how: int) -> None:
        now, pid, child.pid = time.monotonic(), child.pid, 0
        if child.ready_on >= 0:
            os.close(child.ready_on)
            child.ready_on = -1
        status = os.waitstatus_to_exitcode(how)
        if self._stopping:
            self._status = self._status or int(status > 0)
            return
        if not child.was_ready:  # it can't be had as it is: nothing that forking again would mend
            self._stopping = True
            self._status = status if status > 0 else _FAILED
            self._kill_at = now + _AT_ONCE_S
            self._send(signal.SIGINT)
            return
        child.short_lives = child.short_lives + 1 if now - child.began_at < _SHORT_LIFE_S else 0
        child.due_at = now + (_PAUSE_S if child.short_lives >= _PATIENCE else 0.0)
        why = f"signal {-status}" if status < 0 else f"status {status}"
        _LOG.warning("%s (pid %d) ended with %s: started anew", child.role.name, pid, why)


def _be_called(name: str) -> None:
    """By `ps` and `top`, where the kernel lets us."""
    with contextlib.suppress(OSError):
        _COMM.write_text(f"proxy {name}"[:_COMM_BYTES])


def _say_ready(handle: int) -> None:
    os.write(handle, b"!")
    os.close(handle)

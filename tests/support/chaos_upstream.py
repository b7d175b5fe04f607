"""An upstream that is a process of its own: does what it is told, and writes down what it saw.

Orders are lines of JSON on stdin, each acknowledged on stdout; it ends with its stdin. What it saw
goes to a file at once, a line for each event, so that `kill -9` takes nothing of it away.
The other side of it is `chaos_process`.
"""

import contextlib
import itertools
import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import orjson

Step = list[object]

ANYTHING_ELSE: Final = ""
_BACKLOG: Final = 256
_GLANCE_S: Final = 0.01
_PIECE_BYTES: Final = 1 << 16
_FOREVER_S: Final = 1e9


class _OverError(Exception):
    """The connection is of no more use: the peer has left, or the script ended it."""


class Record:
    """What was seen, on disk before anything else happens."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, event: str, connection: str, *facts: object) -> None:
        line = orjson.dumps([time.monotonic(), event, connection, *facts])
        os.write(self._file, line + b"\n")


@dataclass
class Script:
    """What is done to a request; `hold` waits for the gate."""

    steps: list[Step] = field(default_factory=lambda: [["answer", 200]])
    gate: threading.Event = field(default_factory=threading.Event)


class Conversation:
    """One connection: its requests, one after the other, and what the scripts make of them."""

    def __init__(self, name: str, peer: socket.socket, upstream: "Upstream") -> None:
        self._name = name
        self._peer = peer
        self._upstream = upstream
        self._held = b""
        self._requests = 0
        self._call = ""

    def run(self) -> None:
        self._note("opened")
        with contextlib.suppress(_OverError, OSError):
            while True:
                self._serve_one()
        self._note("closed")
        self._peer.close()

    def hang_up(self) -> None:
        """From another thread: the one that serves it sees the end of its input."""
        with contextlib.suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)

    def _note(self, event: str, *facts: object) -> None:
        self._upstream.record.note(event, self._name, *facts)

    def _serve_one(self) -> None:
        head = self._until(b"\r\n\r\n").decode("latin-1")
        line, *fields = head[:-4].split("\r\n")
        method, target, _ = line.split(" ")
        named = {name.lower(): value.strip() for name, _, value in map(_split, fields)}
        self._call = named.get("x-call", "")
        self._requests += 1
        self._note("request", self._call, method, target)
        self._take_body(named)
        script = self._upstream.script_for(target.partition("?")[0])
        for step in script.steps:
            self._play(step, script.gate)
        if step[0] != "answer":
            self._note("answered")

    def _take_body(self, named: dict[str, str]) -> None:
        self._some(int(named.get("content-length", "0")))
        if "transfer-encoding" in named:
            while size := int(self._until(b"\r\n"), 16):
                self._some(size + 2)
            self._until(b"\r\n")

    def _play(self, step: Step, gate: threading.Event) -> None:
        match step:
            case ["answer", int(status)]:
                self._note("answered")  # before: the next call may come before we go on
                self._peer.sendall(_answer(status, self._upstream.name, self._call))
            case ["send", str(octets)]:
                self._peer.sendall(octets.encode("latin-1"))
            case ["flood", int(size_bytes)]:
                self._flood(size_bytes)
            case ["wait", float(for_s)]:
                self._pause(for_s, None)
            case ["hold"]:
                self._pause(_FOREVER_S, gate)
            case ["close"]:
                raise _OverError
            case ["reset"]:
                self._reset()
            case ["reset_if_reused"] if self._requests > 1:
                self._reset()
            case ["reset_if_reused"]:
                pass
            case _:
                raise ValueError(f"no such step: {step}")

    def _flood(self, size_bytes: int) -> None:
        piece = b"x" * _PIECE_BYTES
        for begin in range(0, size_bytes, _PIECE_BYTES):
            self._peer.sendall(piece[: size_bytes - begin])

    def _reset(self) -> None:
        self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise _OverError

    def _pause(self, for_s: float, gate: threading.Event | None) -> None:
        """Wait, but no longer than the peer does."""
        ends_at = time.monotonic() + for_s
        while (left_s := ends_at - time.monotonic()) > 0 and not (gate and gate.is_set()):
            readable, _, _ = select.select([self._peer], [], [], min(left_s, _GLANCE_S))
            if readable and not self._peer.recv(1, socket.MSG_PEEK):
                raise _OverError

    def _until(self, end: bytes) -> bytes:
        while (place := self._held.find(end)) < 0:
            self._receive()
        return self._taken(place + len(end))

    def _some(self, size: int) -> None:
        while len(self._held) < size:
            self._receive()
        self._taken(size)

    def _taken(self, size: int) -> bytes:
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def _receive(self) -> None:
        octets = self._peer.recv(_PIECE_BYTES)
        if not octets:
            raise _OverError
        self._note("received", len(octets))
        self._held += octets


class Upstream:
    """Listens while it is told to; serves each connection in a thread."""

    def __init__(self, name: str, host: str, port: int, record: Record) -> None:
        self.name = name
        self.record = record
        self._address = (host, port)
        self._scripts = {ANYTHING_ELSE: Script()}
        self._listener: socket.socket | None = None
        self._open: set[Conversation] = set()
        self._numbers: Iterator[int] = itertools.count()

    def script_for(self, path: str) -> Script:
        """What is done to a request for this path. A probe is well answered unless told else."""
        if path == "/health":
            return self._scripts.get(path, Script())
        return self._scripts.get(path, self._scripts[ANYTHING_ELSE])

    def obey(self, orders: Iterable[bytes]) -> None:
        """Until there are no more."""
        for line in orders:
            match orjson.loads(line):
                case {"play": str(path), "steps": list(steps)}:
                    self._scripts[path] = Script(steps)
                case {"release": str(path)}:
                    self._scripts[path].gate.set()
                case {"listen": True}:
                    self._listen()
                case {"listen": False}:
                    self._turn_away()
                case order:
                    raise ValueError(f"no such order: {order}")
            os.write(sys.stdout.fileno(), b"done\n")

    def _listen(self) -> None:
        self._listener = socket.socket()
        # The test holds the port, so that nobody else gets it while nobody listens.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._listener.bind(self._address)
        self._listener.listen(_BACKLOG)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _turn_away(self) -> None:
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            self._listener = None
        for conversation in list(self._open):
            conversation.hang_up()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError), listener:
            while True:
                peer, _ = listener.accept()
                name = f"{os.getpid()}-{next(self._numbers)}"
                conversation = Conversation(name, peer, self)
                threading.Thread(target=self._converse, args=(conversation,), daemon=True).start()

    def _converse(self, conversation: Conversation) -> None:
        self._open.add(conversation)
        conversation.run()
        self._open.discard(conversation)


def _split(line: str) -> tuple[str, str, str]:
    return line.partition(":")


def _answer(status: int, name: str, call: str) -> bytes:
    body = orjson.dumps({"by": name, "call": call})
    head = f"HTTP/1.1 {status} Said\r\nX-Served-By: {name}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


if __name__ == "__main__":
    name, host, port, path = sys.argv[1:]
    Upstream(name, host, int(port), Record(path)).obey(sys.stdin.buffer)
    os._exit(0)  # whatever its threads are about

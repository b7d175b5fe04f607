"""An upstream of large bodies: takes one in whole, or gives one. `… PORT HOST …`.

nginx's `return` answers before it has read the body, so it cannot stand here. To cost next to
nothing, this one never copies a body: it discards in the kernel and sends from a file in memory.
"""

import contextlib
import os
import socket
import sys
import threading
from typing import Final

from benchmarks.body_wire import Stream, body_file

_DONE: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_HEAD: Final = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def serve(connection: socket.socket, file: int) -> None:
    """Answer one connection's calls until it ends."""
    size = os.fstat(file).st_size
    stream = Stream(connection)
    with connection, contextlib.suppress(OSError):
        while head := stream.head():
            stream.discard(head)
            if head.first_line.split()[1].endswith("/down"):
                connection.sendall((_HEAD % size).encode())
                stream.send_file(file)
            else:
                connection.sendall(_DONE)


def main() -> None:
    port, *hosts = sys.argv[1:]
    file = body_file()
    listeners = [socket.create_server((host, int(port)), backlog=64) for host in hosts]
    for listener in listeners:
        threading.Thread(target=_accept, args=(listener, file)).start()


def _accept(listener: socket.socket, file: int) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(connection, file), daemon=True).start()


if __name__ == "__main__":
    main()

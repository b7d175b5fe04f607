"""How much was sent to a socket of this machine that its process has not read yet? Linux knows.

Asked of the kernel for this one connection: its list of all of them, `/proc/net/tcp`, is long where
many calls were made lately, and costs milliseconds each time.
"""

import socket
import struct
from pathlib import Path
from typing import Final

_LIST: Final = Path("/proc/net/tcp")
_SOCK_DIAG: Final = 4  # of netlink's families; names are those of linux/inet_diag.h from here on
_BY_FAMILY: Final = 20
_REQUEST: Final = 1
_HEADER: Final = struct.Struct("=LHHLL")  # length, type, flags, sequence, port
_WANTED: Final = struct.Struct("=BBBxL")  # family, protocol, extensions, states
_CONNECTION: Final = struct.Struct("!HH4s12x4s12xL8s")  # ports, addresses, interface, cookie
_QUEUES: Final = struct.Struct("=LLL")  # expires, rqueue, wqueue
_QUEUES_AT: Final = _HEADER.size + 4 + _CONNECTION.size
_ANSWER_BYTES: Final = 1 << 12
_ANY_STATE: Final = 0xFFFFFFFF
_NO_COOKIE: Final = b"\xff" * 8


class UnreadBytes:
    """What the owner of one end of a connection has not read; 0 where nobody can tell."""

    def __init__(self, owner: tuple[str, int], other: tuple[str, int]) -> None:
        connection = _CONNECTION.pack(
            *(owner[1], other[1], socket.inet_aton(owner[0]), socket.inet_aton(other[0])),
            *(0, _NO_COOKIE),
        )
        wanted = _WANTED.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, _ANY_STATE)
        length = _HEADER.size + len(wanted) + len(connection)
        self._request = _HEADER.pack(length, _BY_FAMILY, _REQUEST, 0, 0) + wanted + connection
        self._row = " ".join(map(_in_list, (owner, other)))

    def __call__(self) -> int:
        try:
            return self._of_the_kernel()
        except OSError:  # a kernel without it, or a sandbox
            return self._of_the_list()

    def _of_the_kernel(self) -> int:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
            kernel.send(self._request)
            answer = kernel.recv(_ANSWER_BYTES)
        if _HEADER.unpack_from(answer)[1] != _BY_FAMILY:
            return self._of_the_list()  # gone, or not for us to know
        _, unread, _ = _QUEUES.unpack_from(answer, _QUEUES_AT)
        return int(unread)

    def _of_the_list(self) -> int:
        rows = _LIST.read_text().splitlines() if _LIST.exists() else []
        found = next((row for row in rows if self._row in row), None)
        return int(found.split()[4].partition(":")[2], 16) if found else 0


def _in_list(address: tuple[str, int]) -> str:
    (number,) = struct.unpack("=L", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"

"""A process that has imported the product and forks for each start of the command.

Most of a start's half second is imports, the same each time. What comes of a fork is a process as
any other: its own pid, descriptors, environment, signals and end. Started by `forks`, ends with it.
"""

import gc
import importlib
import os
import pkgutil
import select
import socket
import sys
from typing import Final

import orjson

import proxy
from proxy.cli import main

ORDER_BYTES: Final = 1 << 17
DESCRIPTORS: Final = 4  # stdin, stdout, stderr, and where the fate is told
_STANDARD: Final = (0, 1, 2)


class ForkServer:
    """Takes orders on one socket; tells each child's pid and status on a socket of its own."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._children: dict[int, tuple[int, int]] = {}  # by pidfd: pid, where its fate is told

    def arguments(self) -> list[str]:
        """Serve. Returns in each child, with its arguments, and never in the server."""
        while True:
            poll = select.poll()
            for handle in (self._orders.fileno(), *self._children):
                poll.register(handle, select.POLLIN)
            for handle, _ in poll.poll():
                if handle in self._children:
                    self._tell_end(handle)
                elif (arguments := self._take_order()) is not None:
                    return arguments

    def _take_order(self) -> list[str] | None:
        order, handles, _, _ = socket.recv_fds(self._orders, ORDER_BYTES, DESCRIPTORS)
        if not order:
            sys.exit()
        *standard, fate = handles
        if pid := os.fork():
            for handle in standard:
                os.close(handle)
            os.write(fate, b"%d\n" % pid)
            self._children[os.pidfd_open(pid)] = pid, fate
            return None
        for handle, place in zip(standard, _STANDARD, strict=True):
            os.dup2(handle, place)
        self._forget(*handles)
        said = orjson.loads(order)
        os.environ.clear()
        os.environ.update(said["environment"])
        arguments: list[str] = said["arguments"]
        return arguments

    def _tell_end(self, handle: int) -> None:
        pid, fate = self._children.pop(handle)
        os.write(fate, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os.close(fate)
        os.close(handle)

    def _forget(self, *handles: int) -> None:
        """A child has nothing of the server, nor of its other children."""
        self._orders.close()
        fates = (fate for _, fate in self._children.values())
        for each in (*handles, *self._children, *fates):
            os.close(each)


def import_all() -> None:
    for module in pkgutil.walk_packages(proxy.__path__, "proxy."):
        if module.name != "proxy.__main__":
            importlib.import_module(module.name)


if __name__ == "__main__":
    import_all()
    gc.freeze()  # else each child copies every page, to look for garbage at its end
    sys.argv[1:] = ForkServer(socket.socket(fileno=int(sys.argv[1]))).arguments()
    sys.exit(main())

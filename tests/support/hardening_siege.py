"""More connections than a sidecar has descriptors, renewed as they end."""

import threading
from functools import partial
from typing import Final, Self

from tests.support.hardening_crowd import Member
from tests.support.hardening_holdings import descriptors_of, settled
from tests.support.sidecar import Sidecar

_ROUND_S: Final = 0.05
_HOLDS_WITHIN_S: Final = 20.0


class Siege:
    """Begins when start-up is over; stands once somebody was turned away; ends with its `with`."""

    def __init__(self, sidecar: Sidecar, size: int) -> None:
        self._sidecar = sidecar
        self._size = size
        self._members: list[Member] = []
        self._turned_away = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._press_until_over, name="siege")

    def __enter__(self) -> Self:
        settled(partial(descriptors_of, self._sidecar))
        self._thread.start()
        assert self._turned_away.wait(_HOLDS_WITHIN_S), "everybody was let in"
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for member in self._members:
            member.socket.close()

    def _press_until_over(self) -> None:
        while not self._over.wait(_ROUND_S):
            self._members = [member for member in self._members if self._stays(member)]
            while len(self._members) < self._size:
                self._members.append(Member(self._sidecar.port))

    def _stays(self, member: Member) -> bool:
        if member.listen():
            return True
        member.socket.close()
        self._turned_away.set()
        return False

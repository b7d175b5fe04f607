"""A server's limits, which mean all workers: each has its part, or borrows from the office.

Where there are as many permits as workers, each has its part, and all parts are the whole. Where
there are fewer, as for calls that take turns, the office lends them: a worker keeps what it has
borrowed until another wants it, and gives it back as soon as its call is over, before its next in
line. What a worker had is free when it dies. Knows nothing of calls.
"""

import asyncio
from collections import Counter, deque
from itertools import count
from typing import Final
from weakref import WeakValueDictionary

from proxy.policy.limits import Gate
from proxy.workers.crew import Crew, Member
from proxy.workers.link import Link
from proxy.workers.post import Post
from proxy.workers.words import GRANT, HOLD, RECALL, RETURN, WANT

# A new office lends nothing before all workers have told it what they hold, or for so long.
_ALL_THERE_WITHIN_S: Final = 1.0

Room = tuple[int, int, int]  # how many calls may go at once, wait, and do either


def part_of(whole: int, workers: int, slot: int) -> int:
    """One worker's (slots begin at 1); all together are the whole."""
    part, left = divmod(whole, workers)
    return part + (slot <= left)


class Parts:
    """The worker's end (see `registry.witness.Parts`)."""

    def __init__(self, post: Post, workers: int, slot: int) -> None:
        self._post = post
        self._workers = workers
        self._slot = slot
        self._serials = count(1)
        # A gate has its loan; both go when nobody needs them, and the office asks in vain.
        self._loans: WeakValueDictionary[int, _Loan] = WeakValueDictionary()
        post.hears[GRANT] = self._granted
        post.hears[RECALL] = self._recalled
        post.on_connect.append(self._tell_all)

    def __repr__(self) -> str:
        return f"<Parts of {self._workers}, {len(self._loans)} loans>"

    def fit(self, gate: Gate, name: str, room: Room) -> None:
        """Give the gate our part of the room that is all workers'."""
        at_once, pending, requests = room
        part = [part_of(each, self._workers, self._slot) for each in room]
        whole = min(at_once, requests)
        loan = gate.lender if isinstance(gate.lender, _Loan) else None
        if whole >= self._workers:
            if loan is not None:
                loan.end()
            gate.configure(*part)
            return
        if loan is None:
            loan = gate.lender = _Loan(self._post, next(self._serials), name, gate)
            self._loans[loan.serial] = loan
        # Those who wait for a permit that is there, but elsewhere, are no queue yet.
        loan.configure(whole, part_of(pending, self._workers, self._slot) + whole, requests)

    def _granted(self, _: Link, name: str, serial: int) -> None:
        loan = self._loans.get(serial)
        if loan is None:
            self._post.tell(RETURN, name, serial, 1)
        else:
            loan.granted()

    def _recalled(self, _: Link, name: str, serial: int) -> None:
        loan = self._loans.get(serial)
        if loan is None:
            self._post.tell(RETURN, name, serial, 1)
        else:
            loan.give_back()

    def _tell_all(self) -> None:
        for loan in list(self._loans.values()):
            loan.tell()


class _Loan:
    """What one gate has borrowed (see `policy.limits.Lender`)."""

    def __init__(self, post: Post, serial: int, name: str, gate: Gate) -> None:
        self.serial = serial
        self._post = post
        self._name = name
        self._gate = gate
        self._whole = 0
        self._held = 0
        self._asked = 0
        self._pending = self._requests = 0

    def __repr__(self) -> str:
        return f"<_Loan {self._name} {self._held} of {self._whole}>"

    def configure(self, whole: int, pending: int, requests: int) -> None:
        before, self._whole = self._whole, whole
        self._pending, self._requests = pending, requests
        self._fit()
        if whole != before:
            for _ in range(self._held):
                self.give_back()
        self.wanted()

    def wanted(self) -> None:
        """Somebody waits: for what we have, or for what we may have."""
        wanted = min(self._whole, self._gate.busy + self._gate.queued)
        while self._held + self._asked < wanted:
            if not self._post.tell(WANT, self._name, self.serial, self._whole):
                return
            self._asked += 1

    def granted(self) -> None:
        self._asked = max(self._asked - 1, 0)
        self._held += 1
        self._fit()

    def give_back(self) -> None:
        """One of them: now, or before the next in line."""
        if self._gate.busy < self._held:
            self.let_go()
        elif self._held:
            self._gate.push_in(_Return(self))

    def let_go(self) -> None:
        self._held -= 1
        self._fit()
        self._post.tell(RETURN, self._name, self.serial, 1)

    def returned(self) -> None:
        """A call is over, and its permit was promised."""
        self.let_go()
        self._gate.leave()
        self.wanted()

    def end(self) -> None:
        """The gate has a part of its own now."""
        self._post.tell(RETURN, self._name, self.serial, self._held)
        self._held = self._whole = 0
        self._gate.lender = None

    @property
    def is_over(self) -> bool:
        return not self._held

    def tell(self) -> None:
        """To an office that may be new."""
        self._asked = 0
        if self._held:
            self._post.tell(HOLD, self._name, self.serial, self._whole, self._held)
        self.wanted()

    def _fit(self) -> None:
        self._gate.configure(self._held, self._pending, self._requests)


class _Return:
    """Stands at the head of a gate's line, for a permit that is wanted elsewhere."""

    def __init__(self, loan: _Loan) -> None:
        self._loan = loan

    def done(self) -> bool:
        return self._loan.is_over

    def set_result(self, result: None, /) -> None:
        del result
        self._loan.returned()


Holder = tuple[Link, int]


class _Lent:
    """All permits of one name."""

    def __init__(self) -> None:
        self.whole = 0
        self.held: Counter[Holder] = Counter()
        self.recalled: Counter[Holder] = Counter()
        self.line: deque[Holder] = deque()

    def __repr__(self) -> str:
        return f"<_Lent {self.held.total()} of {self.whole}, {len(self.line)} waiting>"

    def take_back(self, holder: Holder, number: int) -> None:
        for counter in (self.held, self.recalled):
            counter[holder] -= number
            if counter[holder] <= 0:
                del counter[holder]

    def forget(self, link: Link) -> None:
        for holder in [each for each in self.held if each[0] is link]:
            self.take_back(holder, self.held[holder])
        self.line = deque(each for each in self.line if each[0] is not link)

    def to_recall(self) -> Holder | None:
        """Who is to be asked for one, if that is still to be done for somebody who waits."""
        if self.recalled.total() >= len(self.line):
            return None
        asked = self.recalled
        return next((each for each, n in self.held.items() if asked[each] < n), None)


class Permits:
    """The office's end."""

    def __init__(self, crew: Crew, workers: int) -> None:
        self._crew = crew
        self._workers = workers
        self._lent: dict[str, _Lent] = {}
        self._lends = False
        asyncio.get_running_loop().call_later(_ALL_THERE_WITHIN_S, self._open)
        crew.serve(WANT, self._want)
        crew.serve(HOLD, self._hold)
        crew.serve(RETURN, self._return)
        crew.on_leave(self._left)

    def __repr__(self) -> str:
        return f"<Permits of {len(self._lent)} names>"

    def _open(self) -> None:
        self._lends = True
        for name in list(self._lent):
            self._lend(name)

    def _want(self, link: Link, name: str, serial: int, whole: int) -> None:
        lent = self._lent.setdefault(name, _Lent())
        lent.whole = whole
        lent.line.append((link, serial))
        self._lend(name)

    def _hold(self, link: Link, name: str, serial: int, whole: int, number: int) -> None:
        lent = self._lent.setdefault(name, _Lent())
        lent.whole = whole
        lent.held[link, serial] = number
        self._lend(name)

    def _return(self, link: Link, name: str, serial: int, number: int) -> None:
        if name in self._lent:
            self._lent[name].take_back((link, serial), number)
            self._lend(name)

    def _left(self, member: Member) -> None:
        for name, lent in list(self._lent.items()):
            lent.forget(member.link)
            self._lend(name)

    def _lend(self, name: str) -> None:
        """To whoever has waited longest; what there is not is asked for."""
        lent = self._lent[name]
        if not (self._lends or len(self._crew.members) >= self._workers):
            return
        while lent.line and lent.held.total() < lent.whole:
            holder = lent.line.popleft()
            lent.held[holder] += 1
            holder[0].tell(GRANT, name, holder[1])
        while (holder_of := lent.to_recall()) is not None:
            lent.recalled[holder_of] += 1
            holder_of[0].tell(RECALL, name, holder_of[1])
        if not (lent.held or lent.line):
            del self._lent[name]

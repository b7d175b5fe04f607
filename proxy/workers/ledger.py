"""Calls with an Idempotency-Key, of all workers: the office knows which was made, or is being made.

A worker that dies fails those that it was making, so that others may make them. A new office is
told of those that are being made; answers that were kept die with the one before. `coalesce` is a
matter of load and not of truth, and stays with each worker. Knows nothing of what a call is (see
`policy.repeats`).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from itertools import count
from typing import Final, NamedTuple

from proxy import errors
from proxy.policy.repeats import Call, Kept, Mismatch, Repeats
from proxy.workers.crew import Crew, Member
from proxy.workers.link import AwayError, Link
from proxy.workers.post import Post
from proxy.workers.words import BEGIN, FINISH, MAKING

_THERE_WITHIN_S: Final = 3.0  # an office that is killed is back sooner
_LOOK_S: Final = 0.05
_HEARS_FIRST_S: Final = 0.5  # by then all workers have found a new office
_MOST_UNTOLD: Final = 100
_FIRST: Final = "first"
_OVER: Final = "over"  # without an answer: begin again
_FULL: Final = "full"
_MISMATCH: Final = "mismatch"


class Claim(NamedTuple):
    """A call that is made by one worker; `serial` is its own."""

    serial: int
    scope: bytes
    key: bytes
    digest: bytes


class Ledger:
    """The worker's end (see `data_plane.roles.Ledger`)."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._serials = count(1)
        self._making: dict[int, Claim] = {}
        self._untold: deque[tuple[Claim, Kept | None]] = deque(maxlen=_MOST_UNTOLD)
        post.on_connect.append(self._tell_all)

    def __repr__(self) -> str:
        return f"<Ledger of {len(self._making)} being made>"

    async def begin(self, scope: bytes, key: bytes, digest: bytes) -> Kept | int | None:
        """As it says there; raises `NoHealthyEndpointError` when there is no office."""
        while True:
            claim = Claim(next(self._serials), scope, key, digest)
            try:
                said = await self._ask(claim)
            except BaseException:
                self._post.tell(FINISH, claim, None)  # or it becomes ours after the caller has left
                raise
            if said == _FIRST:
                self._making[claim.serial] = claim
                return claim.serial
            if said == _MISMATCH:
                raise Mismatch
            if said != _OVER:
                return said if isinstance(said, Kept) else None

    def finish(self, serial: int, kept: Kept | None) -> None:
        """As it says there."""
        claim = self._making.pop(serial)
        if not self._post.tell(FINISH, claim, kept) and kept is not None:
            self._untold.append((claim, kept))

    async def _ask(self, claim: Claim) -> object:
        """Wait for the answer until the call's deadline, and for an office less long."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + _THERE_WITHIN_S
        while True:
            try:
                return await self._post.ask(BEGIN, claim, within_s=None)
            except AwayError:
                if loop.time() > ends_at:
                    raise errors.NoHealthyEndpointError(
                        "The process that knows calls with an Idempotency-Key is being started"
                        " again; ask again in a second",
                        retry_after_s=1,
                    ) from None
                await asyncio.sleep(_LOOK_S)

    def _tell_all(self) -> None:
        """There is an office again, and it may be a new one."""
        while self._untold and self._post.tell(FINISH, *self._untold[0]):
            self._untold.popleft()
        for claim in self._making.values():
            self._post.tell(MAKING, claim)


class Register:
    """The office's end."""

    def __init__(self, crew: Crew, repeats: Repeats, *, resumes: bool) -> None:
        """`repeats` is swept by others; one that `resumes` hears first what is being made."""
        self._repeats = repeats
        self._begins_at = _now() + _HEARS_FIRST_S if resumes else 0.0
        self._early: set[tuple[Link, int]] = set()
        self._made: dict[Link, dict[int, Call]] = {}
        self._waiting: dict[tuple[Link, int], asyncio.Future[None]] = {}
        crew.serve(BEGIN, self._begin)
        crew.serve(MAKING, self._making)
        crew.serve(FINISH, self._finish)
        crew.on_leave(self._left)

    def __repr__(self) -> str:
        return f"<Register {self._repeats!r}>"

    def _begin(self, link: Link, claim: Claim) -> object:
        if _now() >= self._begins_at:
            return self._said(link, claim)
        self._early.add((link, claim.serial))
        return self._begin_later(link, claim)

    async def _begin_later(self, link: Link, claim: Claim) -> object:
        await asyncio.sleep(self._begins_at - _now())
        if (link, claim.serial) not in self._early:
            return _OVER  # the caller has left
        self._early.discard((link, claim.serial))
        said = self._said(link, claim)
        return await said if isinstance(said, Awaitable) else said

    def _said(self, link: Link, claim: Claim) -> object:
        """At once where it can be said at once: what comes next may be that the caller has left."""
        try:
            begun = self._repeats.begin(claim.scope, claim.key, claim.digest, _now())
        except Mismatch:
            return _MISMATCH
        if begun is None:
            return _FULL
        call, first = begun
        if first:
            self._made.setdefault(link, {})[claim.serial] = call
            return _FIRST
        return self._wait(link, claim, call) if call.running else call.kept or _OVER

    def _wait(self, link: Link, claim: Claim, call: Call) -> Awaitable[object]:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        call.waiters.append(waiter)
        self._waiting[link, claim.serial] = waiter

        async def answer() -> object:
            try:
                await waiter
            finally:
                self._waiting.pop((link, claim.serial), None)
            return call.kept or _OVER

        return answer()

    def _making(self, link: Link, claim: Claim) -> None:
        """Begun when another office was here."""
        made = self._made.setdefault(link, {})
        if claim.serial not in made and (link, claim.serial) not in self._waiting:
            try:
                begun = self._repeats.begin(claim.scope, claim.key, claim.digest, _now())
            except Mismatch:
                return
            if begun is not None and begun[1]:
                made[claim.serial] = begun[0]

    def _finish(self, link: Link, claim: Claim, kept: Kept | None) -> None:
        self._early.discard((link, claim.serial))
        waiter = self._waiting.pop((link, claim.serial), None)
        if waiter is not None:
            waiter.cancel()
        if kept is not None:
            self._making(link, claim)
        call = self._made.get(link, {}).pop(claim.serial, None)
        if call is not None:
            self._repeats.finish(call, kept, _now())

    def _left(self, member: Member) -> None:
        for call in self._made.pop(member.link, {}).values():
            self._repeats.fail(call)


def _now() -> float:
    return asyncio.get_running_loop().time()

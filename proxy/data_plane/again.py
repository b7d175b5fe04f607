"""The same call again: was it made before, or is it being made right now?

Waits for an equal call, gives its answer again, and keeps ours for who comes next. How long it is
kept, and how many are, is `policy.repeats`'. With a key, that holds for all processes of a sidecar;
`coalesce` spares an upstream some load, and each process does that for itself.
"""

import asyncio
import hashlib
from typing import Final, cast

from proxy import errors
from proxy.data_plane.carriage import REMEMBERED_BYTES, Carriage
from proxy.data_plane.roles import Handler, Ledger
from proxy.policy.repeats import Call, Kept, Mismatch
from proxy.registry.snapshot import Route
from proxy.wire.fields import one_visible
from proxy.wire.forwarding import client_address
from proxy.wire.head import ResponseHead

_KEY: Final = b"idempotency-key"
_LONGEST_KEY: Final = 256
_AGAIN: Final = b"Idempotency-Replayed: true\r\n"
_NO_BODY: Final = frozenset({204, 304})


class Again(Carriage):
    """One request that others may equal."""

    # On the class, as there.
    _made: Call | None = None  # which equal ones may join
    _claim: int = 0  # the same, where other processes may, too
    _elsewhere: bool = False  # does it wait for a policy, or an equal call?
    _given: bytes | None = None  # the body before somebody else changed it
    _hurried: bool = False  # has the upstream less time than the registry gives it?
    _keyed: bool = False  # by its caller: then it is made to its end, whoever leaves
    _alone: asyncio.Task[None] | None = None  # ours, once the caller has left

    async def _join(self, route: Route, query: bytes) -> bool:
        """Take the answer of an equal call, if there was or is one; else it is for us to make."""
        key = self._idempotency_key(route)
        if not (key or route.coalesce) or not await self._gather(REMEMBERED_BYTES):
            return False
        body = self._gathered() if self._given is None else self._given
        parts = [route.name.encode(), query, body]
        if not key:  # nobody has said that it is the same call, so it must be, in every field
            parts.append(self._head.lines)
        digest = hashlib.sha256(b"".join([b"%d:%b" % (len(it), it) for it in parts])).digest()
        try:
            if key and self._plane.ledger is not None:
                return await self._join_elsewhere(self._plane.ledger, route, key, digest)
            return await self._join_here(route, key, digest)
        except Mismatch:
            raise errors.IdempotencyMismatchError(
                "This Idempotency-Key came with another call before; take a new one"
            ) from None

    async def _join_here(self, route: Route, key: bytes, digest: bytes) -> bool:
        repeats, scope = self._plane.repeats, self._scope(route)
        while True:
            begun = repeats.begin(scope, key or digest, digest, _now())
            if begun is None and key:
                raise _no_room()
            if begun is None:
                return False
            call, first = begun
            self._look_at_clock(route)
            if first:
                self._made, self._keyed, self._copy = call, bool(key), []
                return False
            if call.running:
                waiter = asyncio.get_running_loop().create_future()
                call.waiters.append(waiter)
                self._elsewhere = True
                await waiter
                self._elsewhere = False
            if call.kept is not None:
                self._answer_again(call.kept)
                return True

    async def _join_elsewhere(
        self, ledger: Ledger, route: Route, key: bytes, digest: bytes
    ) -> bool:
        """The same, of all processes that carry calls."""
        self._elsewhere = True
        begun = await ledger.begin(self._scope(route), key, digest)
        self._elsewhere = False
        if begun is None:
            raise _no_room()
        self._look_at_clock(route)
        if isinstance(begun, Kept):
            self._answer_again(begun)
            return True
        self._claim, self._keyed, self._copy = begun, True, []
        return False

    def _idempotency_key(self, route: Route) -> bytes:
        noted = self._head.noted
        if _KEY not in noted or not route.tool_name:
            return b""
        key = one_visible(noted[_KEY], _LONGEST_KEY)
        if key is None:
            raise errors.BadValueError(
                f"Idempotency-Key is one value of 1 to {_LONGEST_KEY} visible characters"
            )
        return key

    def _scope(self, route: Route) -> bytes:
        """Whose keys these are: nobody gets the answers of somebody else.

        Whom the upstream would tell apart are others to us, too.
        """
        visitor, noted = self._visitor, self._head.noted
        who = f"{visitor.application}\0{visitor.subject}".encode()
        if len(who) == 1:
            who = client_address(self._head, self._client.caller)
        shown = route.server.credentials - visitor.spent
        passed_on = [b"\0%b: %b" % (name, noted[name]) for name in sorted(shown) if name in noted]
        return who + b"".join(passed_on)

    def _answer_again(self, kept: Kept) -> None:
        self._record.status = kept.status
        self._record.response_bytes = len(kept.body)
        self._said += _AGAIN
        self.known = True
        self._answer_begun = self._answer_over = True
        answer = ResponseHead(
            kept.status,
            kept.status_line,
            kept.lines,
            kept.noted,
            len(kept.body),
            True,  # noqa: FBT003 - by place, as every head is made
        )
        self._client.send(self._answered(answer, kept.body))

    def _remember(self) -> None:
        """The call is made, and its answer is whole."""
        copy, answer = self._copy, self._copied
        kept = None
        if copy is not None and answer is not None and (self._made is not None or self._claim):
            body, noted = b"".join(copy), answer.noted
            if answer.status not in _NO_BODY:
                noted = {**noted, b"content-length": b"%d" % len(body)}
            kept = Kept(answer.status_line, answer.lines, body, answer.status, noted)
        self._end(kept)

    def _stop_keeping(self) -> None:
        """Who waits for it makes a call of its own."""
        super()._stop_keeping()
        self._forget()
        if self._alone is not None:
            self._alone.cancel()  # for nobody

    def _forget(self) -> None:
        """It failed by our own fault, or nobody knows: the next equal call is made."""
        self._end(None)

    def _end(self, kept: Kept | None) -> None:
        """Once: whoever asks for the same finds this, or nothing."""
        call, claim, plane = self._made, self._claim, self._plane
        self._made, self._claim = None, 0
        if call is not None:
            plane.repeats.finish(call, kept, _now(), keep=self._keyed)
        elif claim and plane.ledger is not None:
            plane.ledger.finish(claim, kept)

    def outlive(self, task: "asyncio.Task[None]") -> bool:
        """The caller has left: does the call go on? With a key it does, for they come back."""
        begun = self._made is not None or self._claim
        if not (begun and self._keyed) or self._plane.ending:
            return False
        self.resume_answer()
        self._alone = task
        self._go_on(task)
        return True

    def _go_on(self, task: "asyncio.Task[None]") -> None:
        outliving = self._plane.outliving
        outliving[task] = cast("Handler", self)
        task.add_done_callback(outliving.pop)

    def _look_at_clock(self, route: Route) -> None:
        """Time went by before the call could go: what is left may be too little for anybody."""
        if self.due_at - _now() < route.deadline_s / 2:
            self._hurried = True


def _no_room() -> errors.NoRoomError:
    return errors.NoRoomError(
        "Too many calls with an Idempotency-Key are being made; come back later", retry_after_s=1
    )


def _now() -> float:
    return asyncio.get_running_loop().time()

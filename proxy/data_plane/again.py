"""The same call again: was it made before, or is it being made right now?

Waits for an equal call, gives its answer again, and keeps ours for who comes next. How long it is
kept, and how many are, is `policy.repeats`'.
"""

import asyncio
import hashlib
from typing import Final, cast

from proxy import errors
from proxy.data_plane.carriage import REMEMBERED_BYTES, Carriage
from proxy.data_plane.roles import Handler
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
        repeats, scope = self._plane.repeats, self._scope(route)
        while True:
            try:
                begun = repeats.begin(scope, key or digest, digest, _now())
            except Mismatch:
                raise errors.IdempotencyMismatchError(
                    "This Idempotency-Key came with another call before; take a new one"
                ) from None
            if begun is None and key:
                raise errors.NoRoomError(
                    "Too many calls with an Idempotency-Key are being made; come back later",
                    retry_after_s=1,
                )
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
        call, copy, answer = self._made, self._copy, self._copied
        self._made = None
        if call is None:
            return
        kept = None
        if copy is not None and answer is not None:
            body, noted = b"".join(copy), answer.noted
            if answer.status not in _NO_BODY:
                noted = {**noted, b"content-length": b"%d" % len(body)}
            kept = Kept(answer.status_line, answer.lines, body, answer.status, noted)
        self._plane.repeats.finish(call, kept, _now(), keep=self._keyed)

    def _stop_keeping(self) -> None:
        """Who waits for it makes a call of its own."""
        super()._stop_keeping()
        self._forget()
        if self._alone is not None:
            self._alone.cancel()  # for nobody

    def _forget(self) -> None:
        """It failed by our own fault, or nobody knows: the next equal call is made."""
        call, self._made = self._made, None
        if call is not None:
            self._plane.repeats.fail(call)

    def outlive(self, task: "asyncio.Task[None]") -> bool:
        """The caller has left: does the call go on? With a key it does, for they come back."""
        if self._made is None or not self._keyed or self._plane.ending:
            return False
        self.resume_answer()
        self._alone = task
        outliving = self._plane.outliving
        outliving[task] = cast("Handler", self)
        task.add_done_callback(outliving.pop)
        return True

    def _look_at_clock(self, route: Route) -> None:
        """Time went by before the call could go: what is left may be too little for anybody."""
        if self.due_at - _now() < route.deadline_s / 2:
            self._hurried = True


def _now() -> float:
    return asyncio.get_running_loop().time()

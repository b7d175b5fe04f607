"""Answers on one connection: has the one that is waited for come, and what does it say?

Bytes in, heads out; heads and bodies are read by the grammar of `proxy.wire`, which refuses what
is not strictly HTTP/1.1. Knows nothing of sockets or time.
"""

from typing import Final

from proxy.errors import ProxyError, UpstreamProtocolError
from proxy.wire.framing import Body, body_reader
from proxy.wire.head import UNTIL_CLOSE, ResponseHead
from proxy.wire.parser import ResponseReader
from proxy.wire.reader import HeadLimits

_SWITCHING_PROTOCOLS: Final = 101
_FINAL: Final = 200
_HEAD: Final = b"HEAD"
_PREFIX: Final = "The upstream's answer breaks HTTP: "  # of whom the product speaks, not we
_LIMITS: Final = HeadLimits(head_bytes=256 * 1024, fields=1000)


class MalformedAnswerError(Exception):
    """The answer is not HTTP/1.1, or something came behind it."""


class AnswerReader:
    """Reads one answer at a time: nothing is ever pipelined here."""

    __slots__ = ("_body", "_head", "_heads")

    def __init__(self, method: bytes) -> None:
        self._heads = ResponseReader(_LIMITS)
        self._heads.expect(bodiless=method == _HEAD)
        self._head: ResponseHead | None = None
        self._body: Body | None = None

    def take(self, octets: bytes) -> ResponseHead | None:
        """Take bytes; give the answer's head once the whole answer is there."""
        try:
            return self._taken(octets)
        except ProxyError as error:
            raise MalformedAnswerError(error.detail.removeprefix(_PREFIX)) from None

    def end(self) -> ResponseHead | None:
        """The connection has ended: the head of the answer that only this could complete."""
        head = self._head
        return head if head is not None and head.body_bytes == UNTIL_CLOSE else None

    def _taken(self, octets: bytes) -> ResponseHead | None:
        if self._body is not None:
            return self._of_body(self._body, octets)
        head = self._heads.read(octets)
        while head is not None and head.status < _FINAL:
            octets = self._behind_interim(head)
            head = self._heads.read(octets) if octets else None
        if head is None:
            return None
        rest = self._heads.rest
        if head.body_bytes == len(rest):  # nearly always: the whole answer in one piece
            return head
        self._head = head
        self._body = body_reader(head.body_bytes, UpstreamProtocolError)
        return self._of_body(self._body, rest)

    def _of_body(self, body: Body, octets: bytes) -> ResponseHead | None:
        body.take(octets)
        if not body.done:
            return None
        if body.rest:
            raise MalformedAnswerError("bytes came behind the answer that nobody asked for")
        head, self._head, self._body = self._head, None, None
        return head

    def _behind_interim(self, head: ResponseHead) -> bytes:
        if head.status == _SWITCHING_PROTOCOLS:
            raise MalformedAnswerError("it switches to a protocol that nobody asked for")
        return self._heads.rest

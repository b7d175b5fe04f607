"""Requests for `POST /api/v1/invoke`, as bytes."""

from typing import Final

from tests.support.messages import post

INVOKE: Final = "/api/v1/invoke"
JSON: Final = b"Content-Type: application/json"


def asking(parameters: bytes, tool: bytes = b"call", server: bytes = b"o") -> bytes:
    """The body."""
    return b'{"server":"%s","tool":"%s","parameters":%s}' % (server, tool, parameters)


def invoke(body: bytes, *fields: bytes, target: str = INVOKE) -> bytes:
    """The whole request."""
    return post(target, JSON, *fields, body=body)

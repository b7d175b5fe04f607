"""Answers that a client may keep, and ask whether they still hold (RFC 9110, 13.1.2).

Knows tags and pieces of JSON. Knows nothing of what they say.
"""

import hashlib
from collections.abc import Iterable

from aiohttp import ETag, web

from proxy.control_plane.catalog import Pauses
from proxy.control_plane.slices import answer_pieces


async def tag_of(pieces: Iterable[bytes]) -> str:
    """The same for the same bytes, in this process and in any other."""
    pauses = Pauses()
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        await pauses.pause()
    return digest.hexdigest()[:32]


async def answer_kept(
    request: web.Request, tag: ETag, pieces: Iterable[bytes]
) -> web.StreamResponse:
    """A JSON document in pieces, or 304 to who has it."""
    response = web.StreamResponse()
    response.etag = tag
    # What is shown depends on who asks, and on the moment.
    response.headers["Cache-Control"] = "private, no-cache"
    if any(each.value in {tag.value, "*"} for each in request.if_none_match or ()):
        response.set_status(304)
        pieces = ()
    else:
        response.content_type = "application/json"
    return await answer_pieces(request, response, iter(pieces))

"""Paths as they are matched: which spellings of one path are one, and which mean trouble?

What is matched is what is sent: a path is written anew here or refused, and nobody decodes it
after that. Knows nothing of routes.
"""

import re
from typing import Final

from proxy import errors

# All but few paths have none of this, and one look says so.
_UNUSUAL: Final = re.compile(rb"[%\\]|//|/\.")
# RFC 3986, 2.3 and 6.2.2.2: encoded or not, these are the same.
_ENCODED_UNRESERVED: Final = re.compile(
    rb"%(?:2d|2e|5f|7e|3[0-9]|4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a])", re.IGNORECASE
)
_SLASHES: Final = re.compile(rb"/{2,}")
_SLASH: Final = rb"(?:/|\\|%(?:25)*(?:2f|5c))"
# A dot segment between slashes in any encoding, encoded again or followed by parameters: somebody
# behind us may decode once more than we do.
_DOTS: Final = re.compile(
    rb"%b(?:\.|%%(?:25)*2e){1,2}(?:(?:;|%%(?:25)*3b)[^/\\]*)?(?=%b|$)" % (_SLASH, _SLASH),
    re.IGNORECASE,
)


def clean_path(path: bytes, *, merge_slashes: bool = False, resolve_dots: bool = False) -> bytes:
    """The path in the one spelling that is matched and sent.

    Raises `BadValueError` for dot segments, unless they are to be resolved and can be.
    """
    if _UNUSUAL.search(path) is None:
        return path
    path = _ENCODED_UNRESERVED.sub(_decoded, path)
    if merge_slashes:
        path = _SLASHES.sub(b"/", path)
    if resolve_dots:
        path = _resolved(path)
    refuse_dots(path)
    return path


def refuse_dots(path: bytes) -> None:
    """Raises `BadValueError` for a path that would lead elsewhere than it says."""
    if _DOTS.search(path) is not None:
        raise errors.BadValueError("The path has . or .. between its slashes; leave them out")


def _decoded(found: re.Match[bytes]) -> bytes:
    return bytes((int(found[0][1:], 16),))


def _resolved(path: bytes) -> bytes:
    """RFC 3986, 5.2.4; but above the root there is nothing."""
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if not kept:
                raise errors.BadValueError("The path leads above the root with its ..")
            kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in {b".", b".."}:
        kept.append(b"")
    return b"/" + b"/".join(kept)

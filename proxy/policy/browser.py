"""Browsers: may this page call here, and what must an answer say for the page to read it?

Knows the Fetch standard's CORS fields and DNS rebinding. Knows nothing of connections or tools.
"""

import re
from typing import Final, NamedTuple

_ELSEWHERE: Final = re.compile(rb"\r\nsec-fetch-site:[ \t]*(?:cross|same)-site", re.IGNORECASE)
_IP_LITERAL: Final = re.compile(rb"[0-9.]*")  # nothing, too: HTTP/1.0 may name none
_NAVIGATION: Final = re.compile(rb"\r\nsec-fetch-dest:[ \t]*document", re.IGNORECASE)


class CorsRules(NamedTuple):
    """`cors.*` of the settings, as bytes. `origins` may hold `*`."""

    origins: frozenset[bytes]
    headers: tuple[bytes, ...]  # none: whatever is asked for
    credentials: bool
    max_age_s: int


def origin_allowed(origin: bytes, authority: bytes, rules: CorsRules) -> bool:
    """Is the page from here, or from where the settings allow?"""
    own = origin.lower() in {b"http://" + authority.lower(), b"https://" + authority.lower()}
    return own or origin in rules.origins or b"*" in rules.origins


def is_embedded(lines: bytes) -> bool:
    """Does a page of another origin load this, without saying so in `Origin`?

    By Fetch Metadata (W3C), which pages can't set; to follow a link is nobody's but the user's.
    """
    return _ELSEWHERE.search(lines) is not None and _NAVIGATION.search(lines) is None


def host_allowed(authority: bytes, allowed: frozenset[bytes]) -> bool:
    """Is the Host, with or without its port, one of ours? A name rebound to our address is not."""
    authority = authority.lower()
    name = (
        authority.rpartition(b":")[0]
        if authority[-1:].isdigit() and b":" in authority
        else authority
    )
    return authority in allowed or name in allowed


def names_a_host(authority: bytes) -> bool:
    """Is it a name that anybody could let stand for our address? `localhost` is not."""
    name = authority.lower()
    if name.startswith(b"["):
        return False
    name = name.partition(b":")[0]
    return name != b"localhost" and not _IP_LITERAL.fullmatch(name)


def cors_fields(noted: dict[bytes, bytes], rules: CorsRules) -> bytes:
    """The field lines by which a page elsewhere may read an answer; nothing for anyone else."""
    origin = noted.get(b"origin")
    if origin is None or not (origin in rules.origins or b"*" in rules.origins):
        return b""
    # `*` never goes with credentials: the settings refuse it.
    said = b"*" if b"*" in rules.origins else origin
    credentials = b"Access-Control-Allow-Credentials: true\r\n" if rules.credentials else b""
    exposed = b"Access-Control-Expose-Headers: *\r\n" if not rules.credentials else b""
    return b"Access-Control-Allow-Origin: %b\r\nVary: Origin\r\n%b%b" % (said, credentials, exposed)


def preflight_fields(noted: dict[bytes, bytes], rules: CorsRules) -> bytes:
    """The answer to a preflight: what the page may send."""
    asked = noted.get(b"access-control-request-headers", b"")
    headers = b", ".join(rules.headers) if rules.headers else asked
    allow_headers = b"Access-Control-Allow-Headers: %b\r\n" % headers if headers else b""
    return b"%bAccess-Control-Allow-Methods: %b\r\n%bAccess-Control-Max-Age: %d\r\n" % (
        cors_fields(noted, rules),
        noted[b"access-control-request-method"],
        allow_headers,
        rules.max_age_s,
    )

"""Header fields that nginx sets on the way to the upstream and back, as a route's.

Knows nginx's defaults, and which fields are the sidecar's own. Does not know what is matched.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from proxy.conversion.directives import Directive, Level
from proxy.conversion.notes import NotCarriedError, Notes
from proxy.conversion.templates import Meanings, line

# What the sidecar says by itself, and by which words nginx says the same.
_OURS: Final = {
    "x-forwarded-for": ("$proxy_add_x_forwarded_for", "$remote_addr"),
    "x-forwarded-proto": ("$scheme",),
    "x-forwarded-host": ("$http_host",),
    "x-request-id": ("$request_id", "$http_x_request_id"),
}
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_TUNNELLED: Final = ("connection", "upgrade", "keep-alive", "proxy-connection")
_FRAMING: Final = (
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "expect",
    "via",
    "http2-settings",
)
_SEVERAL: Final = ("set-cookie", "link", "vary", "www-authenticate")
_ONLY_FOR: Final = (200, 201, 204, 206, 301, 302, 303, 304, 307, 308)


def to_upstream(level: Level, meanings: Meanings, notes: Notes) -> dict[str, Any]:
    """`request_headers` for the fields that hold at this level."""
    put: dict[str, str] = {}
    gone: list[str] = []
    for directive in level.nearest("proxy_set_header"):
        try:
            name, value = _pair(directive)
            if _is_ours(name, value):
                continue
            if name.lower() in {each.lower() for each in put}:
                notes.leave_out(directive, f"a route sets {name} once; join the two")
            elif value:
                put[name] = line(value, meanings)
            elif name.lower() != "host":
                gone.append(name)
        except NotCarriedError as error:
            notes.leave_out(directive, str(error))
    if meanings["proxy_host"] and not any(name.lower() == "host" for name in put):
        put["Host"] = meanings["proxy_host"]
    return _changes(put, gone)


def to_caller(level: Level, meanings: Meanings, notes: Notes) -> dict[str, Any]:
    """`response_headers` for an upstream's answers."""
    put: dict[str, str] = {}
    hidden = [directive.first for directive in level.nearest("proxy_hide_header")]
    gone = [name for name in hidden if _NAME.fullmatch(name) and name.lower() != "date"]
    for directive, name, value in _added(level, meanings, notes):
        if name.lower() in {*_SEVERAL, *(each.lower() for each in put)}:
            why = (
                f"a route sets {name} once and in place of the upstream's; let the application add"
            )
            notes.leave_out(directive, why)
        else:
            put[name] = value
    return _changes(put, gone)


def of_answer(level: Level, status: int, meanings: Meanings, notes: Notes) -> dict[str, str]:
    """The fields of an answer that is made without an upstream."""
    return {
        name: value
        for directive, name, value in _added(level, meanings, notes)
        if status in _ONLY_FOR or directive.args[-1] == "always"
    }


def _added(level: Level, meanings: Meanings, notes: Notes) -> Iterator[tuple[Directive, str, str]]:
    for directive in level.nearest("add_header"):
        try:
            name, value = _pair(directive)
            if value:
                yield directive, name, line(value, meanings)
        except NotCarriedError as error:
            notes.leave_out(directive, str(error))


def _pair(directive: Directive) -> tuple[str, str]:
    if len(directive.args) < 2:  # noqa: PLR2004 - a name and a value
        raise NotCarriedError("expected a name and a value")
    name, value = directive.args[:2]
    if not _NAME.fullmatch(name) or name.lower() == "date":
        raise NotCarriedError("expected a header's name, other than Date")
    return name, value


def _is_ours(name: str, value: str) -> bool:
    """Is it said without our doing? `NotCarriedError` if something else would be said."""
    lower = name.lower()
    if lower in _TUNNELLED:
        return True  # upgrades go through a tunnel, all else is kept alive
    if value in _OURS.get(lower, ()):
        return True
    if lower in _FRAMING:
        raise NotCarriedError(f"{name} is the sidecar's to set, by what it sends")
    return False


def _changes(put: dict[str, str], gone: list[str]) -> dict[str, Any]:
    return ({"set": put} if put else {}) | ({"remove": gone} if gone else {})

"""Routes in settings: which requests are meant, and what is to become of them?

Knows shapes and what goes together. Knows nothing of how a request is matched, or who answers.
"""

import re
from typing import Annotated, Final, Literal

from msgspec import Struct, field

from proxy.config.expressions import expression
from proxy.config.sections import each
from proxy.config.shape import (
    PositiveBytes,
    PositiveSeconds,
    UnfitError,
    between,
    kind_of,
    text,
    whole,
)
from proxy.config.templates import Template, groups_in, template

_LABEL: Final = re.compile(r"[!-~]{1,128}")
_HOST: Final = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]{0,252})|\[[0-9a-f:.]+\]")
_PATH: Final = re.compile(r"/[!-~]*")
_ENCODED_DOT: Final = re.compile(r"%(?:25)*2e|\\", re.IGNORECASE)
_DOTS: Final = re.compile(
    r"(?:/|%(?:25)*(?:2f|5c))\.{1,2}(?:(?:;|%(?:25)*3b)[^/]*)?(?=/|%(?:25)*(?:2f|5c)|$)",
    re.IGNORECASE,
)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_METHOD: Final = re.compile(r"[A-Z][A-Z-]{0,23}")
_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UNSERVED: Final = frozenset({"CONNECT", "TRACE"})
_WITHOUT_BODY: Final = frozenset({204, 304})
_REDIRECTING: Final = frozenset({301, 302, 303, 307, 308})
# They say how this message is framed and how long its connection lasts: not the application's.
_FRAMING: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)


def _label(value: object) -> str:
    name = text(value)
    if not _LABEL.fullmatch(name):
        raise ValueError("expected 1 to 128 visible characters")
    return name


def _host(value: object) -> str:
    host = text(value)
    if not _HOST.fullmatch(host):
        raise ValueError(
            "expected a host in lower case without a port, as app.example, or *.example"
        )
    return host


def route_path(value: object) -> str:
    path = text(value)
    if not _PATH.fullmatch(path) or "?" in path or "#" in path:
        raise ValueError("expected a path such as /api/, without a query")
    if _ENCODED_DOT.search(path):
        raise ValueError("a dot is written as it is, and a backslash is never asked for")
    if _DOTS.search(path):
        raise ValueError("a path with . or .. in it is never asked for")
    return path


def _regex(value: object) -> str:
    pattern = text(value)
    expression(pattern)
    return pattern


def _method(value: object) -> str:
    method = text(value)
    if not _METHOD.fullmatch(method):
        raise ValueError("expected a method in upper case, as in [GET, HEAD]")
    if method in _UNSERVED:
        raise ValueError(f"{method} is refused before any route is asked")
    return method


def _namespace(value: object) -> str:
    name = text(value)
    if not _NAMESPACE.fullmatch(name):
        raise ValueError("expected the namespace of a server in the registry")
    return name


def field_name(value: object) -> str:
    name = text(value)
    if not _TOKEN.fullmatch(name):
        raise ValueError("expected the name of a header field")
    return name


def _changeable(value: object) -> str:
    name = field_name(value)
    if name.lower() in _FRAMING:
        hint = "; WebSocket upgrades go on by themselves" if name.lower() == "upgrade" else ""
        raise ValueError(f"{name} is the connection's own and can't be changed{hint}")
    return name


def _one_line(value: object) -> Template:
    if isinstance(value, str) and _CONTROL.search(value):
        raise ValueError("a header field has one line, without control characters")
    return template(value)


def _by_name(value: object) -> dict[str, Template]:
    if not isinstance(value, dict):
        raise TypeError(f"expected a mapping, got {kind_of(value)}")
    found: dict[str, Template] = {}
    for name, item in value.items():
        key = _changeable(name)
        try:
            found[key] = _one_line(item)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{key}: {error}") from None
    lower = [name.lower() for name in found]
    if len(set(lower)) < len(lower):
        raise ValueError("one name stands there twice, in other letters")
    return found


def _asked_headers(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError(f"expected a mapping, got {kind_of(value)}")
    for name, item in value.items():
        field_name(name)
        if _CONTROL.search(text(item)):
            raise ValueError(f"{name}: a header field has one line, without control characters")
    return dict(value)


def _redirecting(value: object) -> int:
    status = whole(value)
    if status not in _REDIRECTING:
        raise ValueError("expected 301, 302, 303, 307 or 308")
    return status


Fields = Annotated[dict[str, Template], _by_name]
Path = Annotated[str, route_path]


class Match(Struct, frozen=True, kw_only=True):
    """Which requests: all that is said must hold. What is empty is not said."""

    host: Annotated[tuple[str, ...], each(_host)] = ()
    prefix: Path = ""
    exact: Path = ""
    regex: Annotated[str, _regex] = ""
    methods: Annotated[tuple[str, ...], each(_method)] = ()
    scheme: Literal["", "http", "https"] = ""
    port: Annotated[int, between(0, 65535, whole)] = 0
    headers: Annotated[dict[str, str], _asked_headers] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.exact and (self.prefix or self.regex):
            raise UnfitError("takes exact alone, or a prefix, a regex, or both")

    @property
    def path(self) -> str:
        """As it was written, in whichever form; with a prefix and an expression, both hold."""
        return self.exact or self.regex or self.prefix or "/"

    @property
    def groups(self) -> int:
        return int(expression(self.regex).groups) if self.regex else 0

    def __str__(self) -> str:
        return ",".join(self.host) + self.path


class Changes(Struct, frozen=True, kw_only=True):
    """Which header fields are set, in place of whatever there was, and which are left out."""

    set: Fields = field(default_factory=dict)
    remove: Annotated[tuple[str, ...], each(_changeable)] = ()


class RequestChanges(Changes, frozen=True, kw_only=True):
    """The same for what goes upstream."""

    def __post_init__(self) -> None:
        if any(name.lower() == "host" for name in self.remove):
            raise UnfitError("a request must have a Host; set it to what it is to be", key="remove")


class AnswerChanges(Changes, frozen=True, kw_only=True):
    """The same for what goes to the caller."""

    def __post_init__(self) -> None:
        for key, names in (("set", self.set), ("remove", self.remove)):
            if any(name.lower() == "date" for name in names):
                raise UnfitError("Date is the answer's own and can't be changed", key=key)


class Respond(Struct, frozen=True, kw_only=True):
    """An answer of our own."""

    status: Annotated[int, between(200, 599, whole)] = 200
    body: Annotated[Template, template] = ("",)
    content_type: Annotated[Template, _one_line] = ("text/plain",)
    headers: Fields = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.status in _WITHOUT_BODY and self.body != ("",):
            raise UnfitError(f"an answer of status {self.status} has none", key="body")
        if any(name.lower() in {"date", "content-type"} for name in self.headers):
            raise UnfitError("Date is our own, and Content-Type is content_type", key="headers")


class Redirect(Struct, frozen=True, kw_only=True):
    """The caller is sent elsewhere."""

    to: Annotated[Template, _one_line]
    status: Annotated[int, _redirecting] = 302

    def __post_init__(self) -> None:
        if self.to == ("",):
            raise UnfitError("must not be empty", key="to")


class RouteSettings(Struct, frozen=True, kw_only=True):
    """One route: what it is for, and what becomes of it."""

    name: Annotated[str, _label] = ""
    match: Match = Match()
    to: Annotated[str, _namespace] = ""
    respond: Respond | None = None
    redirect: Redirect | None = None
    rewrite: Annotated[Template, _one_line] = ()
    request_headers: RequestChanges = RequestChanges()
    response_headers: AnswerChanges = AnswerChanges()
    timeout_s: PositiveSeconds | None = field(name="timeout", default=None)
    idle_timeout_s: PositiveSeconds | None = field(name="idle_timeout", default=None)
    max_body_bytes: PositiveBytes | None = field(name="max_body", default=None)
    auth: bool = True

    def __post_init__(self) -> None:
        if sum((bool(self.to), self.respond is not None, self.redirect is not None)) != 1:
            raise UnfitError("takes exactly one of to, respond and redirect")
        if not self.to:
            self._check_own()
        if self.rewrite:
            self._check_rewrite()
        for key, parts in self._templates():
            if groups_in(parts) > self.match.groups:
                raise UnfitError(
                    f"${groups_in(parts)} stands for a group that match.regex does not have",
                    key=key,
                )

    @property
    def label(self) -> str:
        """What it is called where it is counted."""
        return self.name or str(self.match)

    def _check_own(self) -> None:
        of_servers = {
            "rewrite": self.rewrite,
            "request_headers": self.request_headers != RequestChanges(),
            "timeout": self.timeout_s,
            "idle_timeout": self.idle_timeout_s,
            "max_body": self.max_body_bytes,
        }
        for key, said in of_servers.items():
            if said:
                raise UnfitError("goes with 'to' alone", key=key)

    def _check_rewrite(self) -> None:
        match, parts = self.match, self.rewrite
        if not (match.prefix or match.exact or match.regex):
            raise UnfitError("needs prefix, exact or regex in match", key="rewrite")
        if not parts[0].startswith("/") or any("?" in part or "#" in part for part in parts[::2]):
            raise UnfitError("must be a path that begins with /, without a query", key="rewrite")
        if not all(re.fullmatch(r"[!-~]*", part) for part in parts[::2]):
            raise UnfitError("must be visible ASCII", key="rewrite")
        if any(_DOTS.search(part) for part in parts[::2]):
            raise UnfitError("must be a path without . or .. in it", key="rewrite")
        if not all(name.isdigit() for name in parts[1::2]):
            raise UnfitError("knows no variables but $1 to $9, of match.regex", key="rewrite")

    def _templates(self) -> list[tuple[str, Template]]:
        found = [("rewrite", self.rewrite)]
        found += [("request_headers", parts) for parts in self.request_headers.set.values()]
        found += [("response_headers", parts) for parts in self.response_headers.set.values()]
        if self.respond is not None:
            found += [("respond", self.respond.body), ("respond", self.respond.content_type)]
            found += [("respond", parts) for parts in self.respond.headers.values()]
        if self.redirect is not None:
            found.append(("redirect", self.redirect.to))
        return found


Routes = tuple[RouteSettings, ...]

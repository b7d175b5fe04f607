"""Templates at work: what do nginx's variables stand for in this request?

Parsed once (`config.templates`); what is constant is ready. A value never brings a line break with
it, whatever a caller or a certificate says.
"""

import re
from collections.abc import Callable
from typing import Final

from proxy.wire.forwarding import Caller, client_address, client_scheme
from proxy.wire.head import RequestHead

_UNSAFE: Final = b"\r\n\0"


class Scene:
    """What variables may stand for: one request, where it came in, and what matched.

    `uri` is its path as it was matched; `groups` are those of the regular expression.
    """

    __slots__ = ("caller", "groups", "head", "port", "request_id", "uri")

    def __init__(
        self,
        head: RequestHead,
        caller: Caller,
        port: int,
        uri: bytes,
        groups: tuple[bytes, ...],
        request_id: bytes,
    ) -> None:
        self.head = head
        self.caller = caller
        self.port = port
        self.uri = uri
        self.groups = groups
        self.request_id = request_id

    def __repr__(self) -> str:
        return f"<Scene {self.uri.decode('latin-1')}>"


Read = Callable[[Scene], bytes]


class Template:
    """A text with variables. `constant` is all of it, where it has none."""

    __slots__ = ("_first", "_rest", "constant", "per_call")

    def __init__(self, parts: tuple[str, ...]) -> None:
        """Constant text and known variables in turns, as `config.templates` gives them."""
        self._first = parts[0].encode()
        self._rest = [
            (_reader(parts[at]), parts[at + 1].encode()) for at in range(1, len(parts), 2)
        ]
        self.constant = None if self._rest else self._first
        # Is it another for each request, whatever its head says?
        self.per_call = "request_id" in parts[1::2]

    def __repr__(self) -> str:
        return f"<Template of {len(self._rest)} variables>"

    def text(self, scene: Scene) -> bytes:
        if not self._rest:
            return self._first
        pieces = [self._first]
        for read, then in self._rest:
            pieces += (read(scene).translate(None, _UNSAFE), then)
        return b"".join(pieces)


def _reader(name: str) -> Read:
    if name.isdigit():
        return _group(int(name) - 1)
    for prefix, reader in (("http_", _field), ("cookie_", _cookie), ("arg_", _argument)):
        if name.startswith(prefix) and name != "http_host":
            return reader(name[len(prefix) :].encode())
    return _READERS[name]


def _group(at: int) -> Read:
    return lambda scene: scene.groups[at] if at < len(scene.groups) else b""


def _field(variable: bytes) -> Read:
    name = variable.lower().replace(b"_", b"-")
    line = re.compile(rb"\r\n%b:[ \t]*([^\r]*)" % re.escape(name), re.IGNORECASE)

    def read(scene: Scene) -> bytes:
        noted = scene.head.noted.get(name)
        if noted is not None:
            return noted
        return b", ".join([each.rstrip(b" \t") for each in line.findall(scene.head.lines)])

    return read


def _cookie(name: bytes) -> Read:
    value = re.compile(rb"(?:^|;)[ \t]*%b=([^;]*)" % re.escape(name))

    def read(scene: Scene) -> bytes:
        found = value.search(scene.head.noted.get(b"cookie", b""))
        return found[1].strip(b" \t") if found else b""

    return read


def _argument(name: bytes) -> Read:
    value = re.compile(rb"(?:^|&)%b=([^&]*)" % re.escape(name), re.IGNORECASE)

    def read(scene: Scene) -> bytes:
        found = value.search(_query(scene))
        return found[1] if found else b""

    return read


def _query(scene: Scene) -> bytes:
    return scene.head.target.partition(b"?")[2]


def host_of(authority: bytes) -> bytes:
    """The host alone, in lower case, without the dot that may stand for the root."""
    if authority.endswith(b"]"):  # IPv6, and no port
        return authority.lower()
    name, colon, _ = authority.rpartition(b":")
    return (name if colon else authority).lower().removesuffix(b".")


def _subject(scene: Scene) -> bytes:
    certificate = scene.caller.certificate
    return b"" if certificate is None else certificate.subject


def _names(scene: Scene) -> bytes:
    certificate = scene.caller.certificate
    return b"" if certificate is None else certificate.san


def _forwarded_for(scene: Scene) -> bytes:
    """As `X-Forwarded-For` goes on: who is not trusted is not believed."""
    caller = scene.caller
    before = scene.head.noted.get(b"x-forwarded-for") if caller.trusted else None
    return before + b", " + caller.address if before else caller.address


_READERS: Final[dict[str, Read]] = {
    "args": _query,
    "host": lambda scene: host_of(scene.head.authority),
    "http_host": lambda scene: scene.head.authority,
    "is_args": lambda scene: b"?" if _query(scene) else b"",
    "proxy_add_x_forwarded_for": _forwarded_for,
    "remote_addr": lambda scene: client_address(scene.head, scene.caller),
    "request_id": lambda scene: scene.request_id,
    "request_method": lambda scene: scene.head.method,
    "request_uri": lambda scene: scene.head.target,
    "scheme": lambda scene: client_scheme(scene.head, scene.caller),
    "server_port": lambda scene: b"%d" % scene.port if scene.port else b"",
    "ssl_client_s_dn": _subject,
    "ssl_client_san": _names,
    "ssl_client_verify": lambda scene: b"NONE" if scene.caller.certificate is None else b"SUCCESS",
    "ssl_protocol": lambda scene: scene.caller.tls,
    "uri": lambda scene: scene.uri,
}

"""A registry at a URL: what does the server say, and what signature lies beside it?

Knows HTTP as far as one GET goes: entity tags (RFC 9110, 8.8.3), Basic authentication (RFC 7617).
Knows nothing of what a text means, but that one which begins with a key of an artifact is signed
within: for another, `.sig` is asked for too.
"""

import asyncio
import base64
import re
import ssl
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

import aiohttp

from proxy.generations.remote import (
    CONNECT_WITHIN_S,
    SILENT_FOR_S,
    Intake,
    RemoteSource,
    check_size,
)
from proxy.generations.source import (
    SIGNATURE_BYTES,
    SIGNATURE_SUFFIX,
    AwayError,
    SourceError,
    Text,
    tag_of,
)

_OK: Final = 200
_UNCHANGED: Final = 304
_ELSEWHERE: Final = range(300, 400)
_NOT_THERE: Final = frozenset({404, 410})
_MASK: Final = "***"
_ENTITY_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,256}"')
# No key of a registry is one of these, so the first key tells the two apart.
_ARTIFACT: Final = re.compile(rb'\s*\{\s*"(?:artifact_id|envelope|payload|signature)"\s*:')
_ARTIFACT_TOLD_BYTES: Final = 1024

_FAILURES: Final = (aiohttp.ClientError, OSError, EOFError, ValueError)
# Words of ours, since theirs may quote what the server said. The first that fits.
_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (
        aiohttp.ClientConnectorCertificateError,
        "its certificate is not trusted: {0.certificate_error.verify_message}",
    ),
    (aiohttp.ClientConnectorDNSError, "its name is not known"),
    (aiohttp.ClientSSLError, "it does not speak TLS as we do"),
    (TimeoutError, "no answer in time"),
    (aiohttp.ClientConnectorError, "no connection: {0.os_error.strerror}"),
    (aiohttp.ClientPayloadError, "the answer broke off"),
    (aiohttp.ClientResponseError, "the answer is no HTTP"),
    (aiohttp.ClientConnectionError, "the connection was lost"),
)


class Place(NamedTuple):
    """Where a registry lies on the web."""

    url: str  # without user and password
    signature_url: str
    fields: dict[str, str]  # what the password became, if there is one
    name: str  # for people


def place_of(url: str, setting: str) -> Place:
    """The place that `https://[user:password@]host/path` means; raises `SourceError`."""
    try:
        return _place_of(url)
    except ValueError:
        # The reason may quote a piece of the password: nothing of it is passed on.
        raise SourceError(
            f"{setting} is no address of a registry: it must be https://host/path,"
            " with name and password percent-encoded, and @ elsewhere too"
        ) from None


def _place_of(url: str) -> Place:
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    # A password with `/`, `?` or `#` in it never passes for a path. `port` raises for what is none.
    strict = "@" not in parts.path + parts.query and not parts.fragment and bool(user) == bool(at)
    if not (strict and parts.hostname and parts.port != 0):
        raise ValueError(parts.scheme)
    plain = parts._replace(netloc=host)
    beside = plain._replace(path=plain.path + SIGNATURE_SUFFIX)
    shown = plain._replace(netloc=f"{_MASK}@" * bool(at) + host, query=_MASK if parts.query else "")
    fields = {"Authorization": _basic(user)} if at else {}
    return Place(plain.geturl(), beside.geturl(), fields, shown.geturl())


def _basic(written: str) -> str:
    user, _, password = written.partition(":")
    if ":" in unquote(user):
        raise ValueError("a user's name has no colon")
    return f"Basic {base64.b64encode(f'{unquote(user)}:{unquote(password)}'.encode()).decode()}"


class _Held(NamedTuple):
    """What was lent last, so that it need not come again."""

    tag: str = ""
    digest: str = ""
    entity_tag: str = ""
    is_artifact: bool = False


class HttpsSource(RemoteSource):
    """The document at an `https://` URL, and `.sig` beside it. Raises `SourceError`."""

    def __init__(self, url: str, interval_s: float) -> None:
        self._place = place_of(url, "registry.url")
        super().__init__(self._place.name, interval_s)
        self._held = _Held()
        self._tls: ssl.SSLContext | None = None

    async def _read(self, known: str, intake: Intake) -> Text | None:
        held = self._held if self._held.tag == known else _Held()
        try:
            async with await self._session() as session:
                return await self._read_by(session, held, intake)
        except _FAILURES as failure:
            self._tls = None  # there may be other authorities by now
            raise AwayError(_reason_of(failure)) from None

    async def _session(self) -> aiohttp.ClientSession:
        if self._tls is None:  # 30 ms, and files are read
            loop = asyncio.get_running_loop()
            self._tls = await loop.run_in_executor(None, ssl.create_default_context)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"Accept-Encoding": "identity", **self._place.fields},
            timeout=aiohttp.ClientTimeout(
                total=None, connect=CONNECT_WITHIN_S, sock_read=SILENT_FOR_S
            ),
        )

    async def _read_by(
        self, session: aiohttp.ClientSession, held: _Held, intake: Intake
    ) -> Text | None:
        condition = held.entity_tag
        if condition and not held.is_artifact:
            signature = await self._signature(session)
            if tag_of(held.digest, signature) != held.tag:
                condition = ""  # signed anew: the text is needed with it
        entity_tag = await self._pour(session, condition, intake)
        if entity_tag is None:
            return None
        is_artifact = bool(_ARTIFACT.match(intake.beginning(_ARTIFACT_TOLD_BYTES)))
        text = intake.text(None if is_artifact else await self._signature(session))
        self._held = _Held(text.tag, intake.digest, entity_tag, is_artifact)
        return text

    async def _pour(
        self, session: aiohttp.ClientSession, condition: str, intake: Intake
    ) -> str | None:
        """Take the document in; its entity tag, or None when it is still the one of `condition`."""
        fields = {"If-None-Match": condition} if condition else {}
        async with session.get(self._place.url, headers=fields, allow_redirects=False) as answer:
            if condition and answer.status == _UNCHANGED:
                return None
            _check(answer)
            check_size(answer.content_length or 0)
            async for piece in answer.content.iter_any():
                intake.take(piece)
            entity_tag = answer.headers.get("ETag", "")
        return entity_tag if _ENTITY_TAG.fullmatch(entity_tag) else ""

    async def _signature(self, session: aiohttp.ClientSession) -> bytes | None:
        """What lies beside the document, with one octet too many if there are more."""
        async with session.get(self._place.signature_url, allow_redirects=False) as answer:
            if answer.status in _NOT_THERE:
                return None
            _check(answer)
            signature = b""
            async for piece in answer.content.iter_any():
                signature += piece
                if len(signature) > SIGNATURE_BYTES:
                    break
            return signature[: SIGNATURE_BYTES + 1]


def _check(answer: aiohttp.ClientResponse) -> None:
    if answer.status in _ELSEWHERE:
        raise AwayError(
            f"the server sends us elsewhere ({answer.status}): the URL must be the last address"
        )
    if answer.status != _OK:
        raise AwayError(f"the server answered {answer.status}")
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise AwayError("the server sends it in a coding that was not asked for")
    # What ends with its connection may have ended early.
    if answer.content_length is None and "Transfer-Encoding" not in answer.headers:
        raise AwayError("the server does not say where its answer ends")


def _reason_of(failure: Exception) -> str:
    for kind, reason in _REASONS:
        if isinstance(failure, kind):
            return reason.format(failure)
    return f"the request failed: {type(failure).__name__}"

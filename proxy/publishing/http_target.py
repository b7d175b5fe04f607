"""A URL as a target: an artifact is put there (RFC 9110, 9.3.4), unless it was replaced meanwhile.

`If-Match` and `If-None-Match` say what is to be replaced, where the server gives entity tags
(RFC 9110, 13.1). A sidecar also refuses a version that is not newer. Redirects are not followed.
"""

import asyncio
import ipaddress
import re
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from proxy.client.answers import Answer, error_of
from proxy.client.errors import GatewayError, NotFoundError
from proxy.client.http import Request, failure_of
from proxy.client.session import Connections
from proxy.people.asking import Asking
from proxy.people.gateway import sentence_of
from proxy.people.unusable import UnusableError
from proxy.publishing.asked import answer_to
from proxy.publishing.refusal import RefusedError
from proxy.publishing.targets import Parcel, There, Told, overtaken

_OF_A_SIDECAR: Final = re.compile(r".*/registry/profiles/([^/]+/[^/]+)")
_STRONG_TAG: Final = re.compile(r'"[\x21\x23-\x7e]{0,256}"')
_USUAL_PROFILE: Final = "default"
_GONE: Final = 410
_OVERTAKEN: Final = 412
_STEP_BYTES: Final = 64 * 1024
_MOST_ANSWER_BYTES: Final = 64 * 1024


class HttpTarget:
    """`https://…`, or `http://…` where no key is sent or nothing leaves this machine."""

    keeps_text = False

    def __init__(self, url: str, options: Namespace, environ: Mapping[str, str]) -> None:
        """Raises `UnusableError`."""
        origin, self._target = _split(url)
        # Of what other commands are told, the credentials alone are wanted.
        asking = Asking.of(Namespace(**{**vars(options), "url": origin}), environ)
        if (asking.api_key or asking.token) and not _keeps_secrets(origin):
            raise UnusableError(
                f"The key would go to {origin} for everybody on the way to read: use https://"
            )
        self.name = origin + self._target.partition("?")[0]
        self._asking = asking
        found = _OF_A_SIDECAR.fullmatch(urlsplit(url).path)
        self.profile = found[1] if found else _USUAL_PROFILE

    def __repr__(self) -> str:
        return f"<HttpTarget {self.name}>"

    def look(self) -> There | None:
        fields = {"Accept-Encoding": "identity", **self._asking.fields()}
        request = Request(target=self._target, what=f"GET {self.name}", fields=fields)
        try:
            answer = asyncio.run(answer_to(self._asking, request))
        except NotFoundError:
            return None
        except GatewayError as error:
            if error.status == _GONE:
                return None
            raise self._refused(error) from None
        return There(answer.body, mark=answer.headers.get("etag", ""))

    def put(self, parcel: Parcel, before: There | None, told: Told) -> None:
        try:
            asyncio.run(self._put(parcel.artifact, before, told))
        except GatewayError as error:
            if error.status == _OVERTAKEN:
                raise RefusedError(overtaken(self.name)) from None
            raise self._refused(error) from None

    async def _put(self, octets: bytes, before: There | None, told: Told) -> None:
        what = f"PUT {self.name}"
        fields = {
            "Content-Type": "application/json",
            "Content-Length": str(len(octets)),
            **_condition(before),
            **self._asking.fields(),
        }
        within_s = self._asking.answer_within_s
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within_s) as limit:

                async def pieces() -> AsyncIterator[bytes]:
                    for start in range(0, len(octets), _STEP_BYTES):
                        yield octets[start : start + _STEP_BYTES]
                        limit.reschedule(loop.time() + within_s)  # it is getting on
                        told(min(start + _STEP_BYTES, len(octets)), len(octets))

                async with self._answered(fields, pieces()) as response:
                    await _require_done(response, what)
        except TimeoutError:
            raise GatewayError(f"{what}: nothing moved for {within_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise failure_of(error, self._asking.url, what, began=False) from error

    @asynccontextmanager
    async def _answered(
        self, fields: Mapping[str, str], body: AsyncIterator[bytes]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        connections = Connections(max_connections=1)
        url = URL(self._asking.url + self._target, encoded=True)
        try:
            async with connections.calls.put(
                url, data=body, headers=fields, allow_redirects=False
            ) as response:
                yield response
        finally:
            await connections.close()

    def _refused(self, error: GatewayError) -> RefusedError:
        return RefusedError(sentence_of(error, self._asking.url))


async def _require_done(response: aiohttp.ClientResponse, what: str) -> None:
    """Raises the error that any other answer is."""
    body = await response.content.read(_MOST_ANSWER_BYTES)
    headers = {name.lower(): value for name, value in response.headers.items()}
    answer = Answer(response.status, headers, body)
    if answer.failed:
        raise error_of(answer, what)


def _condition(before: There | None) -> dict[str, str]:
    """What must still be so when it is replaced. A weak tag could not tell (RFC 9110, 13.1.1)."""
    if before is None:
        return {"If-None-Match": "*"}
    return {"If-Match": before.mark} if _STRONG_TAG.fullmatch(before.mark) else {}


def _split(url: str) -> tuple[str, str]:
    """Scheme and host, path and query; raises `UnusableError`, which never shows a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UnusableError("TARGET is no URL: it must be https://host/path") from None
    if "@" in parts.netloc:
        raise UnusableError("TARGET must not hold a password: use --api-key-file or --token-file")
    if not parts.hostname or port == 0 or parts.path in ("", "/") or parts.fragment:
        raise UnusableError("TARGET must be https://host/path, without a fragment")
    try:
        plain = URL(url, encoded=True)
    except ValueError:
        raise UnusableError("TARGET is no URL: it must be https://host/path") from None
    return str(plain.origin()), plain.raw_path_qs


def _keeps_secrets(origin: str) -> bool:
    parts = urlsplit(origin)
    host = parts.hostname or ""
    try:
        stays_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        stays_here = host == "localhost"
    return parts.scheme == "https" or stays_here

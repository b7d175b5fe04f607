"""Link to Redis: one connection of the `redis` package, every way it can fail told in one error.

Knows addresses and secrets, packs commands, and gives each answer its time. Knows nothing of
events. RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec/).
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

ANSWER_WITHIN_S: Final = 1.0
_TURN_REPLIES: Final = 100  # some 5 µs each
_TEXT_MOST: Final = 300
_MASK: Final = "***"
_DATABASE: Final = re.compile(r"/?\d*")
_PATHS: Final = {"redis": _DATABASE, "rediss": _DATABASE, "unix": re.compile(r"/[^@]+")}

# What we rely on, whatever else the URL's query asks for. Time limits are ours: see `_within`.
_OURS: Final = {
    "decode_responses": False,
    "driver_info": None,  # nothing to tell by a command of its own
    "health_check_interval": 0,
    "protocol": 2,
    "socket_connect_timeout": None,
    "socket_timeout": None,
}


class BusUnavailableError(Exception):
    """The bus cannot be built as configured; the text says what to do, and no password."""


class BusError(Exception):
    """Redis is away or answers what cannot be used; the text is one sentence without password."""


class Connection(Protocol):
    """All we need of the package's connections."""

    async def connect(self) -> None: ...
    async def send_packed_command(self, command: bytes, check_health: bool = ...) -> None: ...  # noqa: FBT001 - the package's own signature
    async def read_response(self, *, timeout: float | None = ...) -> object: ...  # noqa: ASYNC109 - the package's own signature
    async def disconnect(self, nowait: bool = ...) -> None: ...  # noqa: FBT001 - the package's own signature


def packed(*words: bytes) -> bytes:
    """One command as Redis reads it."""
    return b"".join((b"*%d\r\n" % len(words), *(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)))


class Address:
    """Where Redis is. Its words for people have neither name nor password."""

    def __init__(self, url: str, setting: str = "events.bus") -> None:
        """`setting` is what the operator wrote it at. Raises `BusUnavailableError`."""
        try:
            from redis import RedisError  # noqa: PLC0415 - an extra, and slow to load
            from redis.asyncio import connection as redis_connection  # noqa: PLC0415 - as above
        except ImportError:
            raise BusUnavailableError(
                f"{setting} needs the extra: pip install 'toolproxy[redis]'"
            ) from None
        self._failures = (
            RedisError,
            OSError,
            EOFError,
            ValueError,
            TypeError,
            LookupError,
            RecursionError,
        )
        try:
            self._secrets = _secrets_of(url)
            self._words = _without_secrets(url)
            options: dict[str, Any] = {**redis_connection.parse_url(url), **_OURS}
            kind: Callable[..., Connection] = options.pop(
                "connection_class", redis_connection.Connection
            )
            self.database: int = options.get("db", 0)
            self._connection = partial(kind, **options)
            self._connection()  # refuses options that it does not know
        except self._failures:
            # The reason may quote a piece of the password: nothing of it is passed on.
            raise BusUnavailableError(
                f"{setting} is no address of Redis: it must be redis://, rediss:// or unix://, "
                "with name and password percent-encoded"
            ) from None

    def __str__(self) -> str:
        return self._words

    def __repr__(self) -> str:
        return f"<Address {self._words}>"

    @contextlib.asynccontextmanager
    async def link(self, within_s: float = ANSWER_WITHIN_S) -> AsyncIterator["Link"]:
        """A connected link, closed at the end."""
        connection = self._connection()
        link = Link(connection, self)
        try:
            async with self.within(within_s):
                await connection.connect()
            yield link
        finally:
            with contextlib.suppress(*self._failures):
                await connection.disconnect(nowait=True)

    @contextlib.asynccontextmanager
    async def within(self, limit_s: float) -> AsyncIterator[None]:
        """What fails in here, or takes longer, is a `BusError`."""
        try:
            async with asyncio.timeout(limit_s):
                yield
        except TimeoutError:
            raise BusError(f"no answer within {limit_s:g} s") from None
        except self._failures as failure:
            raise BusError(self._masked(str(failure) or type(failure).__name__)) from None

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        printable = "".join(c if c.isprintable() else " " for c in text)
        return " ".join(printable.split())[:_TEXT_MOST]


class Link:
    """One connection: a question, its answer, then the next question."""

    def __init__(self, connection: Connection, address: Address) -> None:
        self._connection = connection
        self._address = address

    def __repr__(self) -> str:
        return f"<Link {self._address}>"

    async def ask(self, *words: bytes, within_s: float = ANSWER_WITHIN_S) -> object:
        async with self._address.within(within_s):
            await self._connection.send_packed_command(packed(*words), check_health=False)
            return await self._connection.read_response()

    async def hear(self, for_s: float) -> object:
        """The next message of what was subscribed to; None where none comes for so long."""
        async with self._address.within(for_s + ANSWER_WITHIN_S):
            return await self._connection.read_response(timeout=for_s)

    async def order(self, commands: bytes, count: int) -> None:
        """Send `count` packed additions at once; return when all are acknowledged."""
        async with self._address.within(ANSWER_WITHIN_S):
            await self._connection.send_packed_command(commands, check_health=False)
            for number in range(count):
                if number % _TURN_REPLIES == 0:
                    await asyncio.sleep(0)
                if not isinstance(await self._connection.read_response(), bytes):
                    raise BusError("an addition was not answered by an id")


def _without_secrets(url: str) -> str:
    """The address in words; strict, lest a password with `/` or `#` in it pass for host or path."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    known = _PATHS[parts.scheme].fullmatch(parts.path) and not parts.fragment
    if not known or bool(host) == (parts.scheme == "unix") or bool(user) != bool(at):
        raise ValueError(parts.scheme)
    return f"{parts.scheme}://{f'{_MASK}@' if at else ''}{host}{parts.path}"


def _secrets_of(url: str) -> list[str]:
    """Whatever must not be shown, as written and as meant; the longest first."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    written = {
        parts.username,
        parts.password,
        *query.get("username", ()),
        *query.get("password", ()),
    }
    secrets = {form for text in written if text for form in (text, unquote(text))}
    return sorted(secrets, key=len, reverse=True)

"""Tokens: who does a JSON Web Token say its bearer is, and may it be believed?

Knows signatures, times and claims (RFC 7519, RFC 8725). Does not know where keys come from, nor
what their bearer may do.
"""

import binascii
import math
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, NoReturn, Protocol

import orjson
from jwt import PyJWS

from proxy.admission.claims import Claims, RefusedTokenError
from proxy.admission.jwks import KeysAwayError, RemoteKeys
from proxy.admission.key_documents import ASYMMETRIC, FileKeys, Key, KeySet, named
from proxy.config.access import Jwt

# PyJWT's own decode looks at each character in Python: 500 us for a token of 15 KiB before its
# signature is known to be wrong. Its algorithms alone take 30 us for that, and RS256 verifies a
# usual token in 25 us. All else that decode does is done here, and more strictly.
_ALGORITHMS: Final = {name: PyJWS().get_algorithm_by_name(name) for name in sorted(ASYMMETRIC)}

_TOKEN_BYTES: Final = 16 * 1024
_SUBJECT_CHARACTERS: Final = 256
_LEEWAY_S: Final = 30.0  # by so much may the issuer's clock and ours differ
_REMEMBERED_S: Final = 60.0
_REMEMBERED: Final = 4_096
_REMEMBERED_BYTES: Final = 4 * 1024 * 1024

_BASE64URL: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_BASE64: Final = bytes.maketrans(b"-_", b"+/")
_TO_BASE64URL: Final = bytes.maketrans(b"+/", b"-_")
_SPACED_CLAIMS: Final = ("scope", "scp")  # RFC 8693, 4.2; one text of others is one team


class Keys(Protocol):
    """Where the keys are; both questions raise KeysAwayError."""

    async def current(self) -> KeySet: ...
    async def renewed(self) -> KeySet: ...
    async def close(self) -> None: ...


class _Known(NamedTuple):
    claims: Claims
    since: float
    until: float


class Tokens:
    """Verifies tokens by the rules, and remembers those that it verified lately.

    `wall` tells the time in seconds since 1970, `clock` counts seconds. Raises ValueError, with a
    sentence, when the rules can't be kept.
    """

    def __init__(
        self,
        rules: Jwt,
        wall: Callable[[], float],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules
        self._wall = wall
        self._audience = frozenset(rules.audience)
        self._pinned = frozenset(rules.algorithms) or ASYMMETRIC
        self._known: dict[bytes, _Known] = {}
        self._known_bytes = 0
        self._keys: Keys = (
            FileKeys(rules.key_file, self._pinned)
            if rules.key_file
            else RemoteKeys(rules.jwks_url, self._pinned, self._forget, clock=clock)
        )

    def __repr__(self) -> str:
        return f"<Tokens {len(self._known)} remembered, {self._keys!r}>"

    def remembered(self, token: bytes) -> Claims | None:
        """What a token said that was verified in the last minute; None: `verify` it."""
        known = self._known.get(token)
        # Before `since`: the clock was put back, and what we noted means nothing.
        if known is None or not known.since <= self._wall() < known.until:
            return None
        return known.claims

    async def verify(self, token: bytes) -> Claims:
        """What a token says, when all of it may be believed; raises RefusedTokenError."""
        head, body, signature = _split(token)
        algorithm, kid = self._header(head)
        key = await self._key(algorithm, kid)
        signed = token[: len(head) + 1 + len(body)]
        if not _ALGORITHMS[algorithm].verify(signed, key.public, signature):
            raise RefusedTokenError("the token's signature is wrong")
        now = self._wall()
        claims = self._claims(_json_object(body), now)
        self._remember(token, claims, now)
        return claims

    async def close(self) -> None:
        self._forget()
        await self._keys.close()

    def _header(self, head: bytes) -> tuple[str, str | None]:
        header = _json_object(head)
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm == "none":
            raise RefusedTokenError("the token is not signed: its algorithm is none")
        # Without a look at the set: what may be used is no question for the token (RFC 8725, 3.1).
        if not isinstance(algorithm, str) or algorithm not in self._pinned:
            raise RefusedTokenError("the token's algorithm is not one of those that are allowed")
        # `crit` names what must be understood, and nothing of that is here (RFC 7515, 4.1.11).
        if "crit" in header or "b64" in header:
            raise RefusedTokenError("the token needs an extension that is not supported")
        if not (kid is None or isinstance(kid, str)):
            _not_a_token()
        return algorithm, kid

    async def _key(self, algorithm: str, kid: str | None) -> Key:
        try:
            keys = await self._keys.current()
            if not _fitting(keys, algorithm, kid):
                keys = await self._keys.renewed()
        except KeysAwayError as error:
            raise RefusedTokenError(
                f"the keys that tokens are checked with can't be fetched: {error}"
            ) from None
        found = _fitting(keys, algorithm, kid)
        if len(found) == 1:
            return found[0]
        if found:
            raise RefusedTokenError("the token does not say which of several keys signed it")
        if kid is not None and named(keys, kid):
            raise RefusedTokenError("the token's algorithm does not agree with its key")
        raise RefusedTokenError("the token is signed with a key that is not known")

    def _claims(self, said: dict[str, Any], now: float) -> Claims:
        expires_at = _moment(said, "exp")
        if expires_at is None:
            _missing("exp")
        if now >= expires_at + _LEEWAY_S:
            raise RefusedTokenError("the token has expired")
        for name in ("nbf", "iat"):
            begins_at = _moment(said, name)
            if begins_at is not None and now < begins_at - _LEEWAY_S:
                raise RefusedTokenError(f"the token is not yet valid: {name} is in the future")
        self._check_origin(said)
        return Claims(_subject(said), self._teams(said), expires_at)

    def _check_origin(self, said: dict[str, Any]) -> None:
        for name in ("iss", "aud"):
            if said.get(name) is None:
                _missing(name)
        if said["iss"] != self._rules.issuer:
            raise RefusedTokenError("the token comes from another issuer")
        audience = said["aud"] if isinstance(said["aud"], list) else [said["aud"]]
        if not any(isinstance(each, str) and each in self._audience for each in audience):
            raise RefusedTokenError("the token is for another audience")

    def _teams(self, said: dict[str, Any]) -> frozenset[str]:
        name = self._rules.teams_claim
        teams = _found(said, name)
        if teams is None:
            return frozenset()
        if isinstance(teams, str):
            spaced = name.rpartition(".")[2] in _SPACED_CLAIMS
            return frozenset(teams.split() if spaced else [teams])
        if isinstance(teams, list) and all(isinstance(each, str) for each in teams):
            return frozenset(teams)
        raise RefusedTokenError(f"the token's {name} is neither text nor a list of texts")

    def _remember(self, token: bytes, claims: Claims, now: float) -> None:
        self._drop(token)
        until = min(now + _REMEMBERED_S, claims.expires_at)
        if until <= now:
            return
        self._known[token] = _Known(claims, now, until)
        self._known_bytes += len(token)
        while (
            len(self._known) > _REMEMBERED
            or self._known_bytes > _REMEMBERED_BYTES
            or next(iter(self._known.values())).until <= now
        ):
            self._drop(next(iter(self._known)))

    def _drop(self, token: bytes) -> None:
        if self._known.pop(token, None) is not None:
            self._known_bytes -= len(token)

    def _forget(self) -> None:
        """The keys are others: what the old ones proved is proved no more."""
        self._known.clear()
        self._known_bytes = 0


def _not_a_token() -> NoReturn:
    raise RefusedTokenError("the credential is not a JSON Web Token") from None


def _missing(name: str) -> NoReturn:
    raise RefusedTokenError(f"the token lacks the claim {name}")


def _split(token: bytes) -> tuple[bytes, bytes, bytes]:
    """Header and claims as they are signed, and the signature's octets."""
    if len(token) > _TOKEN_BYTES:
        raise RefusedTokenError(f"the token is larger than {_TOKEN_BYTES} bytes")
    # In C, where a pattern takes five times as long over 16 KiB.
    dots = token.translate(None, _BASE64URL)
    if dots == b"....":
        raise RefusedTokenError("the token is encrypted: only signed ones can be checked")
    if dots != b"..":
        _not_a_token()
    head, body, signature = token.split(b".")
    return head, body, _octets(signature)


def _octets(part: bytes) -> bytes:
    """Base64url without padding, in its one spelling (RFC 4648, 3.5)."""
    try:
        octets = binascii.a2b_base64(part.translate(_TO_BASE64) + b"=" * (-len(part) % 4))
    except ValueError:
        _not_a_token()
    if binascii.b2a_base64(octets, newline=False).rstrip(b"=").translate(_TO_BASE64URL) != part:
        _not_a_token()
    return octets


def _json_object(part: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(_octets(part))
    except ValueError:
        _not_a_token()
    if not isinstance(document, dict):
        _not_a_token()
    return document


def _fitting(keys: KeySet, algorithm: str, kid: str | None) -> KeySet:
    return tuple([key for key in named(keys, kid) if algorithm in key.algorithms])


def _moment(said: dict[str, Any], name: str) -> float | None:
    value = said.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RefusedTokenError(f"the token's {name} is not a number of seconds")
    return float(value)


def _subject(said: dict[str, Any]) -> str:
    for name in ("sub", "client_id", "azp"):
        subject = said.get(name)
        if subject is None:
            continue
        if not isinstance(subject, str) or not subject.isprintable():
            raise RefusedTokenError(f"the token's {name} is not printable text")
        if not 0 < len(subject) <= _SUBJECT_CHARACTERS:
            raise RefusedTokenError(
                f"the token's {name} does not have 1 to {_SUBJECT_CHARACTERS} characters"
            )
        return subject
    _missing("sub")


def _found(said: dict[str, Any], name: str) -> object:
    """A claim by its name (which may have dots, as a URL has), else by its path."""
    if name in said:
        return said[name]
    within: object = said
    for step in name.split("."):
        within = within.get(step) if isinstance(within, dict) else None
    return within

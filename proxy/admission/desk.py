"""The desk: who is it that sends these fields?

Knows the credentials (API keys, certificates, tokens) and how they go together: a key or else a
certificate says which application it is, a token for whom it speaks. Knows nothing of what anybody
wants to call.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from proxy import errors
from proxy.admission.claims import Claims, RefusedTokenError
from proxy.admission.keys import ApiKeys
from proxy.config.access import ApiKey, Auth, CertificateHolder
from proxy.policy.grants import Visitor
from proxy.wire.forwarding import Certificate

_FOREVER: Final = float("inf")
_REMEMBERED_S: Final = 60.0  # then a token is looked at again: its key may have been withdrawn
_API_KEY: Final = b"x-api-key"
_AUTHORIZATION: Final = b"authorization"
_NOTHING: Final = frozenset[bytes]()
_AS_KEY: Final = frozenset({_API_KEY})
_AS_TOKEN: Final = frozenset({_AUTHORIZATION})
_BEARER: Final = b"bearer"
_CHALLENGE: Final = 'Bearer realm="toolproxy"'
_WHAT_TO_SEND: Final = "Send an API key as X-API-Key, or a token as Authorization: Bearer"


class Verifier(Protocol):
    """What is asked about tokens (see `tokens.Tokens`)."""

    def remembered(self, token: bytes) -> Claims | None: ...

    async def verify(self, token: bytes) -> Claims: ...

    async def close(self) -> None: ...


class Desk:
    """Everything by which somebody is recognised."""

    def __init__(
        self,
        auth: Auth,
        environ: Mapping[str, str],
        tokens: Verifier | None,
        wall: Callable[[], float],
    ) -> None:
        """`wall` gives seconds since 1970. Raises ValueError for keys that can't be read."""
        self.keys = ApiKeys(auth.api_keys, environ)
        self.tokens = tokens
        self._required = auth.require
        self._wall = wall
        # Made once: a key's visitors differ in nothing but where the key stood.
        self._visitors: dict[tuple[str, frozenset[bytes]], Visitor] = {
            (each.name, fields): _application(each, fields)
            for each in auth.api_keys
            for fields in (_AS_KEY, _AS_TOKEN, _AS_KEY | _AS_TOKEN)
        }
        holders = [(each, _application(each, _NOTHING)) for each in auth.certificates]
        self._by_subject = {each.subject.encode(): who for each, who in holders if each.subject}
        self._by_name = {each.san.encode(): who for each, who in holders if each.san}

    def __repr__(self) -> str:
        return f"<Desk {self.keys!r}>"

    def knows_the_same(self, other: "Desk") -> bool:
        """Are the credentials the same ones, not only the words for where they are?"""
        return self.keys == other.keys and self.tokens is other.tokens

    def at_once(
        self, noted: Mapping[bytes, bytes], now: float, certificate: Certificate | None
    ) -> tuple[Visitor, float] | None:
        """Who it is, and until when (by the clock of `now`); None if that has to be found out.

        Raises `UnauthenticatedError`.
        """
        token = _token(noted) if self.tokens is not None else None
        application = self._application(noted, certificate)
        if token is None or self.tokens is None:
            return self._seen(application, None, now)
        claims = self.tokens.remembered(token)
        return None if claims is None else self._seen(application, claims, now)

    async def identify(
        self, noted: Mapping[bytes, bytes], now: float, certificate: Certificate | None
    ) -> tuple[Visitor, float]:
        """The same, waiting for keys where they have to be fetched."""
        token = _token(noted) if self.tokens is not None else None
        if token is None or self.tokens is None:
            return self._seen(self._application(noted, certificate), None, now)
        try:
            claims = await self.tokens.verify(token)
        except RefusedTokenError as error:
            raise _refused(error.reason, invalid=True) from None
        return self._seen(self._application(noted, certificate), claims, now)

    def _application(
        self, noted: Mapping[bytes, bytes], certificate: Certificate | None
    ) -> Visitor | None:
        by_key, by_certificate = self._by_key(noted), self._by_certificate(certificate)
        if "key" in self._required and by_key is None:
            raise _refused("an API key is required, and none was sent")
        if "certificate" in self._required and by_certificate is None:
            raise _refused("a client certificate is required, and none that is known was shown")
        return by_certificate if by_key is None else by_key

    def _seen(
        self, visitor: Visitor | None, claims: Claims | None, now: float
    ) -> tuple[Visitor, float]:
        if "jwt" in self._required and claims is None:
            raise _refused("a token is required, and none was sent")
        if claims is None:
            if visitor is None:
                raise _refused("no credential")
            return visitor, _FOREVER
        until = now + min(_REMEMBERED_S, claims.expires_at - self._wall())
        if visitor is None:
            visitor = Visitor(claims.subject, teams=claims.teams, expires_at=claims.expires_at)
            return visitor, until
        return visitor.speaking_for(*claims), until

    def _by_key(self, noted: Mapping[bytes, bytes]) -> Visitor | None:
        if not self.keys:
            return None
        name, fields = "", frozenset[bytes]()
        if self.tokens is None and (shown := _token(noted)) is not None:
            name, fields = self._known(shown).name, _AS_TOKEN
        if _API_KEY in noted:
            name, fields = self._known(noted[_API_KEY]).name, fields | _AS_KEY
        return self._visitors[name, fields] if name else None

    def _by_certificate(self, certificate: Certificate | None) -> Visitor | None:
        if certificate is None:
            return None
        found = self._by_subject.get(certificate.subject)
        if found is None and self._by_name:
            found = next(
                (who for name, who in self._by_name.items() if name in certificate.names), None
            )
        return found

    def _known(self, shown: bytes) -> ApiKey:
        key = self.keys.find(shown)
        if key is None:
            raise _refused("unknown API key", invalid=True)
        return key


def _application(key: ApiKey | CertificateHolder, fields: frozenset[bytes]) -> Visitor:
    return Visitor(
        key.name,
        allow=key.allow,
        teams=key.teams,
        admin=key.admin,
        application=key.name,
        rate=key.rate,
        spent=fields,
    )


def _token(noted: Mapping[bytes, bytes]) -> bytes | None:
    """What is sent as `Authorization: Bearer`; other schemes are not for us."""
    sent = noted.get(_AUTHORIZATION)
    if sent is None:
        return None
    scheme, _, token = sent.strip().partition(b" ")
    return token.strip() if scheme.lower() in {b"", _BEARER} else None


def _refused(reason: str, *, invalid: bool = False) -> errors.ProxyError:
    """What was wrong is for the log; who guesses is told nothing."""
    challenge = f'{_CHALLENGE}, error="invalid_token"' if invalid else _CHALLENGE
    said = "The credential is not valid" if invalid else "This needs a credential"
    return errors.UnauthenticatedError(
        f"{said}. {_WHAT_TO_SEND}", headers=(("WWW-Authenticate", challenge),), reason=reason
    )

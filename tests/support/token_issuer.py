"""An issuer of tokens: keys, what is signed with them, a server that publishes them; verdicts."""

import asyncio
import ssl
from collections.abc import Callable
from functools import cache
from typing import Any, Final, Self

import jwt
import orjson
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from proxy.admission.claims import Claims, RefusedTokenError
from proxy.admission.key_documents import ASYMMETRIC
from proxy.admission.tokens import Tokens
from proxy.config.access import Algorithm, Jwt

NOW: Final = 1_700_000_000.0
ALGORITHMS: Final = tuple(sorted(ASYMMETRIC))
ISSUER: Final = "https://issuer.example"
AUDIENCE: Final = "toolproxy"
ALICE: Final = Claims("alice", frozenset({"red", "blue"}), NOW + 300)  # who says `claims()`
_MAKERS: Final[dict[str, Callable[[], Any]]] = {
    "R": lambda: rsa_key(65537, 2048),
    "P": lambda: rsa_key(65537, 2048),
    "ES256": lambda: generate_private_key(SECP256R1()),
    "ES384": lambda: generate_private_key(SECP384R1()),
    "ES512": lambda: generate_private_key(SECP521R1()),
    "EdDSA": Ed25519PrivateKey.generate,
}

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey


class Clock:
    """Time that stands still until a test moves it."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Signer:
    """A key with its name, and how it signs."""

    def __init__(self, algorithm: str, kid: str, private: PrivateKey) -> None:
        self.algorithm = algorithm
        self.kid = kid
        self.private = private

    @property
    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def private_pem(self) -> bytes:
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def jwk(self, **changes: object) -> dict[str, object]:
        """The public key as it is published; a change to None takes a member away."""
        made = self._algorithm.to_jwk(self.private.public_key(), as_dict=True)
        made |= {"kid": self.kid, "use": "sig", "key_ops": ["verify"], **changes}
        return {name: value for name, value in made.items() if value is not None}

    def private_jwk(self) -> dict[str, object]:
        return {**self._algorithm.to_jwk(self.private, as_dict=True), "kid": self.kid}

    def token(self, header: dict[str, object] | None = None, /, **changes: object) -> bytes:
        """A token that is good but for the changes; None takes a claim or header away."""
        heads = {"alg": self.algorithm, "typ": "JWT", "kid": self.kid, **(header or {})}
        head = orjson.dumps({name: value for name, value in heads.items() if value is not None})
        return self.signed(head, orjson.dumps(claims(**changes)))

    def signed(self, head: bytes, body: bytes) -> bytes:
        message = b".".join(map(jwt.utils.base64url_encode, (head, body)))
        signature = self._algorithm.sign(message, self.private)
        return message + b"." + jwt.utils.base64url_encode(signature)

    @property
    def _algorithm(self) -> Any:
        return jwt.get_algorithm_by_name(self.algorithm)


def claims(**changes: object) -> dict[str, object]:
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "teams": ["red", "blue"],
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + 300,
        **changes,
    }
    return {name: value for name, value in said.items() if value is not None}


@cache
def signer(algorithm: str = "ES256", kid: str = "first") -> Signer:
    """The same for the same name: keys take long to make."""
    family = algorithm if algorithm in _MAKERS else algorithm[0]
    return Signer(algorithm, kid, _MAKERS[family]())


def key_set(*signers: Signer) -> bytes:
    return orjson.dumps({"keys": [each.jwk() for each in signers]})


def rules(
    key_file: str = "",
    *,
    jwks_url: str = "",
    teams_claim: str = "teams",
    algorithms: tuple[Algorithm, ...] = (),
) -> Jwt:
    """Those that believe this issuer."""
    return Jwt(
        key_file=key_file,
        jwks_url=jwks_url,
        issuer=ISSUER,
        audience=(AUDIENCE, "other"),
        teams_claim=teams_claim,
        algorithms=algorithms,
    )


async def verdict(tokens: Tokens, token: bytes) -> Claims | str:
    """What a token says, or why it is refused."""
    try:
        return await tokens.verify(token)
    except RefusedTokenError as error:
        return error.reason


def outcome(tokens: Tokens, token: bytes) -> Claims | str:
    """The same without a loop: with the keys of a file, nothing is waited for."""
    try:
        verdict(tokens, token).send(None)
    except StopIteration as end:
        found: Claims | str = end.value
        return found
    raise AssertionError("it waits for something")


class KeyServer:
    """Publishes what a test says, by HTTPS when it has a context; waits while not `open`."""

    def __init__(self, body: bytes = b"", tls: ssl.SSLContext | None = None) -> None:
        self.body = body
        self.status = 200
        self.headers: dict[str, str] = {}
        self.open = asyncio.Event()
        self.open.set()
        self.fetches = 0
        self.arrived = asyncio.Event()  # a fetch has begun since this was cleared
        self.url = ""
        self._tls = tls
        app = web.Application()
        app.router.add_get("/keys", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        port = self._runner.addresses[0][1]
        self.url = (
            f"https://localhost:{port}/keys" if self._tls else f"http://127.0.0.1:{port}/keys"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.open.set()
        await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        self.fetches += 1
        self.arrived.set()
        await self.open.wait()
        return web.Response(body=self.body, status=self.status, headers=self.headers)

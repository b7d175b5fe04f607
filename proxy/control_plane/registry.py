"""`/registry`: which generation runs, what was before, what would change; and orders to change it.

Reads are the operator's where anybody is asked who they are. Orders are taken only from those who
are known to be operators: on the admin listener, or with an admin key.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from itertools import chain
from typing import Final

import orjson
from aiohttp import ETag, web

from proxy import errors
from proxy.artifact import Signed
from proxy.config.document import Finding
from proxy.control_plane.fresh import answer_kept, tag_of
from proxy.control_plane.health import json_answer
from proxy.control_plane.slices import answer_pieces
from proxy.control_plane.uploads import Uploads
from proxy.control_plane.visitors import is_stranger, refuse_strangers
from proxy.events.hub import Hub
from proxy.generations import orders, profiles
from proxy.generations.exposure import says_secrets
from proxy.generations.registrar import Registrar
from proxy.generations.shown import pieces
from proxy.registry.load import RegistryRejectedError

_USUAL_ROWS: Final = 100
_MOST_ROWS: Final = 1_000
_ORDERS: Final = frozenset({"application/json"})
_TEXTS: Final = frozenset(
    {"application/json", "application/yaml", "application/x-yaml", "text/yaml"}
)
_LONGEST_ORDER_BYTES: Final = 4_096
_PIECE_BYTES: Final = 64 * 1024

Order = Callable[[Registrar, str], Awaitable[None]]


def add_routes(app: web.Application, registrar: Registrar, hub: Hub) -> None:
    surface = _Surface(registrar, hub)
    router = app.router
    router.add_get("/registry", surface.status)
    router.add_get("/registry/history", surface.history)
    router.add_get("/registry/generations/{generation}", surface.generation)
    router.add_get("/registry/profiles/{client}/{profile}", surface.retrieve)
    router.add_put("/registry/profiles/{client}/{profile}", surface.publish)
    router.add_post("/registry/diff", surface.diff)
    router.add_post("/registry/rollback", surface.rollback)
    router.add_post("/registry/accept", surface.accept)
    router.add_post("/registry/unpin", surface.unpin)


class _Surface:
    """The handlers, and what they share."""

    def __init__(self, registrar: Registrar, hub: Hub) -> None:
        self._registrar = registrar
        self._hub = hub
        self._uploads = Uploads()

    async def status(self, _: web.Request) -> web.Response:
        return json_answer(status_of(self._registrar))

    async def history(self, request: web.Request) -> web.Response:
        found = await self._registrar.archive.history(_rows(request))
        return json_answer({"activations": [each.row() for each in found]})

    async def generation(self, request: web.Request) -> web.StreamResponse:
        archive = self._registrar.archive
        found = await archive.find(request.match_info["generation"])
        octets, signed = await archive.read(found)
        if is_stranger(request) and await asyncio.to_thread(says_secrets, octets):
            raise errors.ForbiddenError(
                "That registry says secrets outright: it takes the admin listener, or a key with"
                " 'admin: true'; templates such as ${NAME} say none",
                reason="a registry with secrets",
            )
        return await _answer_artifact(request, found, octets, signed)

    async def diff(self, request: web.Request) -> web.StreamResponse:
        _refuse_types(request, _TEXTS)
        async with self._uploads.whole(request) as text:
            try:
                candidate, comparison = await orders.difference(self._registrar, text)
            except RegistryRejectedError as error:
                return _rejection(error)
        about = {"identity": candidate.identity, "findings": _findings(candidate.loaded.findings)}
        response = web.StreamResponse()
        response.content_type = "application/json"
        return await answer_pieces(request, response, _extended(about, pieces(comparison)))

    async def rollback(self, request: web.Request) -> web.Response:
        return await self._obey(request, orders.roll_back)

    async def accept(self, request: web.Request) -> web.Response:
        return await self._obey(request, orders.accept)

    async def unpin(self, request: web.Request) -> web.Response:
        refuse_strangers(request)
        _refuse_types(request, _ORDERS)
        await orders.unpin(self._registrar)
        return json_answer(status_of(self._registrar))

    async def _obey(self, request: web.Request, order: Order) -> web.Response:
        refuse_strangers(request)
        _refuse_types(request, _ORDERS)
        async with self._uploads.whole(request, _LONGEST_ORDER_BYTES) as body:
            wanted = _generation_in(body)
        await order(self._registrar, wanted)
        return json_answer(status_of(self._registrar))

    async def publish(self, request: web.Request) -> web.Response:
        refuse_strangers(request)
        _refuse_types(request, _ORDERS)
        client, profile = _names(request)
        async with self._uploads.whole(request) as text:
            signed = await profiles.publish(self._registrar, client, profile, text)
        envelope = signed.envelope
        return json_answer(
            {"artifact_id": envelope.registry_sha256, "version": envelope.version},
            HTTPStatus.CREATED,
        )

    async def retrieve(self, request: web.Request) -> web.StreamResponse:
        client, profile = _names(request)
        about: dict[str, object] = {
            "trace_id": request.headers.get("X-Chora-Trace-Id"),
            "client_id": client,
            "profile_id": profile,
        }
        self._hub.tell("config_retrieval_started", {**about, "status": "pending"})
        try:
            octets, signed = await profiles.published(self._registrar, client, profile)
        except errors.ProxyError as error:
            why = {"error_code": error.code, "error_message": error.detail}
            self._hub.tell("config_retrieval_failed", {**about, "status": "failure", **why})
            raise
        artifact_id = signed.envelope.registry_sha256
        self._hub.tell("config_retrieval_completed", {**about, "artifact_id": artifact_id})
        return await _answer_artifact(request, artifact_id, octets, signed)


def status_of(registrar: Registrar) -> dict[str, object]:
    """What `GET /registry` says."""
    running, newest, table = registrar.running, registrar.newest, registrar.live.current
    envelope = running.signed.envelope if running.signed else None
    held = registrar.held
    return {
        "active": running.identity or None,
        "latest": newest.identity or None,
        "status": newest.status,
        "generation": table.generation,
        "version": envelope and envelope.version,
        "signed_by": envelope and envelope.key_id,
        "profile": envelope and envelope.profile,
        "loaded_at": running.taken_at or None,
        "source": registrar.source.name,
        "pinned": bool(running.pinned_against),
        "held": held and held.identity,
        "on_breaking": registrar.settings.on_breaking,
        "servers": len(table.servers),
        "tools": len(table.tools),
        "quarantined": [
            {
                "server": broken.namespace or f"servers[{broken.index}]",
                "problems": [str(finding) for finding in broken.findings],
            }
            for broken in table.quarantined
        ],
        "problem": registrar.problem,
        "store_problem": registrar.archive.troubles,
    }


async def _answer_artifact(
    request: web.Request, artifact_id: str, octets: bytes, signed: Signed | None
) -> web.StreamResponse:
    """What a client can check for itself: the registry as it was signed, and the signature."""
    end = orjson.dumps(
        {"envelope": None, "signature": None} if signed is None else signed.document()
    )
    parts = [
        b'{"artifact_id":"%b","payload":' % artifact_id.encode(),
        *(octets[at : at + _PIECE_BYTES] for at in range(0, len(octets), _PIECE_BYTES)),
        b"," + end[1:],
    ]
    return await answer_kept(request, ETag(await tag_of(parts)), parts)


def _extended(about: Mapping[str, object], rest: Iterator[bytes]) -> Iterator[bytes]:
    """One JSON object of both; the rest begins with its brace."""
    return chain([orjson.dumps(about)[:-1] + b",", next(rest)[1:]], rest)


def _findings(found: Iterable[Finding]) -> list[dict[str, object]]:
    return [
        {
            "code": finding.code,
            "message": finding.message,
            "severity": finding.severity,
            "path": finding.path,
            "line": finding.line,
        }
        for finding in found
    ]


def _rejection(error: RegistryRejectedError) -> web.Response:
    """A candidate that could not be taken up: nothing is known of what it would change."""
    document = {
        "status": "unknown",
        "findings": _findings(error.findings),
        "recommendation": "Mend what the findings name: it would be rejected as it is.",
    }
    return json_answer(document, HTTPStatus.UNPROCESSABLE_ENTITY)


def _refuse_types(request: web.Request, taken: frozenset[str]) -> None:
    """Not what a form of any page can send; raises `UnsupportedMediaTypeError`."""
    said = request.content_type if "Content-Type" in request.headers else ""
    if said not in taken:
        raise errors.UnsupportedMediaTypeError(
            f"{request.path} takes a body of the type {' or '.join(sorted(taken))}"
        )


def _generation_in(body: bytes) -> str:
    try:
        document = orjson.loads(body)
    except ValueError:
        document = None
    wanted = document.get("generation") if isinstance(document, dict) else None
    if not isinstance(wanted, str) or not wanted:
        raise errors.BadValueError(
            'The body must be {"generation": "…"}; /registry/history has them'
        )
    return wanted


def _rows(request: web.Request) -> int:
    limit = request.query.get("limit", str(_USUAL_ROWS))
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= _MOST_ROWS):
        raise errors.BadValueError(f"limit is a number from 1 to {_MOST_ROWS}")
    return int(limit)


def _names(request: web.Request) -> tuple[str, str]:
    return request.match_info["client"], request.match_info["profile"]

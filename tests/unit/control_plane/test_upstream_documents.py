"""Facts about what upstreams say of themselves: bounded, checked, kept, not waited for long."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.config.sections import Upstreams
from proxy.config.settings import Settings
from proxy.control_plane import upstream_documents
from proxy.control_plane.upstream_documents import (
    Known,
    Resolver,
    UnusableError,
    UpstreamDocuments,
    generators_in,
)
from proxy.registry.live import LiveRegistry
from proxy.registry.load import LoadRules
from proxy.registry.tls import TlsContexts
from tests.support.listings import live_registry, next_generation

GOOD = b'{"generators": {"jinja2": {"type": "jinja2", "status": "stable", "extra": 1}}}'
Look = Callable[[], Awaitable[dict[str, Known]]]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def entry(url: str, namespace: str = "o") -> str:
    return f"namespace: {namespace}, name: h, port: 81, capabilities_url: '{url}'"


class Upstream:
    """Answers as it is told, and counts."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.answer: Answer = says(GOOD)
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return await self.answer(request)


def says(body: bytes, status: int = 200, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=body, status=status, headers=named)

    return answer


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", upstream.handle)
    async with TestServer(app) as server:
        upstream.url = f"http://127.0.0.1:{server.port}/capabilities/generators?full=1"
        yield upstream


@contextlib.asynccontextmanager
async def looking(registry: LiveRegistry) -> AsyncIterator[Look]:
    documents = UpstreamDocuments(registry, TlsContexts())
    try:
        yield lambda: documents.look(list(registry.current.servers.values()))
    finally:
        await documents.close()


async def seen(url: str) -> Known:
    async with looking(live_registry(entry(url))) as look:
        return (await look())["o"]


async def test_document_of_an_upstream_is_fetched(upstream: Upstream) -> None:
    known = await seen(upstream.url)

    assert (known.status, list(known.generators), known.generators["jinja2"].status) == (
        "merged",
        ["jinja2"],
        "stable",
    )
    assert upstream.asked[0].path_qs == "/capabilities/generators?full=1"


async def test_server_without_one_is_not_asked(upstream: Upstream) -> None:
    registry = live_registry("namespace: p, name: h, port: 81", entry(upstream.url))

    async with looking(registry) as look:
        assert list(await look()) == ["o"]


async def test_document_is_kept_for_a_while(upstream: Upstream) -> None:
    async with looking(live_registry(entry(upstream.url))) as look:
        first = await look()

        assert await look() == first
    assert len(upstream.asked) == 1


async def test_old_document_is_asked_for_again(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_documents, "_KEPT_FOR_S", -1.0)
    async with looking(live_registry(entry(upstream.url))) as look:
        await look()
        upstream.answer = says(b'{"generators": {"new": {}}}')

        known = await look()

    assert list(known["o"].generators) == ["new"]


async def test_those_who_look_at_once_share_one_request(upstream: Upstream) -> None:
    async with looking(live_registry(entry(upstream.url))) as look:
        first, second = await asyncio.gather(look(), look())

    assert (first == second, len(upstream.asked)) == (True, 1)


async def test_another_url_is_asked_anew(upstream: Upstream) -> None:
    registry = live_registry(entry(upstream.url))
    async with looking(registry) as look:
        await look()
        next_generation(registry, entry(upstream.url + "&more=1"))

        assert (await look())["o"].url.endswith("more=1")
    assert len(upstream.asked) == 2


async def test_server_that_is_gone_is_forgotten(upstream: Upstream) -> None:
    registry = live_registry(entry(upstream.url))
    documents = UpstreamDocuments(registry, TlsContexts())
    await documents.look(list(registry.current.servers.values()))

    next_generation(registry)

    assert repr(documents) == "<UpstreamDocuments 0 known, 0 asked for>"


@pytest.mark.parametrize(
    "answer",
    [
        says(b"gone", status=500),
        says(b"", status=302, Location="/elsewhere"),
        says(b"<html>"),
        says(b'{"generators": []}'),
        says(b'{"generators": {"../a": {}}}'),
        says(GOOD + b" " * 1024 * 1024),
        says(GOOD, Content_Encoding="br"),
    ],
    ids=["error", "redirect", "no-json", "shape", "name", "too-large", "encoded"],
)
async def test_answer_that_is_no_document_costs_its_part_only(
    upstream: Upstream, answer: Answer
) -> None:
    upstream.answer = answer

    known = await seen(upstream.url)

    assert (known.status, known.generators) == ("unusable", {})
    assert [request.path for request in upstream.asked] == ["/capabilities/generators"]


async def test_upstream_that_is_away_costs_its_part_only(
    unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    known = await seen(f"http://127.0.0.1:{unused_tcp_port}/?token=secret")

    assert (known.status, known.generators) == ("unreachable", {})
    assert ["is unreachable" in said for said in caplog.messages] == [True]
    assert "secret" not in caplog.text


async def test_upstreams_that_hang_are_not_waited_for(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    upstream.answer = hang
    monkeypatch.setattr(upstream_documents, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(upstream_documents, "_AT_ONCE", 1)
    registry = live_registry(entry(upstream.url, "first"), entry(upstream.url, "second"))
    async with looking(registry) as look:
        known = await look()

        assert known["second"].status == "pending"  # its turn comes when nobody waits any more
        never.set()


async def test_nobody_waits_for_one_that_was_away(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_documents, "_FAILED_FOR_S", -1.0)
    registry = live_registry(entry(f"http://127.0.0.1:{unused_tcp_port}/"))
    documents = UpstreamDocuments(registry, TlsContexts())
    servers = list(registry.current.servers.values())
    first = await documents.look(servers)

    second = await documents.look(servers)

    assert (second["o"] is first["o"], repr(documents)) == (
        True,
        "<UpstreamDocuments 1 known, 1 asked for>",
    )
    await documents.close()


async def test_trouble_that_goes_on_is_logged_once(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(upstream_documents, "_FAILED_FOR_S", -1.0)
    upstream.answer = says(b"rubbish")
    registry = live_registry(entry(upstream.url))
    documents = UpstreamDocuments(registry, TlsContexts())
    servers = list(registry.current.servers.values())

    for _ in range(3):
        await documents.look(servers)
        await asyncio.gather(*documents._asking.values())

    assert (len(upstream.asked), len(caplog.messages)) == (3, 1)
    assert "unusable: it is no document of generators" in caplog.messages[0]


async def test_document_is_fetched_over_a_unix_socket(tmp_path: Path) -> None:
    upstream, app = Upstream(), web.Application()
    app.router.add_get("/base/generators", upstream.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "s")).start()
    try:
        known = await seen(f"unix:{tmp_path}/s:/base/generators?a=b")
    finally:
        await runner.cleanup()

    assert (known.status, upstream.asked[0].query_string) == ("merged", "a=b")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["address", "name"])
async def test_nobody_goes_where_the_settings_deny_it(upstream: Upstream, host: str) -> None:
    registry = live_registry(entry(upstream.url.replace("127.0.0.1", host)))
    registry.rules = LoadRules.of(Settings(upstreams=Upstreams(deny=("127.0.0.0/8", "::1/128"))))
    async with looking(registry) as look:
        known = await look()

    assert (known["o"].status, upstream.asked) == ("unreachable", [])


async def test_names_are_resolved_to_what_is_allowed() -> None:
    allowing, denies = Resolver(lambda: ()), Resolver(lambda: ("127.0.0.0/8", "::1/128"))
    try:
        assert await allowing.resolve("localhost", 80)
        with pytest.raises(PermissionError, match="deny"):
            await denies.resolve("localhost", 80)
    finally:
        await allowing.close()
        await denies.close()


@pytest.mark.parametrize(
    "generator",
    [
        {"upstream_dependencies": {"services": "ai"}},
        {"upstream_dependencies": []},
        {"status": 7},
        {"available": "yes"},
        "jinja2",
        None,
    ],
)
def test_generator_of_another_shape_is_refused(generator: object) -> None:
    with pytest.raises(UnusableError):
        generators_in(orjson.dumps({"generators": {"a": generator}}))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'"a"', b"[" * 100_000, b'{"generators":{"a\xff":{}}}', b"\xff"]
)
def test_bytes_that_are_no_document_are_refused(body: bytes) -> None:
    with pytest.raises(UnusableError, match="no document of generators"):
        generators_in(body)


def test_document_in_the_guides_shape_is_read() -> None:
    body = orjson.dumps(
        {
            "generators": {
                "jinja2": {"type": "jinja2", "status": "stable", "source": "builtin"},
                "code_generation": {
                    "upstream_dependencies": {
                        "services": ["anthropic"],
                        "credentials_required": ["ANTHROPIC_API_KEY"],
                        "expected_latency_ms": {"p50": 1500, "p95": 5000},
                        "stability": "stable",
                        "concurrency_safe": True,
                    }
                },
            }
        }
    )

    found = generators_in(body)

    assert found["jinja2"].upstream_dependencies is None
    dependencies = found["code_generation"].upstream_dependencies
    assert dependencies is not None
    assert dependencies.expected_latency_ms is not None
    assert dependencies.expected_latency_ms.p95 == 5000

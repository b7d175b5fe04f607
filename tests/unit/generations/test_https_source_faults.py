"""Facts about a registry at a URL whose server, network or certificate is at fault."""

import asyncio
import os
import socket
from pathlib import Path
from typing import Final

import pytest

from proxy.generations import https_source, remote
from proxy.generations.https_source import HttpsSource
from proxy.generations.source import AwayError
from tests.support.descriptors import open_descriptors
from tests.support.https_reading import NEVER_S, PATH, read, tag_of
from tests.support.messages import ok
from tests.support.origin import Script
from tests.support.registry_host import RegistryHost
from tests.support.scripts import answers, sends_and_resets
from tests.support.starters import StartOrigin

SECRETS: Final = ("bobby", "p%40ss", "p@ss", "t0ken")


def head(*fields: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join((b"HTTP/1.1 " + status, *fields, b"", b""))


def packed(coding: bytes) -> bytes:
    return ok(b"x", b"Content-Encoding: " + coding)


MIB: Final = 1024**2
FAULTS: Final = {
    "elsewhere": (
        answers(head(b"Location: https://a.example/", b"Content-Length: 0", status=b"302 Found")),
        "the server sends us elsewhere (302): the URL must be the last address",
    ),
    "not-modified-unasked": (
        answers(head(status=b"304 Not Modified")),
        "the server sends us elsewhere (304): the URL must be the last address",
    ),
    "missing": (
        answers(head(b"Content-Length: 0", status=b"404 Not Found")),
        "the server answered 404",
    ),
    "broken": (answers(head(b"Content-Length: 0", status=b"500 No")), "the server answered 500"),
    "gzip": (answers(packed(b"gzip")), "the server sends it in a coding that was not asked for"),
    "unknown-coding": (
        answers(packed(b"p@ss")),
        "the server sends it in a coding that was not asked for",
    ),
    "announced-too-large": (
        answers(head(b"Content-Length: %d" % (64 * MIB + 1))),
        "larger than 64 MiB",
    ),
    "until-the-end-of-the-connection": (
        answers(head() + b"servers: []", close=True),
        "the server does not say where its answer ends",
    ),
    "cut-short": (
        sends_and_resets(head(b"Content-Length: 100") + b"servers: []"),
        "the answer broke off",
    ),
    "garbage": (answers(b"p@ss p@ss\r\n\r\n", close=True), "the answer is no HTTP"),
    "bad-chunk": (
        answers(head(b"Transfer-Encoding: chunked") + b"p@ss\r\n"),
        "the answer is no HTTP",
    ),
    "endless-head": (answers(head(b"A: " + b"x" * 100_000)), "the answer is no HTTP"),
    "silence": (answers(b"", close=True), "the connection was lost"),
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_of_the_server_is_told_in_one_sentence(
    host: RegistryHost, source: HttpsSource, fault: Script, reason: str
) -> None:
    host.fault = fault

    with pytest.raises(AwayError) as away:
        await read(source)

    assert str(away.value) == f"cannot read {source.name}: {reason}"
    assert away.value.__suppress_context__


async def test_a_document_is_refused_when_it_grows_too_large(
    host: RegistryHost, source: HttpsSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "MAX_BYTES", MIB)
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    host.fault = answers(head(b"Transfer-Encoding: chunked") + 17 * chunk)

    with pytest.raises(AwayError, match=r"larger than 1 MiB$"):
        await read(source)


async def test_a_document_that_drips_is_given_up(
    host: RegistryHost, source: HttpsSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_WITHIN_S", 0.5)
    host.fault = answers(head(b"Content-Length: 100") + b"s")

    with pytest.raises(AwayError, match=r"not there in 0\.5 s$"):
        await read(source)


async def test_a_server_that_falls_silent_is_given_up(
    host: RegistryHost, source: HttpsSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(https_source, "SILENT_FOR_S", 0.2)
    host.fault = answers(head(b"Content-Length: 100") + b"s")

    with pytest.raises(AwayError, match=r"no answer in time$"):
        await read(source)


async def test_a_signature_that_cannot_be_had_does_not_pass_for_none(
    host: RegistryHost, source: HttpsSource
) -> None:
    host.documents[PATH + ".sig"] = b"signed"
    known = await tag_of(source)
    host.fault = answers(head(b"Content-Length: 0", status=b"403 Forbidden"))

    with pytest.raises(AwayError, match=r"the server answered 403$"):
        await read(source, known)


async def test_a_server_that_is_away_and_back_is_read_again(
    host: RegistryHost, source: HttpsSource
) -> None:
    known = await tag_of(source)
    await host.stop()

    with pytest.raises(AwayError, match="no connection: "):
        await read(source, known)
    await host.start()

    assert await read(source, known) is None


async def test_a_certificate_of_nobody_that_we_know_is_refused_until_we_do(
    host: RegistryHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = HttpsSource(host.url + PATH, NEVER_S)
    trusted = os.environ["SSL_CERT_FILE"]
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))

    with pytest.raises(AwayError, match=r"its certificate is not trusted: .*issuer"):
        await read(source)
    monkeypatch.setenv("SSL_CERT_FILE", trusted)

    assert await read(source) is not None


async def test_a_certificate_for_another_host_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RegistryHost("registry.example") as host:
        monkeypatch.setenv("SSL_CERT_FILE", str(host.authorities(tmp_path)))

        with pytest.raises(AwayError, match="its certificate is not trusted: IP address mismatch"):
            await read(HttpsSource(host.url + PATH, NEVER_S))


async def test_a_server_without_tls_is_read_by_http_alone(start_origin: StartOrigin) -> None:
    origin = start_origin(answers(ok(b"servers: []")))

    assert await read(HttpsSource(origin.url, NEVER_S)) is not None


async def test_an_answer_without_tls_is_none() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok(b"servers: []"))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(AwayError, match="it does not speak TLS as we do"):
            await read(HttpsSource(f"https://127.0.0.1:{port}/", NEVER_S))


async def test_a_name_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "p@ss")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(AwayError, match=r"its name is not known$"):
        await read(HttpsSource("https://registry.example/", NEVER_S))


async def test_no_descriptor_stays_open(host: RegistryHost, source: HttpsSource) -> None:
    await read(source)
    held = open_descriptors()

    for _ in range(25):
        await read(source)
        host.fault = answers(head(b"Content-Length: 100") + b"s", close=True)
        with pytest.raises(AwayError):
            await read(source)
        host.fault = None
    await host.stop()

    assert open_descriptors() < held  # without the server's own

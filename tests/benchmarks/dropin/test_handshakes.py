import asyncio
import ssl
from pathlib import Path

import pytest

from benchmarks.dropin.handshakes import CALLERS, shake_hands
from benchmarks.peers import certificate

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
BAD = GOOD.replace(b"200 OK", b"503 No")


def test_a_certificate_fits_its_key_and_each_is_another(tmp_path: Path) -> None:
    first, second = certificate.make(), certificate.make()
    files = certificate.write(tmp_path, *first)

    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(files.both)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(files.chain, files.key)
    assert first != second


def test_all_peers_of_a_run_show_the_same_certificate(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for each in folders:
        each.mkdir()

    first, second = (certificate.put_into(each).both.read_bytes() for each in folders)

    assert first == second


@pytest.mark.sockets
@pytest.mark.parametrize(("answer", "all_fail"), [(GOOD, False), (BAD, True)], ids=["good", "bad"])
async def test_each_connection_is_a_full_handshake_and_a_call(
    tmp_path: Path, answer: bytes, *, all_fail: bool
) -> None:
    resumed: list[bool] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        resumed.append(writer.get_extra_info("ssl_object").session_reused)
        writer.write(answer)
        writer.close()

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate.put_into(tmp_path).both)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    shaken = await asyncio.to_thread(shake_hands, port, 0.1)
    server.close()

    assert shaken.connections == len(resumed) >= CALLERS
    assert shaken.failed == (shaken.connections if all_fail else 0)
    assert not any(resumed)

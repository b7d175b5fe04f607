"""Upstreams other than plain TCP: TLS and Unix sockets."""

import contextlib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.support.loop_thread import LoopThread
from tests.support.messages import get, post
from tests.support.origin import Origin, Script
from tests.support.problems import problem_of
from tests.support.scripts import echo
from tests.support.sidecar import server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

StartTls = Callable[[ssl.SSLContext], Origin]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, str]:
    """A certificate authority, and the file that says to trust it."""
    made = trustme.CA()
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    made.cert_pem.write_to_path(str(path))
    return made, str(path)


@pytest.fixture
def well(start_origin: StartOrigin) -> str:
    """A health address elsewhere, so that a server that cannot be called counts as healthy."""
    return f"{start_origin().url}/health"


@pytest.fixture
def start_tls(loop_thread: LoopThread) -> Iterator[StartTls]:
    with contextlib.ExitStack() as stack:

        def start(context: ssl.SSLContext) -> Origin:
            origin = Origin(echo)
            loop_thread.run(origin.start(tls=context))
            stack.callback(lambda: loop_thread.run(origin.stop()))
            return origin

        yield start


def as_server(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def test_tls_upstream_with_a_trusted_certificate_is_called(
    authority: tuple[trustme.CA, str], start_tls: StartTls, start_sidecar: StartSidecar
) -> None:
    made, path = authority
    origin = start_tls(as_server(made, "127.0.0.1"))
    url = f"https://127.0.0.1:{origin.port}"
    sidecar = start_sidecar(server("o", url, tls={"ca": path}))

    answers = [sidecar.ask(post("/tools/o.call", body=b"x" * 100_000)) for _ in range(3)]

    assert [answer.json()["body_bytes"] for answer in answers] == [100_000] * 3
    assert len({call.connection for call in origin.calls}) == 1
    assert eventually(lambda: b'"healthy"' in sidecar.get("/tools").body)


def test_tls_upstream_is_checked_by_server_name(
    authority: tuple[trustme.CA, str], start_tls: StartTls, start_sidecar: StartSidecar
) -> None:
    made, path = authority
    origin = start_tls(as_server(made, "tools.example"))
    tls = {"ca": path, "server_name": "tools.example"}
    sidecar = start_sidecar(server("o", f"https://127.0.0.1:{origin.port}", tls=tls))

    assert sidecar.ask(post("/tools/o.call")).status == 200


@pytest.mark.parametrize("fault", ["unknown-authority", "other-name"])
def test_tls_upstream_that_cannot_be_trusted_is_not_told_anything(
    authority: tuple[trustme.CA, str],
    start_tls: StartTls,
    start_sidecar: StartSidecar,
    well: str,
    *,
    fault: str,
) -> None:
    made, path = authority
    issuer = trustme.CA() if fault == "unknown-authority" else made
    name = "127.0.0.1" if fault == "unknown-authority" else "other.example"
    origin = start_tls(as_server(issuer, name))
    url = f"https://127.0.0.1:{origin.port}"
    sidecar = start_sidecar(server("o", url, tls={"ca": path}, health_url=well))

    answer = sidecar.ask(post("/tools/o.call"))

    found = (answer.status, problem_of(answer)["code"], origin.calls)
    assert found == (502, "connect_failed", [])


def test_tls_upstream_may_ask_for_our_certificate(
    authority: tuple[trustme.CA, str],
    start_tls: StartTls,
    start_sidecar: StartSidecar,
    tmp_path: Path,
) -> None:
    made, path = authority
    context = as_server(made, "127.0.0.1")
    made.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    ours = made.issue_cert("toolproxy.example")
    ours.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    ours.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    tls = {"ca": path, "cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    origin = start_tls(context)
    sidecar = start_sidecar(server("o", f"https://127.0.0.1:{origin.port}", tls=tls))

    assert sidecar.ask(post("/tools/o.call")).status == 200


def test_plain_upstream_behind_an_https_address_is_not_called(
    start_origin: StartOrigin, start_sidecar: StartSidecar, well: str
) -> None:
    origin = start_origin()
    url = f"https://127.0.0.1:{origin.port}"
    sidecar = start_sidecar(server("o", url, health_url=well))

    answer = sidecar.ask(post("/tools/o.call"))

    assert (answer.status in {502, 504}, origin.calls) == (True, [])


@pytest.fixture
def on_path(loop_thread: LoopThread, tmp_path: Path) -> Iterator[tuple[Origin, str]]:
    """An upstream on a Unix socket, and the socket's path."""
    script: Script = echo
    origin = Origin(script)
    loop_thread.run(origin.start_on_path(tmp_path / "o.sock"))
    yield origin, str(tmp_path / "o.sock")
    loop_thread.run(origin.stop())


def test_unix_socket_is_called(on_path: tuple[Origin, str], start_sidecar: StartSidecar) -> None:
    origin, path = on_path
    sidecar = start_sidecar(server("o", f"unix:{path}", passthrough=True))

    statuses = [sidecar.ask(post("/tools/o.call")).status, sidecar.ask(get("/servers/o/a")).status]

    assert (statuses, [call.target for call in origin.calls]) == (
        [200] * 2,
        [b"/tools/call", b"/a"],
    )
    assert len({call.connection for call in origin.calls}) == 1


def test_unix_socket_may_have_a_base_path(
    on_path: tuple[Origin, str], start_sidecar: StartSidecar
) -> None:
    origin, path = on_path
    sidecar = start_sidecar(server("o", f"unix:{path}:/base"))

    sidecar.ask(post("/tools/o.call"))

    assert origin.calls[0].target == b"/base/tools/call"


def test_unix_socket_is_probed(on_path: tuple[Origin, str], start_sidecar: StartSidecar) -> None:
    origin, path = on_path

    sidecar = start_sidecar(server("o", f"unix:{path}"))

    assert eventually(lambda: b'"healthy"' in sidecar.get("/tools").body)
    assert origin.probes > 0


def test_unix_socket_that_is_not_there_is_a_502(
    start_sidecar: StartSidecar, tmp_path: Path, well: str
) -> None:
    sidecar = start_sidecar(server("o", f"unix:{tmp_path}/absent", health_url=well))
    assert eventually(lambda: b'"healthy"' in sidecar.get("/tools").body)

    answer = sidecar.ask(post("/tools/o.call"))

    assert (answer.status, problem_of(answer)["code"]) == (502, "connect_failed")

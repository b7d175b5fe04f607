"""Who gets through a handshake, with what, and what is said of those who do not?"""

import ssl
import subprocess
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.caller import Caller, NoAnswerError
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, post
from tests.support.near_callers import TlsCaller
from tests.support.pki import LONG_AGO, Authority
from tests.support.tls_scene import TlsScene, tls_scene
from tests.support.waiting import eventually

OLD: Final = ("-tls1", "-tls1_1")
# Without forward secrecy, without authentication of what is encrypted, or without either.
WEAK: Final = ("AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "NULL")


@pytest.fixture(scope="module")
def scene(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsScene]:
    with tls_scene(loop_thread, tmp_path_factory.mktemp("tls")) as scene:
        yield scene


def openssl(port: int, *options: str) -> str:
    """What `openssl s_client` says of a handshake."""
    done = subprocess.run(  # noqa: S603 - a constant command
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options],  # noqa: S607 - by PATH
        input="",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.stdout + done.stderr


def alive(caller: TlsCaller) -> bool:
    caller.send(get("/livez"))
    return caller.answer("GET").status == 200


# --- versions and ciphers ---


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_in_use_are_spoken(scene: TlsScene, version: ssl.TLSVersion) -> None:
    context = scene.ours.trusting()
    context.minimum_version = context.maximum_version = version

    with TlsCaller(scene.ports["open"], context) as caller:
        assert alive(caller)
        assert caller.secured.version() == version.name.replace("_", ".").replace("TLSv1", "TLSv1")


@pytest.mark.parametrize("version", OLD)
def test_old_versions_are_refused(scene: TlsScene, version: str) -> None:
    said = openssl(scene.ports["open"], version, "-cipher", "ALL:@SECLEVEL=0")

    assert "alert protocol version" in said
    assert eventually(lambda: scene.sidecar.said("tls: 127.0.0.1: a version of TLS was offered"))


def test_version_below_the_least_of_the_listener_is_refused(scene: TlsScene) -> None:
    assert "alert protocol version" in openssl(scene.ports["modern"], "-tls1_2")
    assert "TLSv1.3" in openssl(scene.ports["modern"])


@pytest.mark.parametrize("cipher", WEAK)
def test_weak_ciphers_are_refused(scene: TlsScene, cipher: str) -> None:
    said = openssl(scene.ports["open"], "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")

    assert "handshake failure" in said
    assert eventually(lambda: scene.sidecar.said("tls: 127.0.0.1: no cipher was offered"))


def test_application_protocol_is_http_1_1(scene: TlsScene) -> None:
    context = scene.ours.trusting()
    context.set_alpn_protocols(["h2", "http/1.1"])

    with TlsCaller(scene.ports["open"], context) as caller:
        assert caller.secured.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_are_resumed(scene: TlsScene, version: str) -> None:
    kept = str(scene.folder / f"session{version}")
    request = "printf 'GET /livez HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n'"
    command = f"{request} | openssl s_client -ign_eof -connect 127.0.0.1:{scene.ports['open']}"

    first, again = (
        subprocess.run(  # noqa: S602 - a constant command, and a pipe
            f"{command} {version} {way} {kept}",
            shell=True,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        ).stdout
        for way in ("-sess_out", "-sess_in")
    )

    assert ("New, TLS" in first, "Reused, TLS" in again) == (True, True)


# --- names ---


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("a.example", "first"),
        ("b.example", "second"),
        ("B.Example", "second"),
        ("x.c.example", "second"),
        ("c.example", "first"),
        ("y.x.c.example", "first"),
        ("unknown.example", "first"),
        (None, "first"),
    ],
)
def test_name_asked_for_chooses_the_certificate(
    scene: TlsScene, asked: str | None, shown: str
) -> None:
    context = scene.ours.trusting()
    context.check_hostname = False

    with TlsCaller(scene.ports["open"], context, name=asked) as caller:
        certificate = caller.secured.getpeercert(binary_form=True)
        assert alive(caller)

    assert certificate == leaf(scene, shown)


def leaf(scene: TlsScene, file: str) -> bytes:
    pem, end = (scene.folder / f"{file}.pem").read_text(), "-----END CERTIFICATE-----\n"
    return ssl.PEM_cert_to_DER_cert(pem.partition(end)[0] + end)


# --- client certificates ---


@pytest.mark.parametrize("listener", ["required", "optional"])
def test_certificate_of_the_authority_lets_in(scene: TlsScene, listener: str) -> None:
    context = with_trust(scene, scene.theirs, common_name="ann")

    with TlsCaller(scene.ports[listener], context) as caller:
        assert alive(caller)


def test_none_is_as_good_where_it_is_optional(scene: TlsScene) -> None:
    with TlsCaller(scene.ports["optional"], scene.ours.trusting()) as caller:
        assert alive(caller)


@pytest.mark.parametrize("listener", ["required", "optional"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("expired", "tls: 127.0.0.1: client certificate has expired"),
        ("foreign", "tls: 127.0.0.1: client certificate is of an authority that client_ca leaves"),
    ],
)
def test_certificate_that_is_not_good_is_refused(
    scene: TlsScene, listener: str, version: ssl.TLSVersion, fault: str, said: str
) -> None:
    if fault == "expired":
        context = with_trust(scene, scene.theirs, common_name="ann", expired=True)
    else:
        context = with_trust(scene, Authority(scene.folder, "strangers"), common_name="ann")
    context.minimum_version = context.maximum_version = version

    assert is_refused(scene.ports[listener], context)
    assert eventually(lambda: scene.sidecar.said(said))


def test_no_certificate_where_one_is_required_is_refused(scene: TlsScene) -> None:
    assert is_refused(scene.ports["required"], scene.ours.trusting())
    assert eventually(lambda: scene.sidecar.said("tls: 127.0.0.1: no client certificate was sent"))


def with_trust(
    scene: TlsScene, authority: Authority, *, common_name: str, expired: bool = False
) -> ssl.SSLContext:
    """A caller with a certificate of this authority, who trusts the sidecar's."""
    ends_at = LONG_AGO if expired else None
    context = authority.showing("c.example", common_name=common_name, ends_at=ends_at)
    context.load_verify_locations(str(scene.ours.path))
    return context


def is_refused(port: int, context: ssl.SSLContext) -> bool:
    """In TLS 1.3 a caller learns of it with the first answer that it waits for."""
    try:
        with TlsCaller(port, context) as caller:
            caller.send_as_far_as_it_goes(post("/tools/o.call"))
            caller.answer()
    except (ssl.SSLError, ConnectionError, NoAnswerError):
        return True
    return False


# --- what is no handshake ---


def test_plain_http_is_told_so(scene: TlsScene) -> None:
    with Caller(scene.ports["open"]) as caller:
        caller.send(post("/tools/o.call"))
        answer = caller.answer()

    assert (answer.status, answer.closes) == (400, True)
    assert b"https" in answer.body


def test_anything_else_is_cut(scene: TlsScene) -> None:
    with Caller(scene.ports["open"]) as caller:
        caller.send_as_far_as_it_goes(b"\x00\x01\x02")
        assert caller.rest() == b""
    assert eventually(lambda: scene.sidecar.said("tls: 127.0.0.1: what was sent is not TLS"))


@pytest.mark.parametrize("begun", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_handshake_that_does_not_go_on_is_cut(scene: TlsScene, begun: bytes) -> None:
    with Caller(scene.ports["open"]) as caller:
        caller.send(begun)
        assert caller.rest() == b""
    assert eventually(lambda: scene.sidecar.said("tls: 127.0.0.1: the handshake was not complete"))


def test_who_leaves_in_the_middle_is_not_talked_about(scene: TlsScene) -> None:
    before = scene.sidecar.stderr
    for begun in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"):
        with Caller(scene.ports["open"]) as caller:
            caller.send(begun)
    with Caller(scene.ports["open"]) as caller:
        caller.send(b"\x16\x03\x01")
        caller.reset()

    with TlsCaller(scene.ports["open"], scene.ours.trusting()) as caller:
        assert alive(caller)  # and so those before it are over
    assert "handshake failed" not in scene.sidecar.stderr.removeprefix(before)

"""Whom does a load balancer bring, and who is believed to be one?"""

import socket
import struct
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.admission_scene import shared_scene
from tests.support.caller import Caller
from tests.support.loop_thread import LoopThread
from tests.support.messages import post
from tests.support.near_callers import TlsCaller, UnixCaller
from tests.support.origin import Origin
from tests.support.pki import Authority
from tests.support.sidecar import Sidecar
from tests.support.tls_scene import ANY_PORT, OTHERS
from tests.support.waiting import eventually

CALL: Final = post("/tools/o.call")
LINE: Final = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n"
BINARY: Final = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11"
    + struct.pack("!H", 17)
    + socket.inet_aton("192.0.2.7")
    + socket.inet_aton("192.0.2.1")
    + struct.pack("!HH", 4711, 443)
    + b"\x04\x00\x02ab"
)
LOCAL: Final = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"


class Scene:
    """A sidecar that trusts 127.0.0.1, in plain, with TLS, and by a Unix socket; not 127.0.0.2."""

    def __init__(self, origin: Origin, sidecar: Sidecar, authority: Authority) -> None:
        self.origin, self.sidecar, self.authority = origin, sidecar, authority
        self.plain, self.tls = map(int, OTHERS.findall(sidecar.stderr))
        self.path = sidecar.directory / "p.sock"

    def address(self, caller: Caller, octets: bytes) -> list[str]:
        """Who calls, for the upstream."""
        caller.send(octets)
        assert caller.answer().status == 200
        return self.origin.calls[-1].values("x-forwarded-for")

    def cuts(self, octets: bytes) -> bool:
        with Caller(self.plain) as caller:
            caller.send_as_far_as_it_goes(octets)
            return caller.rest() == b""


@pytest.fixture(scope="module")
def scene(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("proxied")
    authority = Authority(folder)
    tls = authority.server("one", "127.0.0.1")
    settings = {
        "listen": [
            ANY_PORT,
            {"address": ANY_PORT, "proxy_protocol": True},
            {"address": ANY_PORT, "proxy_protocol": True, "tls": tls},
            {"address": f"unix:{folder}/p.sock", "proxy_protocol": True},
        ],
        "trusted_proxies": ["127.0.0.1/32"],
        "limits": {"head_timeout": 1},
    }
    with shared_scene(loop_thread, folder, settings) as (origin, sidecar):
        yield Scene(origin, sidecar, authority)


@pytest.mark.parametrize("header", [LINE, BINARY])
def test_caller_is_whom_the_header_names(scene: Scene, header: bytes) -> None:
    with Caller(scene.plain) as caller:
        assert scene.address(caller, header + CALL) == ["192.0.2.7"]
        assert scene.address(caller, CALL) == ["192.0.2.7"]


@pytest.mark.parametrize("header", [LINE, BINARY])
def test_header_may_come_in_pieces(scene: Scene, header: bytes) -> None:
    with Caller(scene.plain) as caller:
        for piece in (header[:1], header[1:14], header[14:]):
            caller.send(piece)
            caller.wait_until_read()
        assert scene.address(caller, CALL) == ["192.0.2.7"]


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n"])
def test_who_brings_nobody_is_the_caller(scene: Scene, header: bytes) -> None:
    with Caller(scene.plain) as caller:
        assert scene.address(caller, header + CALL) == ["127.0.0.1"]


def test_what_a_brought_caller_says_of_others_is_not_believed(scene: Scene) -> None:
    with Caller(scene.plain) as caller:
        forged = post("/tools/o.call", b"X-Forwarded-For: 198.51.100.1")
        assert scene.address(caller, LINE + forged) == ["192.0.2.7"]


@pytest.mark.parametrize("header", [LINE, BINARY])
def test_header_comes_before_the_handshake(scene: Scene, header: bytes) -> None:
    context = scene.authority.trusting()
    with TlsCaller(scene.tls, context, before=header) as caller:
        assert scene.address(caller, CALL) == ["192.0.2.7"]
    assert scene.origin.calls[-1].values("x-forwarded-proto") == ["https"]


def test_peers_by_a_socket_in_the_file_system_are_believed(scene: Scene) -> None:
    with UnixCaller(scene.path) as caller:
        assert scene.address(caller, LINE + CALL) == ["192.0.2.7"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (CALL, "it does not begin with a header"),
        (b"\x16\x03\x01\x00\x05", "it does not begin with a header"),
        (b"PROXY TCP4 x\r\n", "its line is malformed"),
        (BINARY[:14] + b"\xff\xff" + CALL, "it is longer than"),
        (b"", "no whole header came in time"),
        (LINE[:20], "no whole header came in time"),
    ],
)
def test_connection_without_a_good_header_is_cut(scene: Scene, sent: bytes, said: str) -> None:
    assert scene.cuts(sent)
    assert eventually(lambda: scene.sidecar.said(f"proxy_protocol: 127.0.0.1: {said}"))


def test_header_of_somebody_else_is_not_believed(scene: Scene) -> None:
    with socket.create_connection(("127.0.0.1", scene.plain), 10, ("127.0.0.2", 0)) as stranger:
        stranger.sendall(LINE + CALL)
        try:
            came = stranger.recv(100)
        except ConnectionResetError:
            came = b""

    assert came == b""
    assert eventually(
        lambda: scene.sidecar.said("proxy_protocol: 127.0.0.2: it may not say whom it brings")
    )


def test_listener_without_it_takes_it_for_an_unknown_method(scene: Scene) -> None:
    with scene.sidecar.caller() as caller:
        caller.send_as_far_as_it_goes(LINE + CALL)
        assert caller.answer().status == 501

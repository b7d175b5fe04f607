"""Where may callers come in, and what becomes of the sockets, before and after?"""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.admission_scene import shared_scene
from tests.support.caller import Caller
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, post
from tests.support.near_callers import UnixCaller
from tests.support.origin import Origin
from tests.support.pki import Authority
from tests.support.sidecar import ROOT, Sidecar, environment, registry, run_command, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.tls_scene import ANY_PORT

OPERATORS: Final = re.compile(r"operators on http://127\.0\.0\.1:(\d+)")
# Puts the listening sockets where sd_listen_fds(3) has them, as systemd does, and becomes the rest.
BECOMES: Final = """\
import os, sys
handles = [int(each) for each in sys.argv[1].split(",")]
for at, handle in enumerate(handles):
    os.dup2(handle, 3 + at, inheritable=True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(handles))}
os.execv(sys.executable, [sys.executable, "-m", "proxy", *sys.argv[2:]])
"""


@pytest.fixture(scope="module")
def scene(
    loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Origin, Sidecar]]:
    folder = tmp_path_factory.mktemp("listeners")
    left_behind(folder / "a.sock")
    listen = [
        ANY_PORT,
        f"unix:{folder}/a.sock",
        {"address": ANY_PORT, "serves": "admin"},
    ]
    with shared_scene(loop_thread, folder, {"listen": listen}) as scene:
        yield scene


def left_behind(path: Path) -> None:
    """The file of a socket whose process is dead."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))


def refused(tmp_path: Path, *listen: object) -> str:
    """What is said by a sidecar that does not start, which it ends with status 2."""
    (tmp_path / "registry.yaml").write_text(registry(server("o", "http://127.0.0.1:1")))
    (tmp_path / "proxy.yaml").write_text(
        f"listen: {list(listen)!r}\nregistry: {{path: {tmp_path}/registry.yaml, store: ''}}\n"
    )
    done = run_command("run", "-c", str(tmp_path / "proxy.yaml"))
    assert done.returncode == 2, done.stderr
    return done.stderr


# --- sockets in the file system ---


def test_socket_of_a_dead_process_is_replaced_and_served(scene: tuple[Origin, Sidecar]) -> None:
    origin, sidecar = scene
    with UnixCaller(sidecar.directory / "a.sock") as caller:
        for _ in range(2):
            caller.send(post("/tools/o.call"))
            assert caller.answer().status == 200

    assert origin.calls[-1].values("x-forwarded-for") == ["unix:"]


def test_socket_is_there_for_those_whom_the_umask_leaves(scene: tuple[Origin, Sidecar]) -> None:
    mode = (scene[1].directory / "a.sock").stat().st_mode
    mask = os.umask(0)
    os.umask(mask)

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o777 & ~mask


def test_socket_of_a_living_process_is_left_alone(
    scene: tuple[Origin, Sidecar], tmp_path: Path
) -> None:
    path = scene[1].directory / "a.sock"

    said = refused(tmp_path, ANY_PORT, f"unix:{path}")

    assert f"listen[1]: unix:{path} can't be had: address already in use" in said
    with UnixCaller(path) as caller:
        caller.send(get("/livez"))
        assert caller.answer("GET").status == 200


def test_socket_goes_with_its_process(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    mine, others = tmp_path / "mine.sock", tmp_path / "others.sock"
    listen = [ANY_PORT, f"unix:{mine}", f"unix:{others}"]
    sidecar = start_sidecar(server("o", "http://127.0.0.1:1"), settings={"listen": listen})
    others.unlink()
    left_behind(others)  # somebody else's by now

    sidecar.signal(signal.SIGTERM)

    assert sidecar.exit_status() == 0
    assert (mine.exists(), others.exists()) == (False, True)


# --- operators ---


def test_listener_in_the_list_is_the_operators(scene: tuple[Origin, Sidecar]) -> None:
    _, sidecar = scene
    (port,) = map(int, OPERATORS.findall(sidecar.stderr))
    with Caller(port) as operator:
        operator.send(get("/metrics").replace(b"Host: a", b"Host: localhost"))
        assert operator.answer("GET").status == 200

    assert sidecar.get("/metrics").status == 404


# --- what is passed on ---


def test_sockets_that_are_passed_on_are_served(start_origin: StartOrigin, tmp_path: Path) -> None:
    path = tmp_path / "passed.sock"
    tcp, stray = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(path))
    unix.listen()
    port = tcp.getsockname()[1]
    (tmp_path / "registry.yaml").write_text(registry(server("o", start_origin().url)))
    (tmp_path / "proxy.yaml").write_text(
        f"listen: ['127.0.0.1:{port}', 'unix:{path}']\n"
        f"registry: {{path: {tmp_path}/registry.yaml, store: ''}}\n"
    )
    handles = [each.fileno() for each in (stray, tcp, unix)]
    numbers = ",".join(map(str, handles))
    with tcp, stray, unix, Caller(port) as early:  # it waits in the queue of the socket
        early.send(post("/tools/o.call"))
        process = subprocess.Popen(  # noqa: S603 - our own command, built of constants
            [sys.executable, "-c", BECOMES, numbers, "run", "-c", str(tmp_path / "proxy.yaml")],
            cwd=ROOT,
            env=environment({}),
            pass_fds=handles,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert early.answer().status == 200
            with UnixCaller(path) as caller:
                caller.send(post("/tools/o.call"))
                assert caller.answer().status == 200
        finally:
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=40)

    assert process.returncode == 0, said
    assert "A socket that was passed on is closed: no listener is 127.0.0.1:" in said
    assert path.exists()  # it is whose it was


# --- certificates that can't be used ---


def test_certificate_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    one, two = authority.server("one", "a.example"), authority.server("two", "b.example")

    said = refused(tmp_path, {"address": ANY_PORT, "tls": {**one, "key": two["key"]}})

    assert (
        f"toolproxy: listen.tls.key: {two['key']} does not fit the certificate {one['cert']}"
        in said
    )
    assert "Traceback" not in said

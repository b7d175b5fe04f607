"""Facts about sockets of listeners: opened, taken over, refused, let go."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from proxy.config.listeners import Listener, Tcp, Tls, Unix
from proxy.listening.sockets import CannotListenError, Opened, _listening, open_all

LOCAL = Tcp("127.0.0.1", 0)


@contextmanager
def opened(
    *addresses: Tcp | Unix, environ: Mapping[str, str] | None = None
) -> Iterator[list[Opened]]:
    listeners = [(f"listen[{at}]", Listener(address=it)) for at, it in enumerate(addresses)]
    found = open_all(listeners, environ or {})
    try:
        yield found
    finally:
        for each in found:
            each.close()


def said(*addresses: Tcp | Unix) -> str:
    with pytest.raises(CannotListenError) as caught, opened(*addresses):
        pass
    return str(caught.value)


def answers(address: tuple[str, int] | str) -> bool:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as caller:
        return caller.connect_ex(address) == 0


def test_sockets_are_open_before_anybody_serves_them(tmp_path: Path) -> None:
    path = str(tmp_path / "a.sock")
    with opened(LOCAL, Unix(path)) as (tcp, unix):
        assert answers(("127.0.0.1", tcp.port))
        assert answers(path)
        assert (tcp.url, unix.url) == (f"http://127.0.0.1:{tcp.port}", f"unix:{path}")
        assert (unix.port, os.get_blocking(tcp.sockets[0].fileno())) == (0, False)


def test_place_says_how_it_is_reached() -> None:
    tls = Tls(cert="c", key="k")
    (six,) = open_all([("listen", Listener(address=Tcp("::1", 0), tls=tls))], {})

    assert six.url == f"https://[::1]:{six.port}"
    six.close()


def test_name_that_stands_for_several_addresses_has_all_of_them() -> None:
    with opened(Tcp("localhost", 0)) as (both,):
        bound = {each.getsockname()[0] for each in both.sockets}

    assert "127.0.0.1" in bound
    assert bound <= {"127.0.0.1", "::1"}


def test_address_that_can_not_be_had_is_named(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text("mine")
    with opened(LOCAL) as (taken,):
        port = taken.port

        assert said(Tcp("127.0.0.1", port)) == (
            f"listen[0]: 127.0.0.1:{port} can't be had: address already in use"
        )
    assert said(LOCAL, Unix(str(file))) == f"listen[1]: unix:{file} can't be had: file exists"
    assert said(Unix("/nowhere/a")) == (
        "listen[0]: unix:/nowhere/a can't be had: no such file or directory"
    )
    assert said(Tcp("no.such.host.invalid", 1)).startswith(
        "listen[0]: no.such.host.invalid:1 can't"
    )
    assert file.read_text() == "mine"


def test_what_was_opened_before_a_fault_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"

    said(Unix(str(path)), Unix("/nowhere/a"))

    assert not path.exists()


def test_living_socket_is_left_alone_and_a_dead_one_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "a.sock")
    with opened(Unix(path)):
        assert said(Unix(path)).endswith("address already in use")
        assert answers(path)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(path)
    dead.close()
    with opened(Unix(path)):
        assert answers(path)


def test_file_goes_unless_it_was_handed_over_or_is_somebody_elses(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    with opened(*(Unix(str(path)) for path in (one, two, three))) as (_, second, _):
        second.hand_over()
        three.unlink()
        three.write_text("mine")

    assert (one.exists(), two.exists(), three.exists()) == (False, True, True)


# --- what is passed on ---


def passed(count: object, pid: object = None) -> dict[str, str]:
    return {"LISTEN_FDS": str(count), "LISTEN_PID": str(os.getpid() if pid is None else pid)}


def test_what_does_not_listen_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    with closing(socket.socket()) as idle, closing(socket.create_server(("", 0))) as ready:
        assert _listening(os.dup(idle.fileno())) is None
        taken = _listening(os.dup(ready.fileno()))

    assert taken is not None
    taken.close()
    assert "it does not listen" in caplog.text


@pytest.mark.parametrize(
    "environ",
    [{}, passed(1, pid=1), passed("x"), passed(-1), {"LISTEN_FDS": "1"}, passed(0)],
)
def test_what_is_not_meant_for_us_is_left_alone(environ: dict[str, str]) -> None:
    before = os.fstat(3) if os.path.exists("/proc/self/fd/3") else None  # noqa: PTH110 - a descriptor
    with opened(LOCAL, environ=environ) as (fresh,):
        assert fresh.port
    assert before is None or os.fstat(3).st_ino == before.st_ino

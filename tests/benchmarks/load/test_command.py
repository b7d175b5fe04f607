"""The command: how it ends, where it writes, and what it says when it can't begin."""

import ssl
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import orjson
import pytest
import trustme

from benchmarks.load import command
from tests.benchmarks.load.running import Done, Load, ended, start_load
from tests.support.loop_thread import LoopThread
from tests.support.messages import message, ok
from tests.support.origin import Origin
from tests.support.ports import refusing_port, silent_port
from tests.support.scripts import answers, in_turn
from tests.support.starters import StartOrigin

pytestmark = pytest.mark.sockets

SHORT = ("-d", "150ms", "-c", "2")
BROKEN = message(b"HTTP/1.1 500 Oh", b"Content-Length: 0")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure_url(loop_thread: LoopThread, authority: trustme.CA) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    origin = Origin(answers(ok()))
    loop_thread.run(origin.start(tls=context))
    yield f"https://localhost:{origin.port}/x"
    loop_thread.run(origin.stop())


def complaint(done: Done) -> str:
    """The one line that a load which could not begin ends with."""
    (line,) = done.complained.splitlines()
    assert (done.status, done.said, done.figures) == (2, "", None), done
    return line


@pytest.mark.parametrize(
    ("gates", "status"),
    [
        pytest.param((), 0, id="none"),
        pytest.param(("--p99", "1m", "--min-rate", "1"), 0, id="met"),
        pytest.param(("--p99", "1m", "--p50", "0"), 1, id="too-slow"),
        pytest.param(("--min-rate", "1000000"), 1, id="too-few"),
        pytest.param(("--errors", "0.0001%"), 1, id="too-many-errors"),
        pytest.param(("--errors", "99%"), 0, id="few-errors-enough"),
    ],
)
def test_missed_gate_is_exit_status_1(
    start_origin: StartOrigin, load: Load, gates: tuple[str, ...], status: int
) -> None:
    origin = start_origin(in_turn(answers(BROKEN), answers(ok())))

    done = load(origin.url, *SHORT, *gates)

    assert (done.status, "MISSED" in done.said) == (status, bool(status)), done
    assert all(gate["met"] for gate in done.figures["gates"]) is not bool(status)


def test_target_that_refuses_is_said_in_one_line(load: Load) -> None:
    with refusing_port() as port:
        done = load(f"http://127.0.0.1:{port}", *SHORT)

    url = f"http://127.0.0.1:{port}"
    assert complaint(done) == f"load: cannot connect to {url}: connection refused"


def test_target_that_never_connects_is_said_in_one_line(load: Load) -> None:
    with silent_port() as port:
        done = load(f"http://127.0.0.1:{port}", *SHORT, "--timeout", "100ms")

    assert complaint(done).endswith(": no answer in time")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("--rate", "fast"), "--rate fast", id="rate"),
        pytest.param(("--png", "absent/x.png"), "absent/x.png: no file", id="no-directory"),
        pytest.param(("--png", "tests"), "tests: no file", id="a-directory"),
        pytest.param(("--unix", "absent"), "cannot connect to absent", id="unix"),
        pytest.param(("--cacert", "README.md"), "--cacert README.md", id="authorities"),
    ],
)
def test_what_can_not_begin_is_said_in_one_line(
    load: Load, arguments: tuple[str, ...], words: str
) -> None:
    done = load("https://127.0.0.1:9/", *arguments)

    assert words in complaint(done)


def test_unknown_flag_ends_with_2(load: Load) -> None:
    done = load("http://127.0.0.1:9/", "--nonsense")

    assert (done.status, "Traceback" in done.complained) == (2, False)


@pytest.mark.parametrize("trust", ["cacert", "insecure"])
def test_https_is_called_with_a_certificate_that_is_trusted(
    load: Load, secure_url: str, authority: trustme.CA, tmp_path: Path, trust: str
) -> None:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    given = ("--cacert", str(path)) if trust == "cacert" else ("--insecure",)

    done = load(secure_url, *SHORT, *given)

    assert (done.status, done.figures["errors"]["total"]) == (0, 0), done
    assert done.figures["calls"] > 2


def test_https_with_a_certificate_that_nobody_vouches_for_is_not_called(
    load: Load, secure_url: str
) -> None:
    done = load(secure_url, *SHORT)

    assert "certificate" in complaint(done)


def test_document_on_standard_output_is_alone_there(
    start_origin: StartOrigin, tmp_path: Path
) -> None:
    origin = start_origin(answers(ok()))

    done = ended(start_load(origin.url, *SHORT, "--json", "-"), tmp_path / "absent")

    assert orjson.loads(done.said)["calls"] == len(origin.calls)
    assert "closed loop, 2 connections" in done.complained


def test_picture_is_written(start_origin: StartOrigin, load: Load, tmp_path: Path) -> None:
    path = tmp_path / "load.png"

    done = load(start_origin(answers(ok())).url, *SHORT, "--png", str(path))

    assert (done.status, done.complained) == (0, "")
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("missing", "arguments", "words"),
    [
        ("hdrh", [], "this needs hdrhistogram: pip install 'toolproxy[bench]'"),
        ("matplotlib", ["--png", "x.png"], "this needs matplotlib: pip install 'toolproxy[bench]'"),
    ],
)
def test_extra_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    missing: str,
    arguments: list[str],
    words: str,
) -> None:
    def found(name: str) -> object:
        return None if name == missing else find_spec(name)

    monkeypatch.setattr(command, "find_spec", found)

    status = command.main(["http://127.0.0.1:9/", *arguments])

    assert (status, capsys.readouterr().err) == (2, f"load: {words}\n")

"""`toolproxy call` in a pipe: what is sent as it was said, what is answered as it came."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import orjson
import pytest

from tests.support import forks
from tests.support.messages import message, ok
from tests.support.origin import Origin
from tests.support.scripts import answers, sends_and_resets
from tests.support.sidecar import ROOT, START_WITHIN_S, Sidecar, environment, server
from tests.support.starters import StartOrigin, StartSidecar

EVERY_OCTET: Final = bytes(range(256)) * 1000


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    return start_sidecar(server("o", origin.url))


def call(
    sidecar: Sidecar, *arguments: str, stdin: bytes = b"", tool: str = "o.call"
) -> "subprocess.CompletedProcess[bytes]":
    where = f"http://127.0.0.1:{sidecar.port}"
    said = ["call", tool, *arguments, "--url", where]
    return forks.finish(said, environment({}), stdin=stdin, within_s=START_WITHIN_S)


def answer(status: bytes, body: bytes, *fields: bytes) -> bytes:
    length = b"Content-Length: %d" % len(body)
    return message(b"HTTP/1.1 " + status, length, *fields, body=body)


def test_parameters_arrive_byte_for_byte(sidecar: Sidecar, origin: Origin) -> None:
    said = '{ "n": 123456789012345678901234567890, "n": 1e400, "å": "\\u0061" }'

    done = call(sidecar, said)

    assert (done.returncode, done.stderr, bytes(origin.calls[0].body)) == (0, b"", said.encode())
    assert origin.calls[0].values("content-type") == ["application/json"]


def test_a_file_arrives_as_it_is(sidecar: Sidecar, origin: Origin, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(EVERY_OCTET)

    done = call(sidecar, f"@{file}", "-H", "Content-Type: application/octet-stream")

    visit = origin.calls[0]
    kinds = visit.values("content-type")
    assert (done.returncode, bytes(visit.body) == EVERY_OCTET, kinds) == (
        0,
        True,
        ["application/octet-stream"],
    )


def test_standard_input_arrives_as_it_is(sidecar: Sidecar, origin: Origin) -> None:
    done = call(sidecar, "-", stdin=b'{"a":  1}\n')

    assert (done.returncode, bytes(origin.calls[0].body)) == (0, b'{"a":  1}\n')


def test_without_parameters_it_is_an_empty_object(sidecar: Sidecar, origin: Origin) -> None:
    done = call(sidecar)

    assert (done.returncode, bytes(origin.calls[0].body)) == (0, b"{}")


def test_trace_and_fields_arrive(sidecar: Sidecar, origin: Origin) -> None:
    call(sidecar, "{}", "--trace", "workflow-7", "-H", "X-Mine: a b", "-H", "x-mine: c")

    visit = origin.calls[0]
    assert (visit.values("x-chora-trace-id"), visit.values("x-mine")) == (["workflow-7"], ["c"])


def test_one_idempotency_key_is_one_call(sidecar: Sidecar, origin: Origin) -> None:
    first = call(sidecar, "{}", "--idempotency-key", "k")
    second = call(sidecar, "{}", "--idempotency-key", "k")

    assert (first.stdout == second.stdout, len(origin.calls)) == (True, 1)


def test_timeout_is_the_sidecar_s_deadline(sidecar: Sidecar, origin: Origin) -> None:
    async def silent(visit: object) -> None:
        _ = visit

    origin.script = silent

    done = call(sidecar, "{}", "--timeout", "0.2")

    code = orjson.loads(done.stdout)["code"]
    assert (done.returncode, code) == (1, "upstream_timeout"), done


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((b"Content-Type: application/octet-stream",), id="octets"),
        pytest.param((b"Content-Type: application/json", b"Content-Encoding: gzip"), id="encoded"),
        pytest.param((), id="untyped"),
    ],
)
def test_an_answer_leaves_untouched(
    sidecar: Sidecar, origin: Origin, fields: tuple[bytes, ...]
) -> None:
    origin.script = answers(ok(EVERY_OCTET, *fields))

    done = call(sidecar, "{}")

    assert (done.returncode, done.stdout == EVERY_OCTET, done.stderr) == (0, True, b"")


def test_a_refusal_is_status_1_with_its_sentence(sidecar: Sidecar) -> None:
    done = call(sidecar, "{}", tool="o.nothing")

    problem = orjson.loads(done.stdout)
    assert (done.returncode, problem["code"], done.stderr.count(b"\n")) == (1, "tool_not_found", 1)
    assert problem["detail"].encode() in done.stderr


def test_a_tool_s_own_failure_is_status_1_and_its_words_stay(
    sidecar: Sidecar, origin: Origin
) -> None:
    origin.script = answers(answer(b"422 Wrong", b"no such row"))

    done = call(sidecar, "{}")

    assert (done.returncode, done.stdout) == (1, b"no such row")
    assert done.stderr.startswith(b"toolproxy: o.call was answered with 422"), done.stderr


def test_a_redirect_is_shown_and_not_followed(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(answer(b"307 Go", b"away", b"Location: /elsewhere"))

    done = call(sidecar, "{}")

    assert (done.returncode, done.stdout, len(origin.calls)) == (0, b"away", 1)


def test_an_answer_that_breaks_off_is_status_1(sidecar: Sidecar, origin: Origin) -> None:
    begun = message(b"HTTP/1.1 200 OK", b"Content-Length: 100", body=b"the beginning")
    origin.script = sends_and_resets(begun)

    done = call(sidecar, "{}")

    assert (done.returncode, done.stderr.count(b"\n"), b"Traceback" in done.stderr) == (1, 1, False)


def test_an_answer_that_nobody_reads_ends_quietly(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(ok(b"x" * (8 << 20)))
    where = f"http://127.0.0.1:{sidecar.port}"
    piped = forks.start_piped(["call", "o.call", "{}", "--url", where], environment({}))
    piped.stdout.read(10)
    piped.stdout.close()

    status = piped.process.wait(START_WITHIN_S)

    with piped.stderr as stderr:
        assert (status, stderr.read()) == (0, b"")


def test_a_full_disk_is_one_sentence(sidecar: Sidecar) -> None:
    where = f"http://127.0.0.1:{sidecar.port}"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(  # noqa: S603 - our own command, built of constants
            [sys.executable, "-m", "proxy", "servers", "--url", where],
            cwd=ROOT,
            env=environment({}),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=START_WITHIN_S,
            check=False,
        )

    said = b"toolproxy: The output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)

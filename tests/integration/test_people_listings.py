"""`toolproxy servers | tools | health` in a pipe: JSON, exit statuses, who asks whom."""

import hashlib
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests.support.messages import message, ok
from tests.support.origin import Origin
from tests.support.ports import refusing_port
from tests.support.scripts import answers
from tests.support.sidecar import Sidecar, run_command, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

COMMANDS: Final = (
    ("servers",),
    ("servers", "o"),
    ("tools",),
    ("call", "o.call", "{}"),
    ("events",),
    ("events", "--follow"),
    ("events", "--summary", "--trace", "t"),
    ("health",),
)
KEY: Final = "the-key-of-somebody"


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    return start_sidecar(server("o", origin.url), server("p", origin.url, tools=["a", "b"]))


@pytest.fixture
def guarded(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    keys = [{"name": "somebody", "sha256": digest, "allow": ["p.*"]}]
    servers = server("o", origin.url), server("p", origin.url)
    return start_sidecar(*servers, settings={"auth": {"api_keys": keys}})


def url(sidecar: Sidecar) -> str:
    return f"http://127.0.0.1:{sidecar.port}"


def told_by(sidecar: Sidecar, path: str) -> dict[str, Any]:
    found = sidecar.get(path).json()
    assert isinstance(found, dict)
    return found


def asked(sidecar: Sidecar, *arguments: str, extra: dict[str, str] | None = None) -> Any:
    """The JSON that a command prints when all is well."""
    done = run_command(*arguments, "--url", url(sidecar), extra=extra)
    assert (done.returncode, done.stderr) == (0, ""), done
    return orjson.loads(done.stdout)


def test_servers_are_the_rows_of_the_sidecar(sidecar: Sidecar) -> None:
    found = asked(sidecar, "servers")

    told = told_by(sidecar, "/api/v1/servers")
    names = [row["server_name"] for row in found["servers"]]
    same = [found[key] == told[key] for key in ("total", "generation")]
    assert (names, same, found["servers"][0].keys()) == (
        ["o", "p"],
        [True, True],
        told["servers"][0].keys(),
    )


def test_one_server_is_a_bare_document(sidecar: Sidecar) -> None:
    assert asked(sidecar, "servers", "p")["server_name"] == "p"


def test_tools_beyond_a_page_are_all_there_once(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    names = [f"tool-{number:04}" for number in range(2345)]
    sidecar = start_sidecar(server("o", origin.url, tools=names))

    found = asked(sidecar, "tools")

    assert ([row["tool_name"] for row in found["tools"]], found["total"]) == (names, 2345)


def test_tools_of_one_server(sidecar: Sidecar) -> None:
    found = asked(sidecar, "tools", "--server", "p")

    assert [row["tool_name"] for row in found["tools"]] == ["a", "b"]


def test_health_is_what_the_sidecar_says(sidecar: Sidecar) -> None:
    found = asked(sidecar, "health")

    assert (found["backends_total"], found["status"]) == (2, "healthy")


def test_unhealthy_is_status_1(start_origin: StartOrigin, start_sidecar: StartSidecar) -> None:
    origin = start_origin()
    origin.health = message(b"HTTP/1.1 500 Sorry", b"Content-Length: 0")
    sidecar = start_sidecar(server("o", origin.url))
    assert eventually(lambda: b'"unhealthy"' in sidecar.get("/health").body)

    done = run_command("health", "--url", url(sidecar))

    assert (done.returncode, orjson.loads(done.stdout)["status"]) == (1, "unhealthy")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_there_is_one_sentence(command: tuple[str, ...]) -> None:
    with refusing_port() as port:
        done = run_command(*command, "--url", f"http://127.0.0.1:{port}")

    sentence = f"toolproxy: Nothing answers at http://127.0.0.1:{port}: is the sidecar running?\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_is_no_sidecar_is_one_sentence(
    start_origin: StartOrigin, command: tuple[str, ...]
) -> None:
    stranger = start_origin(answers(b"220 mail.example ESMTP\r\n", close=True))

    done = run_command(*command, "--url", stranger.url)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done


@pytest.mark.parametrize("body", [b"[]", b'{"events": [7]}', b"\xff"], ids=repr)
@pytest.mark.parametrize("command", [("servers",), ("events",)], ids=" ".join)
def test_an_answer_that_is_no_list_is_one_sentence(
    start_origin: StartOrigin, command: tuple[str, ...], body: bytes
) -> None:
    stranger = start_origin(answers(ok(body, b"Content-Type: application/json")))

    done = run_command(*command, "--url", stranger.url)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done


def test_an_unknown_server_is_status_1(sidecar: Sidecar) -> None:
    done = run_command("servers", "nobody", "--url", url(sidecar))

    assert (done.returncode, done.stdout, "No server is called nobody" in done.stderr) == (
        1,
        "",
        True,
    )


def test_without_a_key_it_is_refused_in_one_sentence(guarded: Sidecar) -> None:
    done = run_command("servers", "--url", url(guarded))

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done


def test_a_key_of_a_file_is_sent(guarded: Sidecar, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")

    found = asked(guarded, "servers", "--api-key-file", str(file))

    assert [row["server_name"] for row in found["servers"]] == ["p"]


def test_a_key_of_the_environment_is_sent_and_the_file_goes_before_it(
    guarded: Sidecar, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("of-nobody")
    extra = {"TOOLPROXYCTL_API_KEY": KEY}

    found = asked(guarded, "servers", extra=extra)
    done = run_command("servers", "--url", url(guarded), "--api-key-file", str(file), extra=extra)

    assert (len(found["servers"]), done.returncode, "of-nobody" in done.stderr) == (1, 1, False)


def test_a_token_is_sent_as_bearer(guarded: Sidecar, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(KEY)

    of_file = asked(guarded, "tools", "--token-file", str(file))
    of_environment = asked(guarded, "tools", extra={"TOOLPROXYCTL_TOKEN": KEY})

    assert of_file == of_environment


def test_the_url_may_come_from_the_environment(sidecar: Sidecar) -> None:
    done = run_command("health", extra={"TOOLPROXYCTL_URL": url(sidecar)})

    assert done.returncode == 0, done


@pytest.mark.parametrize("flag", ["--api-key", "--token"])
@pytest.mark.parametrize("joined", [True, False], ids=["joined", "apart"])
def test_a_key_on_the_command_line_is_refused_and_not_repeated(flag: str, *, joined: bool) -> None:
    said = [f"{flag}={KEY}"] if joined else [flag, KEY]

    done = run_command("servers", *said)

    assert (done.returncode, KEY in done.stderr, f"{flag}-file" in done.stderr) == (2, False, True)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["servers", "--url", "ftp://x"], id="scheme"),
        pytest.param(["servers", "--url", "http://u:p@x"], id="password-in-url"),
        pytest.param(["servers", "--timeout", "0"], id="timeout"),
        pytest.param(["servers", "--api-key-file", "/nowhere/at/all"], id="key-file"),
        pytest.param(["servers", ".."], id="server-name"),
        pytest.param(["servers", "a", "b"], id="words"),
        pytest.param(["tools", "--nonsense"], id="option"),
        pytest.param(["call"], id="no-tool"),
        pytest.param(["call", "tool"], id="no-dot"),
        pytest.param(["call", "a./../x"], id="path"),
        pytest.param(["call", "a.b", "{a:1}"], id="no-json"),
        pytest.param(["call", "a.b", "@/nowhere/at/all"], id="no-file"),
        pytest.param(["call", "a.b", "-H", "Content-Length: 3"], id="framing"),
        pytest.param(["events", "--limit", "0"], id="limit"),
        pytest.param(["events", "--limit", "10001"], id="limit-too-large"),
        pytest.param(["events", "--since", "soon"], id="since"),
        pytest.param(["events", "--summary"], id="summary-of-nothing"),
        pytest.param(["events", "--summary", "--trace", "t", "--follow"], id="summary-followed"),
        pytest.param(["health", "now"], id="health-words"),
    ],
)
def test_unusable_arguments_end_with_2_and_reach_nobody(
    start_origin: StartOrigin, arguments: list[str]
) -> None:
    nobody = start_origin()

    done = run_command(*arguments, extra={"TOOLPROXYCTL_URL": nobody.url})

    assert (done.returncode, done.stdout, bool(done.stderr), nobody.connections) == (
        2,
        "",
        True,
        [],
    ), done
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["servers", "tools", "call", "events", "health"])
def test_help_tells_where_keys_come_from(command: str) -> None:
    done = run_command(command, "--help")

    named = [word in done.stdout for word in ("TOOLPROXYCTL_URL", "--api-key-file", "--token-file")]
    assert (done.returncode, named, "--api-key " in done.stdout) == (0, [True] * 3, False)


def test_variables_of_the_command_line_are_no_settings_of_the_sidecar(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    extra = {"TOOLPROXYCTL_URL": "x", "TOOLPROXYCTL_API_KEY": "x", "TOOLPROXYCTL_TOKEN": "x"}

    sidecar = start_sidecar(server("o", origin.url), extra=extra)

    assert sidecar.get("/livez").status == 200

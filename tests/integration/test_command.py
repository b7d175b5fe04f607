"""The command: what it accepts, how it ends, and the one line it says when it cannot begin.

Each way to begin has an interpreter of its own once here: elsewhere, most are forks.
"""

import re
import socket
from pathlib import Path

import pytest
import yaml

from tests.support.ports import refusing_port
from tests.support.sidecar import Server, registry, run_command, server
from tests.support.starters import StartOrigin, StartSidecar

SERVER = server("o", "http://127.0.0.1:9")


def settings_file(directory: Path, text: str = "", *servers: Server) -> Path:
    """A settings file with these lines added, and the registry that it names."""
    (directory / "registry.yaml").write_text(registry(*(servers or (SERVER,))))
    path = directory / "proxy.yaml"
    own = {"path": str(directory / "registry.yaml"), "store": str(directory / "generations")}
    named = yaml.safe_dump({"registry": own})
    path.write_text(f"listen: 127.0.0.1:0\n{named}{text}")
    return path


@pytest.mark.parametrize("spelling", [["check"], ["-t"]], ids=["check", "-t"])
def test_check_of_a_good_configuration_is_done(tmp_path: Path, spelling: list[str]) -> None:
    done = run_command(*spelling, "-c", str(settings_file(tmp_path)), forked=False)

    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


@pytest.mark.parametrize("command", [["run"], ["check"], ["-t"]], ids=" ".join)
@pytest.mark.parametrize(
    ("text", "key", "suggestion"),
    [
        pytest.param("listne: 127.0.0.1:0\n", "listne", "listen", id="top"),
        pytest.param("limits:\n  haed: 1KiB\n", "haed", "head", id="below"),
        pytest.param("drain_timeuot: 3s\n", "drain_timeuot", "drain_timeout", id="with-unit"),
    ],
)
def test_unknown_key_is_one_line_with_a_suggestion(
    tmp_path: Path, command: list[str], text: str, key: str, suggestion: str
) -> None:
    path = settings_file(tmp_path, text)
    line = path.read_text().splitlines().index(text.splitlines()[-1]) + 1

    done = run_command(*command, "-c", str(path))

    said = done.stderr.splitlines()
    assert (done.returncode, len(said)) == (2, 1), done.stderr
    assert re.search(rf"proxy\.yaml:{line}: .*{key}.*{suggestion}", said[0]), said


@pytest.mark.parametrize(
    ("text", "key"),
    [
        pytest.param("drain_timeout: soon\n", "drain_timeout", id="duration"),
        pytest.param("limits:\n  head: large\n", "head", id="size"),
        pytest.param("limits:\n  fields: many\n", "fields", id="number"),
        pytest.param("half_close: perhaps\n", "half_close", id="switch"),
        pytest.param("underscores: maybe\n", "underscores", id="choice"),
        pytest.param("trusted_proxies: [nonsense]\n", "trusted_proxies", id="network"),
        pytest.param("max_timeout: -1\n", "max_timeout", id="negative"),
    ],
)
def test_value_of_a_wrong_kind_is_one_line(tmp_path: Path, text: str, key: str) -> None:
    path = settings_file(tmp_path, text)
    line = path.read_text().splitlines().index(text.splitlines()[-1]) + 1

    done = run_command("run", "-c", str(path))

    said = done.stderr.splitlines()
    assert (done.returncode, len(said)) == (2, 1), done.stderr
    assert re.search(rf"proxy\.yaml:{line}: .*{key}", said[0]), said


def test_settings_that_are_not_yaml_are_one_line(tmp_path: Path) -> None:
    done = run_command("run", "-c", str(settings_file(tmp_path, "limits: {head\n")))

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert re.search(r"proxy\.yaml:\d+", done.stderr)


def test_missing_settings_file_is_one_line(tmp_path: Path) -> None:
    done = run_command("run", "-c", str(tmp_path / "absent.yaml"), forked=False)

    said = done.stderr.splitlines()
    assert (done.returncode, len(said), "absent.yaml" in done.stderr) == (2, 1, True)


@pytest.mark.parametrize("command", ["run", "check"])
def test_missing_registry_is_one_line(tmp_path: Path, command: str) -> None:
    path = settings_file(tmp_path)
    (tmp_path / "registry.yaml").unlink()

    done = run_command(command, "-c", str(path))

    said = done.stderr.splitlines()
    assert (done.returncode, len(said), "registry.yaml" in done.stderr) == (2, 1, True)


@pytest.mark.parametrize(
    "text",
    ["", "servers: [{", "version: '1.0'\n", "servers: none\n", "- servers\n", "\x00"],
    ids=["empty", "not-yaml", "no-servers", "servers-no-list", "a-list", "binary"],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_unreadable_registry_is_one_line(tmp_path: Path, command: str, text: str) -> None:
    path = settings_file(tmp_path)
    (tmp_path / "registry.yaml").write_text(text)

    done = run_command(command, "-c", str(path))

    said = done.stderr.splitlines()
    assert (done.returncode, len(said), "registry.yaml" in done.stderr) == (2, 1, True), said


def test_taken_port_is_one_line(tmp_path: Path) -> None:
    path = settings_file(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path.write_text(path.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))

        done = run_command("run", "-c", str(path))

    said = [line for line in done.stderr.splitlines() if str(port) in line]
    assert (done.returncode, len(said), "Traceback" in done.stderr) == (2, 1, False), done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["fly"], ["run", "--nonsense"], ["run", "-c"], ["run", "more", "words"]],
    ids=["command", "flag", "flag-without-value", "words"],
)
def test_unusable_arguments_end_with_2(arguments: list[str]) -> None:
    done = run_command(*arguments)

    assert (done.returncode, "Traceback" in done.stderr, bool(done.stderr)) == (2, False, True)


def test_version_tells_what_runs_it() -> None:
    done = run_command("--version", forked=False)

    assert re.fullmatch(r"toolproxy \S+ \(Python 3\.\S+(, compiled)?\)\n", done.stdout)


def test_help_is_no_failure() -> None:
    done = run_command("--help", forked=False)

    named = [word in done.stdout for word in ("run", "check", "demo")]
    assert (done.returncode, named) == (0, [True] * 3)


def test_environment_stands_over_the_file(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    behind = server("o", start_origin().url)
    extra = {"TOOLPROXY_LIMITS__REQUEST_LINE": "100", "HOST": "127.0.0.1", "PORT": "0"}
    settings = {"limits": {"request_line": 5000}, "listen": "127.0.0.1:1"}

    sidecar = start_sidecar(behind, settings=settings, extra=extra, forked=False)

    assert sidecar.get("/health?" + "q" * 200).status == 414


def test_registry_path_of_the_environment_stands_over_the_file(
    start_origin: StartOrigin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(registry(server("other", start_origin().url)))

    sidecar = start_sidecar(SERVER, extra={"REGISTRY_PATH": str(other)})

    assert b'"other.call"' in sidecar.get("/tools").body


@pytest.mark.parametrize(
    ("name", "value"),
    [("TOOLPROXY_DRAIN_TIMEOUT", "soon"), ("PORT", "http"), ("POLL_INTERVAL", "never")],
)
def test_bad_environment_is_one_line(tmp_path: Path, name: str, value: str) -> None:
    path = settings_file(tmp_path)

    done = run_command("run", "-c", str(path), extra={name: value})

    said = done.stderr.splitlines()
    assert (done.returncode, len(said), name in done.stderr) == (2, 1, True), said


def test_upstream_that_is_away_does_not_keep_it_from_starting(start_sidecar: StartSidecar) -> None:
    with refusing_port() as port:
        sidecar = start_sidecar(server("o", f"http://127.0.0.1:{port}"))

        assert sidecar.get("/livez").status == 200


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("auth: {api_keys: [{name: ci, key: '${NO_SUCH_KEY}'}]}", "NO_SUCH_KEY"),
        ("auth: {jwt: {key_file: /no/such/key, issuer: i, audience: a}}", "key_file"),
        ("auth: {api_keys: []}", "let anybody call"),
        ("rate: {redis: 'redis://host:port/0'}", "redis"),
    ],
    ids=["key", "key-file", "no-keys", "redis"],
)
def test_what_admission_cannot_have_is_one_line(
    tmp_path: Path, command: str, text: str, said: str
) -> None:
    done = run_command(command, "-c", str(settings_file(tmp_path, f"{text}\n")))

    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert said in done.stderr


def test_check_takes_all_ways_of_admission(tmp_path: Path) -> None:
    text = """
auth:
  api_keys: [{name: ci, sha256: %s}]
  jwt: {jwks_url: 'https://issuer/keys', issuer: i, audience: a}
policy: {opa: {url: 'http://127.0.0.1:9'}}
rate: {caller: 10/s, redis: 'redis://127.0.0.1:9'}
""" % ("a" * 64)

    done = run_command("check", "-c", str(settings_file(tmp_path, text)))

    assert (done.returncode, done.stderr) == (0, "")

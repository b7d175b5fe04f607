"""Facts about settings: where they come from, what holds, and what is refused."""

from pathlib import Path

import pytest

from proxy.config.sections import Cors, Limits
from proxy.config.settings import Settings, SettingsError, load_settings

CONF = Path(__file__).parents[3] / "conf"


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "proxy.yaml"
    path.write_text(text)
    return str(path)


def problems(
    path: str | None = None, environ: dict[str, str] | None = None, **flags: str
) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ or {}, flags)
    return str(caught.value).splitlines()


def test_nothing_said_leaves_the_defaults() -> None:
    assert load_settings(None, {}, {}) == Settings()


def test_shown_file_is_the_defaults() -> None:
    assert load_settings(str(CONF / "proxy.yaml"), {}, {}) == Settings()


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "limits:\n"])
def test_empty_file_leaves_the_defaults(tmp_path: Path, text: str) -> None:
    assert load_settings(written(tmp_path, text), {}, {}) == Settings()


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    path = written(tmp_path, "limits: {head: 1KiB, fields: 1, idle: 1s}\n")
    environ = {"TOOLPROXY_LIMITS__FIELDS": "2", "TOOLPROXY_LIMITS__IDLE": "2s"}

    settings = load_settings(path, environ, {"limits.idle": "3s"})

    assert settings.limits == Limits(head_bytes=1024, fields=2, idle_s=3.0)


def test_names_of_chora_still_work() -> None:
    environ = {"REGISTRY_PATH": "/r.yaml", "HOST": "127.0.0.1", "PORT": "9000"}
    environ |= {"POLL_INTERVAL": "5", "HEALTH_CHECK_INTERVAL": "7"}

    settings = load_settings(None, environ, {})

    assert (settings.registry.path, settings.registry.poll_interval_s) == ("/r.yaml", 5.0)
    assert str(settings.listen[0]) == "127.0.0.1:9000"
    assert settings.health_check_interval_s == 7.0


@pytest.mark.parametrize(
    ("listen", "environ", "shown"),
    [
        ("127.0.0.1:1", {"PORT": "2"}, "127.0.0.1:2"),
        ("127.0.0.1:1", {"HOST": "::1"}, "[::1]:1"),
        ("[::1]:0", {}, "[::1]:0"),
        ("nonsense", {"HOST": "h", "PORT": "3"}, "h:3"),
        ("1", {"HOST": "h"}, "h:8080"),
        ("a:1", {"HOST": "", "PORT": ""}, "a:1"),
        ("a:1", {"HOST": "b", "TOOLPROXY_LISTEN": "[::2]:2"}, "[::2]:2"),
    ],
)
def test_host_and_port_replace_their_part(
    tmp_path: Path, listen: str, environ: dict[str, str], shown: str
) -> None:
    path = written(tmp_path, f"listen: {listen!r}\n" if listen != "1" else "listen: 1\n")

    assert str(load_settings(path, environ, {}).listen[0]) == shown


def test_lists_and_lone_words_come_through_the_environment() -> None:
    environ = {
        "TOOLPROXY_ALLOWED_HOSTS": "[a.example, b.example]",
        "TOOLPROXY_TRUSTED_PROXIES": "10.0.0.0/8",
        "TOOLPROXY_CORS__ORIGINS": "*",
        "TOOLPROXY_DEFAULTS__HEALTH__PATH": "/up",
    }

    settings = load_settings(None, environ, {})

    assert settings.allowed_hosts == ("a.example", "b.example")
    assert settings.trusted_proxies == ("10.0.0.0/8",)
    assert settings.cors == Cors(origins=("*",))
    assert settings.defaults == {"health": {"path": "/up"}}


@pytest.mark.parametrize("service", ["TOOLPROXY", "TOOLPROXY_METRICS"])
def test_variables_of_a_kubernetes_service_are_not_ours(service: str) -> None:
    environ = {
        f"{service}_SERVICE_HOST": "10.0.0.1",
        f"{service}_SERVICE_PORT_HTTP": "80",
        f"{service}_PORT": "tcp://10.0.0.1:80",
        f"{service}_PORT_80_TCP_ADDR": "10.0.0.1",
    }

    assert load_settings(None, environ, {}) == Settings()


def test_port_that_is_no_services_is_a_mistake() -> None:
    (problem,) = problems(None, {"TOOLPROXY_PORT": "9000"})

    assert "TOOLPROXY_PORT: unknown key" in problem


def test_all_that_is_wrong_is_said_at_once_and_where(tmp_path: Path) -> None:
    path = written(tmp_path, "limits:\n  hed: 1\n  connections: 0\nlog_level: inf\nhalf_close: 1\n")
    environ = {"TOOLPROXY_LIMITS__FIELDS": "x", "TOOLPROXY_XYZZY": "2", "PORT": "x"}

    assert problems(path, environ, **{"limits.idel": "1", "drain_delay": "-1"}) == [
        "proxy.yaml:2: limits.hed: unknown key, did you mean head?",
        "proxy.yaml:3: limits.connections: must be at least 1",
        "proxy.yaml:4: log_level: expected one of debug, info, warning, error, did you mean info?",
        "proxy.yaml:5: half_close: expected true or false, got a number",
        "environment: TOOLPROXY_LIMITS__FIELDS: expected a number, got a string",
        "--set limits.idel: unknown key, did you mean idle?",
        "environment: PORT: expected host:port, as in 0.0.0.0:8080 or [::1]:8080",
        "environment: TOOLPROXY_XYZZY: unknown key",
        "--set drain_delay: a duration must be a finite number, and not negative",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", ":2: not YAML: did not find expected node content"),
        ("- a", ":1: expected a mapping of settings, got a list"),
        ("half_close: true\nhalf_close: false", ":2: half_close: repeated; the last one holds"),
        (
            "defaults: {a: 2024-01-01}",
            ":1: defaults.a: YAML reads this as a date: quote it if it is meant as text",
        ),
        ("listen: 0.0.0.0", ":1: listen: expected host:port, as in 0.0.0.0:8080 or [::1]:8080"),
        ("listen: a:70000", ":1: listen: a port is at most 65535"),
        ("listen: '[1:2]:3'", ":1: listen: expected an IPv6 address between the brackets"),
        ("listen: 8080", ":1: listen: expected a string, got a number: quote it"),
        ("registry: {path: ''}", ":1: registry.path: expected visible characters only"),
        ("registry: {poll_interval: 0}", ":1: registry.poll_interval: must be above 0"),
        ("allowed_hosts: 3", ":1: allowed_hosts: expected a list of strings, got a number"),
        (
            "cors: {origins: [example.com]}",
            ":1: cors.origins: expected an origin such as https://example.com, or *",
        ),
        (
            "cors: {origins: '*', credentials: true}",
            ":1: cors.credentials: cannot go together with the origin *",
        ),
        ("secrets: {dir: run}", ":1: secrets.dir: must be an absolute path"),
        ("limits: {low_water: 1MiB}", ":1: limits.low_water: must not be above high_water"),
        (
            "upstreams: {deny: [x]}",
            (
                ":1: upstreams.deny: expected a network such as 10.0.0.0/8: 'x'"
                " does not appear to be an IPv4 or IPv6 network"
            ),
        ),
    ],
)
def test_unusable_file_is_one_clear_line(tmp_path: Path, text: str, problem: str) -> None:
    assert problems(written(tmp_path, text)) == [f"proxy.yaml{problem}"]


def test_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    path = str(tmp_path / "none.yaml")

    assert problems(path) == [f"none.yaml: cannot read {path}: No such file or directory"]


def test_directory_is_one_clear_line(tmp_path: Path) -> None:
    assert problems(str(tmp_path)) == [f"{tmp_path.name}: cannot read {tmp_path}: Is a directory"]


def test_file_that_is_not_utf_8_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_bytes(b"log_level: info\n\xff\xfe\n")

    assert problems(str(path)) == ["proxy.yaml:2: not YAML: invalid leading UTF-8 octet"]

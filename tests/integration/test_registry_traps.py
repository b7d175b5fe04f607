"""Registries as people write them: the seed's form, and YAML's traps as findings with a line."""

import re

import pytest

from tests.support.messages import post
from tests.support.problems import problem_of
from tests.support.sidecar import registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

GOOD = """\
version: "1.0"
servers:
  - namespace: good
    name: good-server
    endpoints: ["{url}"]
    tools: [{{name: call}}]
"""
BAD_START = """\
  - namespace: bad
    name: bad-server
    endpoints: ["{url}"]
"""
# What is added to the bad server, and the line of the registry where the trap is.
TRAPS = {
    "on-as-a-key": ("    on: true\n    tools: [{{name: call}}]\n", 10),
    "no-as-a-key-of-a-tool": ("    tools:\n      - name: call\n        no: 1\n", 12),
    "number-as-a-key": ("    tools: [{{name: call}}]\n    5: x\n", 11),
    "date": (
        "    tools:\n      - name: call\n        description: 2024-01-31\n",
        12,
    ),
    "not-a-number": ("    tools: [{{name: call}}]\n    timeout: .nan\n", 11),
    "set": ("    tools: [{{name: call}}]\n    authorized_teams: !!set {{a}}\n", 11),
    "bytes": ("    tools: [{{name: call}}]\n    docker_image: !!binary aGk=\n", 11),
    "repeated-key": ("    tools: [{{name: call}}]\n    name: twice\n", 11),
}


@pytest.mark.parametrize(("added", "line"), TRAPS.values(), ids=TRAPS.keys())
def test_trap_is_a_finding_with_its_line_and_hurts_nobody_else(
    start_origin: StartOrigin, start_sidecar: StartSidecar, added: str, line: int
) -> None:
    url = start_origin().url

    sidecar = start_sidecar((GOOD + BAD_START + added).format(url=url))

    assert sidecar.ask(post("/tools/good.call")).status == 200
    assert re.search(rf"registry\.yaml:{line}: servers\[1\]", sidecar.stderr)


def test_namespace_that_yaml_makes_a_boolean_is_a_finding(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    bad = BAD_START.replace("namespace: bad", "namespace: no") + "    tools: [{{name: call}}]\n"

    sidecar = start_sidecar((GOOD + bad).format(url=start_origin().url))

    assert sidecar.ask(post("/tools/good.call")).status == 200
    assert re.search(r"registry\.yaml:7: servers\[1\]\.namespace", sidecar.stderr)


def test_registry_of_the_seeds_form_serves(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    text = f"""\
version: "1.0"
servers:
  - namespace: manifest
    name: localhost
    docker_image: chora-mcp-manifest:latest
    port: {origin.port}
    health_url: http://localhost:{origin.port}/health
    tools:
      - name: list_servers
        description: List all registered MCP servers
"""

    sidecar = start_sidecar(text)

    answer = sidecar.ask(post("/tools/manifest.list_servers"))
    shown = sidecar.get("/tools").body
    target = origin.calls[0].target
    assert (answer.status, target) == (200, b"/tools/list_servers")
    assert f"http://localhost:{origin.port}".encode() in shown


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        pytest.param({"timeout": "soon"}, "timeout", id="duration"),
        pytest.param({"max_body": "much"}, "max_body", id="size"),
        pytest.param({"endpoints": ["ftp://127.0.0.1"]}, "endpoints", id="scheme"),
        pytest.param({"endpoints": ["http://u:secret@127.0.0.1"]}, "endpoints", id="password"),
        pytest.param({"endpoints": ["http://169.254.169.254/"]}, "endpoints", id="link-local"),
        pytest.param({"endpoints": ["unix:/run/docker.sock"]}, "endpoints", id="docker"),
        pytest.param({"inject_headers": {"x": "${HOME}"}}, "HOME", id="secret-not-allowed"),
        pytest.param({"inject_headers": {"x": "${file:/etc/passwd}"}}, "passwd", id="file"),
        pytest.param({"namespace": "b d"}, "namespace", id="name-outside-the-set"),
        pytest.param({"balance": "random"}, "balance", id="key-of-a-later-issue"),
        pytest.param({"tools": [{"description": "x"}]}, "name", id="tool-without-name"),
        pytest.param({"tools": [{"name": "a b"}]}, "name", id="tool-name-outside-the-set"),
        pytest.param({"name": None}, "name", id="server-without-name"),
    ],
)
def test_bad_server_is_quarantined_with_its_reason(
    start_origin: StartOrigin, start_sidecar: StartSidecar, keys: dict[str, object], said: str
) -> None:
    url = start_origin().url

    sidecar = start_sidecar(server("good", url), {**server("bad", url), **keys})

    assert sidecar.ask(post("/tools/good.call")).status == 200
    assert re.search(rf"registry\.yaml:\d+: servers\[1\].*{re.escape(said)}", sidecar.stderr)
    if "namespace" not in keys:
        answer = sidecar.ask(post("/tools/bad.call"))
        assert (answer.status, problem_of(answer)["code"]) == (503, "server_quarantined")


def test_password_is_not_repeated(start_origin: StartOrigin, start_sidecar: StartSidecar) -> None:
    bad = server("bad", "http://user:hunter2@127.0.0.1:9")

    sidecar = start_sidecar(server("good", start_origin().url), bad)

    shown = sidecar.ask(post("/tools/bad.call")).body + sidecar.get("/readyz").body
    assert "hunter2" not in sidecar.stderr + shown.decode()


def test_unknown_key_is_a_warning_with_a_suggestion(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url, tiemout="30s"))

    assert sidecar.ask(post("/tools/o.call")).status == 200
    assert re.search(r"registry\.yaml:\d+: .*tiemout.*timeout", sidecar.stderr)


def test_later_tool_of_one_name_wins_with_a_warning(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    tools = [{"name": "call", "path": "/first"}, {"name": "call", "path": "/last"}]
    sidecar = start_sidecar(server("o", origin.url, tools=tools))

    sidecar.ask(post("/tools/o.call"))

    assert (origin.calls[0].target, "call" in sidecar.stderr) == (b"/last", True)


def test_entries_of_one_namespace_and_address_merge_their_tools(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    url = start_origin().url

    sidecar = start_sidecar(server("o", url, tools=["a"]), server("o", url, tools=["b"]))

    assert [sidecar.ask(post(f"/tools/o.{tool}")).status for tool in "ab"] == [200, 200]


def test_second_address_of_one_namespace_is_quarantined(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    first, second = start_origin(), start_origin()

    sidecar = start_sidecar(server("o", first.url), server("o", second.url, tools=["call", "b"]))

    sidecar.ask(post("/tools/o.call"))
    assert (len(first.calls), second.calls) == (1, [])
    assert re.search(r"registry\.yaml:\d+: servers\[1\]", sidecar.stderr)


def test_anchors_and_aliases_work(start_origin: StartOrigin, start_sidecar: StartSidecar) -> None:
    url = start_origin().url
    text = f"""\
shared: &tools [{{name: call}}]
servers:
  - {{namespace: a, name: a, endpoints: ["{url}"], tools: *tools}}
  - {{namespace: b, name: b, endpoints: ["{url}"], tools: *tools}}
"""

    sidecar = start_sidecar(text)

    assert [sidecar.ask(post(f"/tools/{ns}.call")).status for ns in "ab"] == [200, 200]


def test_aliases_that_unfold_without_end_are_refused(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url))
    before = sidecar.resident_bytes()
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]

    sidecar.registry_path.write_text("\n".join([*lines, "servers: *a11", ""]))

    assert eventually(lambda: sidecar.said(r"registry\.yaml")), sidecar.stderr
    assert sidecar.ask(post("/tools/o.call")).status == 200
    assert sidecar.resident_bytes() - before < 50 * 2**20


def test_defaults_of_the_registry_apply_to_all_servers(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    text = registry(server("o", start_origin().url)) + "defaults: {max_body: 1KiB}\n"

    sidecar = start_sidecar(text)

    assert sidecar.ask(post("/tools/o.call", body=b"x" * 2000)).status == 413

"""Facts about loading: what a registry's text defines, and what is set aside."""

import pytest
import yaml
from msgspec.structs import replace

from proxy.artifact import identity
from proxy.config.settings import Settings
from proxy.registry.load import Loaded, LoadRules, RegistryRejectedError, load

RULES = LoadRules.of(Settings())
STRICT = replace(RULES, strict=True)

# The registry of chora-mcp-gateway's README.
SEED = """\
version: "1.0"

servers:
  - namespace: manifest
    name: chora-mcp-manifest
    docker_image: chora-mcp-manifest:latest
    port: 8081
    health_url: http://chora-mcp-manifest:8081/health
    tools:
      - name: list_servers
        description: List all registered MCP servers
      - name: get_server
        description: Get details of a specific server
"""


def loaded(text: str, rules: LoadRules = RULES, **environ: str) -> Loaded:
    return load(text.encode(), "/etc/registry.yaml", rules, environ)


def servers(*entries: str) -> str:
    return "servers:\n" + "".join(f"- {entry}\n" for entry in entries)


def shown(found: Loaded) -> list[str]:
    return [f"{finding.severity} {finding.code} {finding}" for finding in found.findings]


def names(found: Loaded) -> list[str]:
    return [server.namespace for server in found.servers]


def rejected(text: str, rules: LoadRules = RULES) -> str:
    with pytest.raises(RegistryRejectedError) as caught:
        loaded(text, rules)
    return str(caught.value)


GOOD = "{namespace: good, name: good, port: 1}"


def test_registry_of_chora_loads_without_a_word() -> None:
    found = loaded(SEED, STRICT)

    (server,) = found.servers
    assert (found.findings, found.quarantined) == ((), ())
    assert found.identity == identity(yaml.safe_load(SEED))
    assert [address.url for address in server.endpoints] == ["http://chora-mcp-manifest:8081"]
    assert [tool.path for tool in server.tools] == ["/tools/list_servers", "/tools/get_server"]


def test_one_bad_server_never_hurts_the_others() -> None:
    found = loaded(servers(GOOD, "{namespace: bad, name: b, port: x, rate: x}", "7"))

    assert names(found) == ["good"]
    assert [(bad.namespace, bad.index) for bad in found.quarantined] == [("bad", 1), (None, 2)]
    assert [str(finding) for finding in found.quarantined[0].findings] == [
        "registry.yaml:3: servers[1].port: expected a number, got a string",
        "registry.yaml:3: servers[1].rate: expected a rate: a number per s, m or h, as in 100/s",
    ]


def test_namespace_that_yaml_reads_as_false_is_named_with_its_line() -> None:
    found = loaded("servers:\n- name: a\n  namespace: no\n  port: 1\n")

    assert shown(found) == [
        (
            "error BAD_TYPE registry.yaml:3: servers[0].namespace: "
            "expected a string, got a truth value: quote it"
        )
    ]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            servers("{namespace: a, name: a, port: '8081'}"),
            (
                "BAD_TYPE registry.yaml:2: servers[0].port: "
                "expected a number, got digits in quotes; taken as one"
            ),
        ),
        (
            servers("{namespace: a, name: a, port: 1, tmeout: 3}"),
            "UNKNOWN_KEY registry.yaml:2: servers[0].tmeout: unknown key, did you mean timeout?",
        ),
        (
            servers("{namespace: a, name: a, port: 2, port: 1}"),
            "DUPLICATE_KEY registry.yaml:2: servers[0].port: repeated; the last one holds",
        ),
        (
            servers("{namespace: a, name: a, port: 1, tools: [{name: t}, {name: t}]}"),
            (
                "DUPLICATE_TOOL registry.yaml:2: servers[0].tools[1].name: "
                "t was there before; the last one holds"
            ),
        ),
        (
            servers("{namespace: a, name: a, port: 1, access_restrictions: {since: 2024-01-01}}"),
            (
                "BAD_TYPE registry.yaml:2: servers[0].access_restrictions.since: "
                "YAML reads this as a date: quote it if it is meant as text"
            ),
        ),
        (
            servers("{namespace: a, name: a, port: 1, access_restrictions: {on: x}}"),
            (
                "BAD_TYPE registry.yaml:2: servers[0].access_restrictions.on: "
                "YAML reads the key on as no string: quote it"
            ),
        ),
        (
            "sevrers: []\n" + servers(GOOD),
            "UNKNOWN_KEY registry.yaml:1: sevrers: unknown key, did you mean servers?",
        ),
        (
            "version: [1]\n" + servers(GOOD),
            "BAD_TYPE registry.yaml:1: version: expected a string or a number, got a list",
        ),
        ("servers: []\n", "EMPTY_REGISTRY registry.yaml:1: servers: no servers"),
    ],
)
def test_oddity_is_a_warning_and_loads(text: str, warning: str) -> None:
    found = loaded(text)

    assert (shown(found), found.quarantined) == ([f"warning {warning}"], ())


@pytest.mark.parametrize("version", ["1", "'1.0'", "1.0", ""])
def test_version_is_text_or_a_number(version: str) -> None:
    assert loaded(f"version: {version}\n{servers(GOOD)}").findings == ()


def test_date_where_text_is_read_sets_the_server_aside() -> None:
    found = loaded(servers("{namespace: a, name: a, port: 1, docker_image: 2024-01-01}"))

    assert [bad.namespace for bad in found.quarantined] == ["a"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "registry.yaml: empty"),
        ("~", "registry.yaml: empty"),
        ("servers: [", "registry.yaml:2: not YAML: did not find expected node content"),
        ("a", "registry.yaml:1: expected a mapping with servers, got a string"),
        ("version: 1", "registry.yaml:1: servers: required, but missing"),
        ("a: 1\nservers: {}", "registry.yaml:2: servers: expected a list, got a mapping"),
        (
            "servers: []\ndefaults: 3",
            (
                "registry.yaml:1: servers: no servers"
                "registry.yaml:2: defaults: expected a mapping, got a number"
            ),
        ),
    ],
)
def test_text_that_is_no_registry_is_rejected_whole(text: str, why: str) -> None:
    assert sorted(rejected(text).splitlines()) == sorted(
        "registry.yaml" + line for line in why.split("registry.yaml")[1:]
    )


@pytest.mark.parametrize(
    "entry",
    ["{namespace: a, name: a, port: x}", "{namespace: a, name: a, port: 1, tmeout: 1}"],
    ids=["error", "unknown-key"],
)
def test_strict_rejects_the_whole(entry: str) -> None:
    assert "servers[1]" in rejected(servers(GOOD, entry), STRICT)


def test_strict_leaves_mere_oddities_alone() -> None:
    assert len(loaded(servers("{namespace: a, name: a, port: '1'}"), STRICT).servers) == 1


def test_same_address_joins_the_tools() -> None:
    first = "{namespace: a, name: a, port: 1, tools: [{name: x, path: /1}, {name: y}]}"
    second = "{namespace: a, name: a, port: 1, tools: [{name: z}, {name: x, path: /2}]}"

    found = loaded(servers(first, second))

    tools = [(tool.name, tool.path) for tool in found.servers[0].tools]
    assert tools == [("x", "/2"), ("y", "/tools/y"), ("z", "/tools/z")]
    assert [finding.code for finding in found.findings] == ["DUPLICATE_TOOL"]


def test_same_address_with_other_settings_is_a_warning() -> None:
    found = loaded(servers(GOOD, "{namespace: good, name: good, port: 1, timeout: 3}"))

    assert ([finding.code for finding in found.findings], len(found.servers)) == (
        ["DUPLICATE_NAMESPACE"],
        1,
    )


def test_other_address_sets_the_second_aside() -> None:
    found = loaded(servers(GOOD, "{namespace: good, name: other, port: 1}"))

    assert [server.name for server in found.servers] == ["good"]
    assert [(bad.index, bad.findings[0].code) for bad in found.quarantined] == [
        (1, "DUPLICATE_NAMESPACE")
    ]


def test_server_wins_over_defaults_over_defaults_of_the_settings() -> None:
    rules = replace(
        RULES, defaults={"health": {"path": "/1", "timeout": 1, "healthy_after": 1}, "rate": "1/s"}
    )
    text = "defaults: {health: {path: /2, timeout: 2}}\n"

    found = loaded(
        text + servers("{namespace: a, name: a, port: 1, health: {path: /3}, rate: }"), rules
    )

    (server,) = found.servers
    health = server.health
    assert (health.path, health.timeout_s, health.healthy_after, server.rate) == (
        "/3",
        2.0,
        1,
        (1, 1),
    )


def test_default_timeout_is_kept_apart_from_a_servers_own() -> None:
    (server,) = loaded("defaults: {timeout: 5s}\n" + servers(GOOD)).servers

    assert (server.timeout_s, server.default_timeout_s) == (None, 5.0)


@pytest.mark.parametrize("default", ["timeout: x", "health: {path: x}"])
def test_bad_default_is_found_once_and_where_it_stands(default: str) -> None:
    found = loaded(f"defaults:\n  {default}\n{servers(GOOD, '{namespace: b, name: b, port: 1}')}")

    assert [(finding.path.split(".")[0], finding.line) for finding in found.findings] == [
        ("defaults", 2)
    ]
    assert [len(bad.findings) for bad in found.quarantined] == [1, 1]


@pytest.mark.parametrize(
    ("headers", "codes"),
    [
        ('{x: "${MINE}"}', []),
        ('{x: "${MINE_UNSET}"}', ["EMPTY_ENV_VAR"]),
        ('{x: "${OTHER}"}', ["BAD_VALUE"]),
        ('{x: "${file:/run/secrets/x}"}', []),
        ('{x: "${file:/etc/shadow}"}', ["BAD_VALUE"]),
    ],
)
def test_secrets_reach_only_what_the_settings_allow(headers: str, codes: list[str]) -> None:
    rules = replace(RULES, secrets_env=("MINE*",))

    entry = f"{{namespace: a, name: a, port: 1, inject_headers: {headers}}}"
    found = loaded(servers(entry), rules, MINE="1", OTHER="2")

    assert [finding.code for finding in found.findings] == codes
    assert bool(found.quarantined) is ("BAD_VALUE" in codes)


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ("endpoints: ['http://a', 'http://169.254.169.254']", "servers[0].endpoints[1]"),
        ("endpoints: ['unix:/var/run/docker.sock']", "servers[0].endpoints[0]"),
        ("port: 1, health_url: 'http://[::ffff:169.254.1.1]/'", "servers[0].health_url"),
    ],
)
def test_denied_place_sets_the_server_aside(keys: str, path: str) -> None:
    (bad,) = loaded(servers(f"{{namespace: a, name: a, {keys}}}")).quarantined

    assert [(finding.code, finding.path) for finding in bad.findings] == [("BAD_URL", path)]


def test_denied_name_with_a_port_is_blamed_on_the_port() -> None:
    (bad,) = loaded(servers("{namespace: a, name: 169.254.1.1, port: 1}")).quarantined

    assert [finding.path for finding in bad.findings] == ["servers[0].port"]


def test_anchors_and_merge_keys_work() -> None:
    text = "servers:\n- &a {namespace: a, name: a, port: 1}\n- {<<: *a, namespace: b}\n"

    assert (names(loaded(text)), loaded(text).findings) == (["a", "b"], ())


def test_json_is_a_registry_too() -> None:
    assert names(loaded('{"servers": [{"namespace": "a", "name": "a", "port": 1}]}')) == ["a"]


def test_more_servers_than_anybody_has_are_no_registry() -> None:
    many = "servers: [" + "{}, " * 10_001 + "]"

    assert rejected(many) == "registry.yaml:1: servers: 10001 servers, and 10000 are the most"

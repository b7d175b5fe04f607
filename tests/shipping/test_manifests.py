"""The manifests: fit for who reads them, and true of what they start."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from proxy.config.settings import Settings, load_settings
from proxy.config.units import duration_s
from tests.shipping.dockerfile import said, stages
from tests.shipping.manifests import (
    COMPOSE,
    KUBERNETES,
    Part,
    pod,
    resource,
    services,
    sidecar_container,
    tool_server_container,
)
from tests.support.messages import post
from tests.support.sidecar import ROOT, environment, run_command
from tests.support.starters import StartSidecar

OLDEST_KUBERNETES = "1.30"  # has the `sleep` of preStop
NEWEST_KUBERNETES = "1.37"
RUNNING = re.compile(r"Running on http://[\d.]+:(\d+)")
TOOL_SERVER_AT = 8081

REGISTRIES = {
    "compose": (COMPOSE.parent / "compose" / "registry.yaml").read_text(),
    "kubernetes": resource("ConfigMap")["data"]["registry.yaml"],
}
TOOL_SERVERS = {
    "compose": services()["tool-server"]["entrypoint"],
    "kubernetes": tool_server_container()["command"],
}
in_each = pytest.mark.parametrize("manifest", ["compose", "kubernetes"])


# --- fit for who reads them ---


def test_compose_file_fits_the_published_schema() -> None:
    done = _run("check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE))

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, NEWEST_KUBERNETES])
def test_kubernetes_resources_fit_the_published_schemas(version: str) -> None:
    done = _run("kubernetes_validate", "--strict", "-k", version, str(KUBERNETES))

    passed = re.findall(r"passed for resource (\w+)/\S+ against version (\S+)", done.stdout)
    kinds = [(kind, version) for kind in ("configmap", "deployment", "service")]
    assert (done.returncode, passed) == (0, kinds), done.stdout


@in_each
def test_registry_is_accepted_without_a_word(manifest: str, tmp_path: Path) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text(REGISTRIES[manifest])

    done = run_command("check", extra={"REGISTRY_PATH": str(path)})

    counted = f"{path}: 1 servers, 1 tools, 0 quarantined\n"
    assert (done.returncode, done.stderr, done.stdout) == (0, "", counted)


# --- true of what they start ---


@pytest.fixture
def tool_server_port(manifest: str) -> Iterator[int]:
    """Where the manifest's tool server listens: here on any free port."""
    _, *arguments = (each.replace(f"{TOOL_SERVER_AT}", "0") for each in TOOL_SERVERS[manifest])
    process = subprocess.Popen(  # noqa: S603 - what the manifest says
        [sys.executable, *arguments], env=environment({}), stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout
        found = RUNNING.search(process.stdout.readline())
        assert found
        yield int(found[1])
        process.terminate()


@pytest.mark.sockets
@in_each
def test_call_reaches_the_tool(
    manifest: str, tool_server_port: int, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(_registry_for(manifest, tool_server_port))

    answer = sidecar.ask(post("/tools/text.upper", body=b'{"text": "hello"}'))

    assert (answer.status, answer.json()) == (200, {"text": "HELLO"})


@pytest.mark.sockets
@pytest.mark.parametrize("manifest", ["kubernetes"])
def test_probes_are_answered(
    manifest: str, tool_server_port: int, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(_registry_for(manifest, tool_server_port))
    asked = {each["path"] for each in _probes()}

    answered = {path: sidecar.get(path).status for path in asked}

    assert answered == {"/livez": 200, "/readyz": 200, "/servers/text/health": 200}


@pytest.mark.parametrize("manifest", ["compose"])
def test_health_check_of_the_tool_server_is_0(tool_server_port: int) -> None:
    check = services()["tool-server"]["healthcheck"]["test"]
    word, python, *arguments = (
        each.replace(f"{TOOL_SERVER_AT}", f"{tool_server_port}") for each in check
    )

    done = subprocess.run([sys.executable, *arguments], check=False)  # noqa: S603 - the manifest's

    assert (word, python, done.returncode) == ("CMD", "python", 0)


# --- true of one another ---


def test_tool_servers_are_where_the_registries_say() -> None:
    in_compose, in_kubernetes = (
        yaml.safe_load(REGISTRIES[name])["servers"][0] for name in ("compose", "kubernetes")
    )

    assert (in_compose["name"] in services(), in_compose["port"]) == (True, TOOL_SERVER_AT)
    assert in_kubernetes["endpoints"] == [f"http://127.0.0.1:{TOOL_SERVER_AT}"]


def test_registry_is_a_folder_that_is_mounted_where_it_is_looked_for() -> None:
    expected = Path(Settings().registry.path)
    (bind,) = services()["sidecar"]["volumes"]
    mount, _ = sidecar_container()["volumeMounts"]
    volume, _ = pod()["spec"]["volumes"]

    assert bind == f"./compose:{expected.parent}:ro"
    assert mount == {"name": "registry", "mountPath": str(expected.parent), "readOnly": True}
    assert volume["configMap"]["name"] == resource("ConfigMap")["metadata"]["name"]
    assert set(resource("ConfigMap")["data"]) == {expected.name}


def test_generations_are_kept_where_the_settings_have_them_and_the_image_can_write() -> None:
    expected = f"{said(stages()[-1], 'WORKDIR').argument}/{Settings().registry.store}"
    user = said(stages()[-1], "USER").argument.partition(":")[0]
    _, mount = sidecar_container()["volumeMounts"]
    _, volume = pod()["spec"]["volumes"]
    (tmpfs,) = services()["sidecar"]["tmpfs"]

    assert mount == {"name": volume["name"], "mountPath": expected}
    assert "emptyDir" in volume
    assert tmpfs.split(":")[0] == expected
    assert f"uid={user}" in tmpfs


def test_every_port_leads_to_the_one_that_the_image_exposes() -> None:
    exposed = said(stages()[-1], "EXPOSE").argument
    (named,) = sidecar_container()["ports"]
    (public,) = resource("Service")["spec"]["ports"]
    aliases = {named["name"]: exposed, int(exposed): exposed}

    assert services()["sidecar"]["ports"] == [f"127.0.0.1:{exposed}:{exposed}"]
    assert str(named["containerPort"]) == exposed
    assert {aliases[each["port"]] for each in _probes()} == {exposed}
    assert (str(public["port"]), aliases[public["targetPort"]]) == (exposed, exposed)
    assert pod()["metadata"]["annotations"]["prometheus.io/port"] == exposed


def test_labels_that_are_selected_are_there() -> None:
    labels = pod()["metadata"]["labels"]

    assert resource("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert resource("Service")["spec"]["selector"] == labels


def test_image_is_that_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    images = {each["image"] for each in (sidecar_container(), tool_server_container())}

    assert images == {f"toolproxy:{version}"}


def test_compose_waits_longer_than_a_drain() -> None:
    settings = Settings()

    patience_s = duration_s(services()["sidecar"]["stop_grace_period"])

    assert patience_s > settings.drain_delay_s + settings.drain_timeout_s
    assert "tool-server" in services()["sidecar"]["depends_on"]  # so it is stopped later


def test_kubernetes_waits_longer_than_a_drain() -> None:
    settings = _settings_of_the_pod()
    drain_s = settings.drain_delay_s + settings.drain_timeout_s
    (server,) = yaml.safe_load(REGISTRIES["kubernetes"])["servers"]
    ready = sidecar_container()["readinessProbe"]

    tool_server_s = tool_server_container()["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert duration_s(server["timeout"]) <= settings.drain_timeout_s
    assert ready["periodSeconds"] * ready["failureThreshold"] < settings.drain_delay_s
    assert drain_s < tool_server_s < pod()["spec"]["terminationGracePeriodSeconds"]


def test_sidecar_is_a_native_one_that_starts_first() -> None:
    container = sidecar_container()

    assert (container["restartPolicy"], "startupProbe" in container) == ("Always", True)


def test_nobody_has_rights_in_compose() -> None:
    for service in services().values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "configs" not in service  # Compose can't put any into a read-only container


def test_nobody_has_rights_in_kubernetes() -> None:
    user, group = map(int, said(stages()[-1], "USER").argument.split(":"))

    assert pod()["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": group,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for container in (sidecar_container(), tool_server_container()):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - built of constants
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False
    )


def _registry_for(manifest: str, port: int) -> str:
    """The manifest's registry, with its tool server on this machine."""
    registry = yaml.safe_load(REGISTRIES[manifest])
    registry["servers"][0]["endpoints"] = [f"http://127.0.0.1:{port}"]
    return yaml.safe_dump(registry)


def _probes() -> list[Part]:
    """What the kubelet asks by HTTP, of either container."""
    both = (sidecar_container(), tool_server_container())
    probes = [part for each in both for name, part in each.items() if name.endswith("Probe")]
    return [probe["httpGet"] for probe in probes]


def _settings_of_the_pod() -> Settings:
    environ = {each["name"]: each["value"] for each in sidecar_container()["env"]}
    return load_settings(None, environ, {})

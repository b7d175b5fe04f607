"""`conf/docker-compose.yaml` and `conf/kubernetes.yaml`, taken apart."""

from typing import Any, Final

import yaml

from tests.support.sidecar import ROOT

Part = dict[str, Any]

COMPOSE: Final = ROOT / "conf" / "docker-compose.yaml"
KUBERNETES: Final = ROOT / "conf" / "kubernetes.yaml"


def services() -> dict[str, Part]:
    """Of the Compose file, by name."""
    found: dict[str, Part] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def resource(kind: str) -> Part:
    """The one Kubernetes resource of that kind."""
    found: Part
    (found,) = (each for each in yaml.safe_load_all(KUBERNETES.read_text()) if each["kind"] == kind)
    return found


def pod() -> Part:
    """What each pod of the deployment is: annotations beside its specification."""
    found: Part = resource("Deployment")["spec"]["template"]
    return found


def sidecar_container() -> Part:
    found: Part
    (found,) = pod()["spec"]["initContainers"]
    return found


def tool_server_container() -> Part:
    found: Part
    (found,) = pod()["spec"]["containers"]
    return found

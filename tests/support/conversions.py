"""nginx's configurations as texts, converted and read back as what they mean."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from proxy.config.settings import load_settings
from proxy.config.shape import fit
from proxy.conversion.reading import read
from proxy.conversion.whole import convert
from proxy.registry.model import Server


class Converted(NamedTuple):
    """Settings and registry as mappings, and what was left out, a line each."""

    settings: dict[str, Any]
    registry: dict[str, Any]
    left_out: list[str]
    proxy_text: str

    @property
    def routes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.settings["routes"]
        return found

    @property
    def servers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.registry["servers"]
        return found

    @property
    def ways(self) -> list[tuple[str, object]]:
        """Of each route what of the path it asks for, and what it does, in short."""
        return [(_path(route.get("match", {})), _does(route)) for route in self.routes]


def converted(text: str) -> Converted:
    """Of a whole `nginx.conf`; what is written loads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nginx.conf"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        found = convert(read(str(path)), "nginx.conf", "registry.yaml")
        path.write_text(found.proxy)
        load_settings(str(path), {}, {})
    settings, registry = yaml.safe_load(found.proxy), yaml.safe_load(found.registry)
    assert [problem for server in registry["servers"] for problem in fit(Server, server)[1]] == []
    return Converted(settings, registry, [str(each) for each in found.left_out], found.proxy)


def of_server(inside: str, beside: str = "") -> Converted:
    """Of one server on port 80, with what stands beside it in `http`."""
    return converted(f"http {{ {beside} server {{ listen 80; {inside} }} }}")


def _path(match: dict[str, Any]) -> str:
    said = [f"{kind} {match[kind]}" for kind in ("exact", "prefix", "regex") if kind in match]
    return ", ".join(said)


def _does(route: dict[str, Any]) -> object:
    if "to" in route:
        return f"{route['to']} {route['rewrite']}" if "rewrite" in route else route["to"]
    if "redirect" in route:
        return f"{route['redirect']['status']} {route['redirect']['to']}"
    return route["respond"]["status"]

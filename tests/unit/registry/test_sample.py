"""Facts about the sample in `conf/registry.yaml`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec.structs import replace

from proxy.config.document import read_document
from proxy.config.settings import Settings
from proxy.registry.load import LoadRules, load
from proxy.registry.model import Dependencies, Server, Tool

SAMPLE = Path(__file__).parents[3] / "conf" / "registry.yaml"


def test_shown_registry_loads_without_a_word() -> None:
    rules = replace(LoadRules.of(Settings()), strict=True, secrets_env=("MANIFEST_*",))

    found = load(SAMPLE.read_bytes(), str(SAMPLE), rules, {"MANIFEST_TOKEN": "x"})

    assert (found.findings, len(found.servers)) == ((), 1)


def keys_of(kind: Any) -> Iterator[str]:
    for struct in [kind, *get_args(kind)]:
        if isinstance(struct, type) and issubclass(struct, msgspec.Struct):
            for field in msgspec.structs.fields(struct):
                yield field.encode_name
                yield from keys_of(field.type)


def written_keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for item in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from written_keys(item)


def test_shown_registry_has_every_key() -> None:
    root = read_document(SAMPLE.read_bytes()).root

    known = {key for kind in (Server, Tool, Dependencies) for key in keys_of(kind)}
    ours = {
        "defaults.timeout",
        "header",
        "cookie",
        "peer",
        "socket",
        "scheme",
        "host",
        "base",
        "key",
    }
    assert known - ours - set(written_keys(root)) == set()

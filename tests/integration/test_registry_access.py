"""Whose `/registry` is: who may read, who may order, and what is said of it to strangers."""

import hashlib
from collections.abc import Mapping
from typing import Final

import pytest
import yaml

from proxy.artifact import identity
from tests.support.messages import get, post
from tests.support.origin import Origin
from tests.support.sidecar import Server, Sidecar, registry, server
from tests.support.signing import Signer, artifact
from tests.support.starters import StartOrigin, StartSidecar

JSON: Final = b"Content-Type: application/json"
YAML: Final = b"Content-Type: application/yaml"
KEYS: Final = {
    "auth": {
        "api_keys": [
            {"name": "ops", "sha256": hashlib.sha256(b"of-ops").hexdigest(), "admin": True},
            {"name": "app", "sha256": hashlib.sha256(b"of-app").hexdigest()},
        ]
    }
}
ADMIN, CALLER = b"X-API-Key: of-ops", b"X-API-Key: of-app"
LITERAL: Final = {"inject_headers": {"authorization": "Bearer s3cr3t"}}
TEMPLATE: Final = {"inject_headers": {"authorization": "${file:/run/secrets/t}"}}


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


def put(path: str, *fields: bytes, body: bytes) -> bytes:
    return post(path, *fields, body=body).replace(b"POST", b"PUT", 1)


def status(sidecar: Sidecar, request: bytes) -> int:
    return sidecar.ask(request).status


def codes(document: Mapping[str, object]) -> list[str]:
    findings = document["findings"]
    assert isinstance(findings, list)
    return [each["code"] for each in findings]


def running(sidecar: Sidecar) -> str:
    found = sidecar.ask(get("/registry", ADMIN)).json()["active"]
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize("path", ["rollback", "accept", "unpin"])
def test_orders_of_anybody_are_refused_where_nobody_is_asked(
    path: str, origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", origin.url))
    body = b'{"generation": "%b"}' % running(sidecar).encode()

    answer = sidecar.ask(post(f"/registry/{path}", JSON, body=body))

    assert (answer.status, "takes the admin listener, or a key with" in str(answer.json())) == (
        403,
        True,
    )


@pytest.mark.parametrize(
    ("entry", "seen"), [(LITERAL, 403), (TEMPLATE, 200), ({}, 200)], ids=["said", "named", "none"]
)
def test_registry_that_says_a_secret_is_not_for_strangers(
    entry: Server, seen: int, origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar({**server("o", origin.url), **entry})

    answer = sidecar.ask(get(f"/registry/generations/{running(sidecar)}"))

    assert (answer.status, b"s3cr3t" in answer.body) == (seen, False)


def test_operators_by_key_see_it_as_it_is(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar({**server("o", origin.url), **LITERAL}, settings=KEYS)

    answer = sidecar.ask(get(f"/registry/generations/{running(sidecar)}", ADMIN))

    assert (answer.status, b"Bearer s3cr3t" in answer.body) == (200, True)


def test_callers_see_nothing_but_what_is_published_for_them(
    origin: Origin, start_sidecar: StartSidecar, tmp_path_factory: pytest.TempPathFactory
) -> None:
    signer, trusted = Signer(), tmp_path_factory.mktemp("keys")
    signer.is_trusted_in(trusted)
    document = yaml.safe_load(registry(server("o", origin.url)))
    signed = artifact(document, signer.signs(document, profile="laptop/prod"))
    sidecar = start_sidecar(
        server("o", origin.url), settings={**KEYS, "registry": {"trusted_keys": str(trusted)}}
    )
    place = "/registry/profiles/laptop/prod"

    published = [
        status(sidecar, put(place, JSON, *who, body=signed)) for who in ((), (CALLER,), (ADMIN,))
    ]
    read = [status(sidecar, get(place, *who)) for who in ((), (CALLER,), (ADMIN,))]
    hidden = [status(sidecar, get(path, CALLER)) for path in ("/registry", "/registry/history")]

    assert (published, read, hidden) == ([401, 403, 201], [401, 200, 200], [403, 403])
    assert sidecar.ask(get(place, CALLER)).json()["artifact_id"] == identity(document)


@pytest.mark.parametrize(
    ("field", "answered"),
    [(JSON, 200), (YAML, 200), (b"Content-Type: text/plain", 415), (b"X-No: type", 415)],
    ids=["json", "yaml", "form", "none"],
)
def test_candidate_is_compared_in_a_type_that_no_form_sends(
    field: bytes, answered: int, origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", origin.url))
    candidate = registry(server("o", origin.url, tools=["call", "more"])).encode()

    answer = sidecar.ask(post("/registry/diff", field, body=candidate))

    assert answer.status == answered


def test_candidate_that_would_be_rejected_is_unknown_and_says_why(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", origin.url))

    answer = sidecar.ask(post("/registry/diff", YAML, body=b"servers: 7"))

    said = answer.json()
    assert (answer.status, said["status"]) == (422, "unknown")
    assert codes(said) == ["BAD_TYPE"]


def test_signature_of_a_candidate_that_does_not_count_is_a_finding(
    origin: Origin, start_sidecar: StartSidecar, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trusted = tmp_path_factory.mktemp("keys")
    Signer().is_trusted_in(trusted)
    document = yaml.safe_load(registry(server("o", origin.url)))
    forged = artifact(document, Signer("stranger").signs(document))
    sidecar = start_sidecar(
        server("o", origin.url), settings={"registry": {"trusted_keys": str(trusted)}}
    )

    said = sidecar.ask(post("/registry/diff", JSON, body=forged)).json()

    assert (said["status"], codes(said)) == ("up-to-date", ["UNKNOWN_KEY"])

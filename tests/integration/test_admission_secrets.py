"""Where can a secret be read? Nowhere: not where it is refused, judged, used, logged or counted.

Every secret of the scene is unlike any other text, so that each place is searched for all of them.
"""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.admission_scene import (
    AS_CI,
    AS_NOBODY,
    AS_OPS,
    CI,
    OPS,
    UNKNOWN,
    bearer,
    digest,
    shared_scene,
    usual,
    x_api_key,
)
from tests.support.admission_tokens import token, trusting
from tests.support.event_reader import EventReader
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar
from tests.support.waiting import eventually

FILED: Final = "filed-Wc51jRe3uTyGh8"
INJECTED: Final = "injected-Pn27sXd6iLkOa9"
FROM_ENVIRONMENT: Final = "environment-Vq64bFm1oHzUe2"
SENSITIVE: Final = "sensitive-Ja38cYt5nQwEi7"
TOKEN: Final = token("ada-the-subject")
OLD_TOKEN: Final = token("bob-the-subject", lives_for_s=-600)
SECRETS: Final = (
    CI,
    OPS,
    UNKNOWN,
    FILED,
    INJECTED,
    FROM_ENVIRONMENT,
    SENSITIVE,
    TOKEN,
    OLD_TOKEN,
    TOKEN.rpartition(".")[2],
    OLD_TOKEN.rpartition(".")[2],
    digest(CI),
    digest(OPS),
    digest(UNKNOWN),
    digest(FILED),
)
SHOWN: Final = (
    "/tools",
    "/health",
    "/readyz",
    "/livez",
    "/metrics",
    "/registry",
    "/events?format=json&limit=1000",
    "/events?format=json&since=24h&limit=1000",
    "/events/abc/summary",
    "/api/v1/servers",
    "/api/v1/servers/f",
    "/api/v1/tools",
    "/capabilities/server",
    "/capabilities/tools",
    "/",
)


class Scene(NamedTuple):
    """A sidecar that says all it can, and where it writes."""

    origin: Origin
    sidecar: Sidecar
    directory: Path


@pytest.fixture(scope="module", params=["info", "debug"])
def scene(
    request: pytest.FixtureRequest,
    loop_thread: LoopThread,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("secrets")
    (directory / "filed").write_text(FILED + "\n")
    (directory / "injected").write_text(INJECTED + "\n")
    settings = usual(
        secrets={"dir": str(directory), "env": ["OF_THE_ENVIRONMENT"]},
        log_level=request.param,
        access_log=str(directory / "access.log"),
        access_format="json",
        events={"journal": str(directory / "events.jsonl")},
    )
    auth = settings["auth"]
    assert isinstance(auth, dict)
    filed = {"name": "filed", "key": f"${{file:{directory}/filed}}", "admin": True}
    auth["api_keys"].append(filed)
    auth["jwt"] = trusting(directory)
    injected = {
        "x-injected": f"${{file:{directory}/injected}}",
        "authorization": "Bearer ${OF_THE_ENVIRONMENT}",
    }
    tool = {"name": "call", "sensitive_params": ["password"]}
    f = {"namespace": "f", "name": "f", "tools": [tool], "inject_headers": injected}
    extra = {"OF_THE_ENVIRONMENT": FROM_ENVIRONMENT}
    with shared_scene(loop_thread, directory, settings, f, extra=extra) as (origin, sidecar):
        yield Scene(origin, sidecar, directory)


def everything_done(sidecar: Sidecar) -> list[bytes]:
    """All kinds of callers and calls; what they were answered."""
    body = b'{"password":"%s"}' % SENSITIVE.encode()
    credentials = (
        [AS_CI],
        [AS_OPS],
        [AS_NOBODY],
        [x_api_key(FILED)],
        [bearer(TOKEN)],
        [bearer(OLD_TOKEN)],
        [bearer(UNKNOWN)],
        [AS_CI, bearer(OLD_TOKEN)],
        [AS_CI, AS_NOBODY],
        [AS_OPS, b"Request-Timeout: " + UNKNOWN.encode()],
        [b"Authorization: " + OPS.encode()],
        [b"Authorization: Basic " + UNKNOWN.encode()],
    )
    answers = [
        sidecar.ask(post(target, *fields, body=body))
        for target in ("/tools/ox.call", "/tools/nobody.x", "/servers/f/mcp")
        for fields in credentials
    ]
    return [answer.head + answer.body for answer in answers]


def found_in(text: bytes) -> list[str]:
    return [secret for secret in SECRETS if secret.encode() in text]


def test_secret_is_in_no_answer(scene: Scene) -> None:
    assert found_in(b"".join(_without_echo(each) for each in everything_done(scene.sidecar))) == []


def test_secret_is_in_no_file_and_no_log(scene: Scene) -> None:
    everything_done(scene.sidecar)
    scene.sidecar.signal(signal.SIGHUP)
    assert eventually(lambda: scene.sidecar.said("Registry generation 2"))
    scene.sidecar.ask(post("/tools/f.call", AS_OPS, b"X-Chora-Trace-Id: the-end"))
    files = [scene.directory / name for name in ("access.log", "events.jsonl")]
    assert eventually(lambda: all(b"the-end" in file.read_bytes() for file in files))

    assert [found_in(file.read_bytes()) for file in files] == [[], []]
    assert found_in(scene.sidecar.stderr.encode()) == []


@pytest.mark.parametrize("path", SHOWN)
def test_secret_is_on_no_page(scene: Scene, path: str) -> None:
    everything_done(scene.sidecar)

    for key in ([], [AS_CI], [AS_OPS]):
        answer = scene.sidecar.ask(get(path, *key))
        assert found_in(answer.head + answer.body) == []


def test_secret_is_in_no_event(scene: Scene) -> None:
    with EventReader(scene.sidecar.port, "/events", AS_OPS.decode()) as reader:
        everything_done(scene.sidecar)
        scene.sidecar.ask(post("/tools/f.call", AS_OPS, b"X-Chora-Trace-Id: the-end"))
        reader.until(lambda each: each.json()["trace_id"] == "the-end")

        assert found_in(reader.text) == []


def test_injected_secret_goes_to_its_upstream_alone(scene: Scene) -> None:
    origin, sidecar, _ = scene
    origin.calls = []

    to_f = sidecar.ask(post("/tools/f.call", AS_OPS, b"X-Injected: mine"))
    sidecar.ask(post("/tools/o.call", AS_OPS))

    assert to_f.status == 200
    assert [visit.values("x-injected") for visit in origin.calls] == [[INJECTED], []]
    assert origin.calls[0].values("authorization") == [f"Bearer {FROM_ENVIRONMENT}"]


def test_secret_is_not_in_the_command_line(scene: Scene) -> None:
    line = Path(f"/proc/{scene.sidecar.pid}/cmdline").read_bytes()

    assert found_in(line) == []


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "ci", "key": CI, "allow": "o.*"},
        {"name": "ci", "key": CI, "sha256": digest(CI)},
        {"name": "ci", "sha256": CI},
        {"name": CI, "key": [CI]},
        {"name": "ci", "key": CI + "\x01"},
        {"name": "ci", "key": CI, "rate": CI},
        {CI: "ci"},
        CI,
    ],
    ids=["grant", "both", "no-digest", "list", "control-octet", "rate", "turned-round", "bare"],
)
def test_complaint_about_settings_shows_no_key(scene: Scene, entry: object) -> None:
    sidecar = scene.sidecar
    before, told = sidecar.settings_path.read_text(), len(sidecar.stderr)
    rejected = sidecar.stderr.count("Settings rejected")

    sidecar.write_settings({"auth": {"api_keys": [entry]}})
    sidecar.signal(signal.SIGHUP)

    said = eventually(lambda: sidecar.stderr.count("Settings rejected") > rejected, within_s=3)
    sidecar.settings_path.write_text(before)
    sidecar.signal(signal.SIGHUP)
    assert found_in(sidecar.stderr[told:].encode()) == []
    assert said, "these settings were taken"


def _without_echo(answer: bytes) -> bytes:
    """Not what the upstream, which was called, tells of its call."""
    return b"" if answer.startswith(b"HTTP/1.1 200") else answer

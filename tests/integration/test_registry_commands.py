"""`toolproxy registry history | show | rollback | unpin | accept` against a running sidecar."""

from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from proxy.artifact import identity
from tests.support.admission_scene import CI, OPS, usual
from tests.support.messages import post
from tests.support.origin import Origin
from tests.support.ports import refusing_port
from tests.support.publisher import Done, Publisher, runs, status_of, url_for_orders
from tests.support.sidecar import Sidecar, registry, run_command, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

ABSENT: Final = "0" * 64
COMMANDS: Final = (
    ("history",),
    ("show",),
    ("show", ABSENT),
    ("rollback", ABSENT),
    ("unpin",),
    ("accept", ABSENT),
)


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path / "publisher")


class Scene:
    """A sidecar whose file was published twice, and commands that are for it."""

    def __init__(self, sidecar: Sidecar, publisher: Publisher, origin: Origin) -> None:
        self.sidecar = sidecar
        self.publisher = publisher
        self.first = status_of(sidecar)["active"]
        text = registry(server("o", origin.url, tools=["call", "more"]))
        self.second = publisher.publishes(sidecar.registry_path, text)["identity"]

    def asks(self, *words: str) -> Done:
        return run_command("registry", *words, "--url", url_for_orders(self.sidecar))

    def told(self, *words: str) -> Any:
        done = self.asks(*words)
        assert (done.returncode, done.stderr) == (0, ""), done
        return orjson.loads(done.stdout)


@pytest.fixture
def scene(
    start_origin: StartOrigin, start_sidecar: StartSidecar, publisher: Publisher, tmp_path: Path
) -> Scene:
    origin = start_origin()
    publisher.publishes(tmp_path / "registry.yaml", registry(server("o", origin.url)))
    settings = {"admin": "127.0.0.1:0", "registry": {"trusted_keys": str(publisher.trusted)}}
    text = publisher.file.read_text()
    scene = Scene(start_sidecar(text, settings=settings), publisher, origin)
    assert runs(scene.sidecar, scene.second)
    return scene


def test_history_has_the_newest_first(scene: Scene) -> None:
    rows = scene.told("history")["activations"]

    shown = [(row["generation"], row["reason"], row["version"]) for row in rows]
    assert shown == [(scene.second, "source", 2), (scene.first, "start", 1)]
    assert rows[0]["signed_by"] == scene.publisher.key_id


def test_history_ends_where_it_is_told_to(scene: Scene) -> None:
    rows = scene.told("history", "--limit", "1")["activations"]

    assert [row["generation"] for row in rows] == [scene.second]


def test_show_is_what_the_sidecar_says_of_itself(scene: Scene) -> None:
    assert scene.told("show") == status_of(scene.sidecar)


def test_a_generation_is_shown_by_its_first_digits(scene: Scene) -> None:
    found = scene.told("show", scene.first[:8])

    whole = (found["artifact_id"], identity(found["payload"]), found["envelope"]["version"])
    assert whole == (scene.first, scene.first, 1)


def test_what_is_written_is_what_verify_takes(scene: Scene, tmp_path: Path) -> None:
    file = tmp_path / "shown.json"

    done = scene.asks("show", scene.first, "--out", str(file))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    trusted = str(scene.publisher.trusted)
    assert run_command("registry", "verify", str(file), "--trusted", trusted).returncode == 0


def test_a_rollback_holds_until_it_is_unpinned(scene: Scene) -> None:
    back = scene.told("rollback", scene.first[:12])
    gone = scene.sidecar.ask(post("/tools/o.more")).status
    on = scene.told("unpin")
    again = scene.asks("unpin")

    assert (back["active"], back["pinned"], gone) == (scene.first, True, 404)
    assert (on["active"], on["pinned"]) == (scene.second, False)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "Nothing is pinned" in again.stderr


def test_what_is_held_waits_for_accept(
    start_origin: StartOrigin, start_sidecar: StartSidecar, publisher: Publisher
) -> None:
    origin = start_origin()
    own = {"on_breaking": "hold", "trusted_keys": str(publisher.trusted)}
    settings = {"admin": "127.0.0.1:0", "registry": own}
    sidecar = start_sidecar(server("o", origin.url, tools=["call", "more"]), settings=settings)
    text = registry(server("o", origin.url))
    breaking = publisher.publishes(sidecar.registry_path, text, "--allow-breaking")["identity"]
    assert holds(sidecar, breaking)

    done = run_command("registry", "accept", breaking[:8], "--url", url_for_orders(sidecar))

    assert (done.returncode, orjson.loads(done.stdout)["active"]) == (0, breaking)


def holds(sidecar: Sidecar, generation: object) -> bool:
    return eventually(lambda: bool(status_of(sidecar)["held"] == generation))


def test_a_store_says_the_same_as_its_sidecar(scene: Scene) -> None:
    store = ("--store", str(scene.sidecar.directory / "generations"))

    for words in (("history",), ("show", scene.first[:8]), ("show", scene.second)):
        offline = run_command("registry", *words, *store)
        assert (orjson.loads(offline.stdout), offline.stderr) == (scene.told(*words), "")
    status, told = orjson.loads(run_command("registry", "show", *store).stdout), scene.told("show")
    assert status == {name: told[name] for name in status}


# --- refusals ---


def test_what_is_not_kept_is_status_1(scene: Scene) -> None:
    done = scene.asks("rollback", ABSENT)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_what_is_not_in_a_store_is_status_1(scene: Scene) -> None:
    store = str(scene.sidecar.directory / "generations")

    done = run_command("registry", "show", ABSENT, "--store", store)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_there_is_one_sentence(command: tuple[str, ...]) -> None:
    with refusing_port() as port:
        done = run_command("registry", *command, "--url", f"http://127.0.0.1:{port}")

    said = f"toolproxy: Nothing answers at http://127.0.0.1:{port}: is the sidecar running?\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


@pytest.mark.parametrize(("secret", "status"), [(CI, 1), (OPS, 0)], ids=["a-caller", "an-operator"])
def test_orders_take_an_admin_key(
    start_origin: StartOrigin, start_sidecar: StartSidecar, secret: str, status: int
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url), settings=usual())
    url = ("--url", f"http://127.0.0.1:{sidecar.port}")
    key = {"TOOLPROXYCTL_API_KEY": OPS}
    active = orjson.loads(run_command("registry", "show", *url, extra=key).stdout)["active"]

    done = run_command("registry", "rollback", active, *url, extra={"TOOLPROXYCTL_API_KEY": secret})

    assert done.returncode == status, done
    assert secret not in done.stdout + done.stderr


def test_nobody_orders_where_nobody_is_known(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url))

    done = run_command("registry", "unpin", "--url", f"http://127.0.0.1:{sidecar.port}")

    assert (done.returncode, "admin" in done.stderr) == (1, True)

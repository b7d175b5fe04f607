"""Can what runs be changed by who may not, or lost by who is clumsy?

Real sidecars are given forged, old, torn and swapped registries, orders from the wrong side, and
names and bodies that no operator sends. What ran before goes on running, and the reason is said.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import orjson
import pytest

from proxy.artifact import Signed, TrustedKey, identity, moment, public_document
from tests.support.admission_scene import AS_CI, operators_ask, operators_port, usual, verdict
from tests.support.caller import Answer, Caller
from tests.support.hardening_holdings import BACK_WITHIN_S, descriptors_of
from tests.support.messages import get, message, post
from tests.support.problems import problem_of
from tests.support.sidecar import Sidecar, registry, run_command, server
from tests.support.signatures import NOW_S, PRIVATE, private_key, signed
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

Document = dict[str, object]

ADMIN: Final = {"admin": "127.0.0.1:0"}
ORDERS: Final = ("rollback", "accept", "unpin")
JSON: Final = b"Content-Type: application/json"
STRANGER: Final = private_key(2)
UPSTREAM: Final = "http://127.0.0.1:9"
STORM_ROUNDS: Final = 24
ROLLBACKS: Final = 12
ENDLESS_BYTES: Final = 96 << 20
MOST_KEPT_BYTES: Final = 160 << 20
HIDDEN: Final = "hidden-Kw83nTq"


def document(*namespaces: str, url: str = UPSTREAM) -> Document:
    return {"servers": [dict(server(each, url)) for each in namespaces]}


OLD: Final = document("a")
RUNS: Final = document("a", "b")
WANTED: Final = document("a", "c")


class Fleet:
    """A sidecar that takes up nothing but what was signed, and the folder that it reads."""

    def __init__(self, folder: Path, start: StartSidecar) -> None:
        self.folder = folder
        self._start = start
        self.trusted = folder / "trusted"
        self.trusted.mkdir()
        public = public_document(TrustedKey(PRIVATE.public_key), moment(NOW_S))
        (self.trusted / "fleet.pub").write_bytes(orjson.dumps(public))

    def starts(self, registry: Document, version: int, **more: object) -> None:
        self.write_signature(orjson.dumps(signed(registry, version=version).document()))
        self.sidecar = self._start(orjson.dumps(registry).decode(), settings=self.settings(**more))

    def settings(self, **more: object) -> Mapping[str, object]:
        own = {"require_signature": True, "trusted_keys": str(self.trusted)}
        return ADMIN | {"registry": own | more}

    def write(self, text: bytes) -> None:
        self._replace("registry.yaml", text)

    def write_signature(self, text: bytes) -> None:
        self._replace("registry.yaml.sig", text)

    def publishes(self, registry: Document, by: Signed) -> None:
        self.write_signature(orjson.dumps(by.document()))
        self.write(orjson.dumps(registry))

    def takes_up(self, registry: Document, version: int) -> bool:
        self.publishes(registry, signed(registry, version=version))
        return eventually(lambda: self.runs == (identity(registry), ""))

    @property
    def runs(self) -> tuple[object, object]:
        status = status_of(self.sidecar)
        return status["active"], status["problem"]

    def refuses(self, why: str) -> bool:
        """Whether this comes to be what is wrong with the source."""
        return eventually(lambda: why in str(self.runs[1]))

    def _replace(self, name: str, text: bytes) -> None:
        (self.folder / "new").write_bytes(text)
        (self.folder / "new").replace(self.folder / name)


@pytest.fixture
def fleet(tmp_path: Path, start_sidecar: StartSidecar) -> Fleet:
    return Fleet(tmp_path, start_sidecar)


def status_of(sidecar: Sidecar) -> Document:
    return operators_ask(sidecar, get("/registry")).json()


def order(sidecar: Sidecar, name: str, registry: Document, *fields: bytes) -> Answer:
    body = orjson.dumps({"generation": identity(registry)})
    return operators_ask(sidecar, post(f"/registry/{name}", JSON, *fields, body=body))


def artifact(registry: object, by: Signed, **more: object) -> bytes:
    return orjson.dumps({"payload": registry, **by.document(), **more})


def forged() -> Iterator[tuple[str, bytes, bytes]]:
    """Why it is refused, the registry and its `.sig`; no two that follow each other are alike."""
    good = signed(WANTED, version=9)
    text, envelope = orjson.dumps(WANTED), good.envelope._asdict()

    def beside(by: Signed) -> tuple[bytes, bytes]:
        return text, orjson.dumps(by.document())

    def changed(**keys: object) -> tuple[bytes, bytes]:
        return text, orjson.dumps({"envelope": envelope | keys, "signature": good.signature})

    twice = orjson.dumps(good.document())[:-1] + b',"envelope":' + orjson.dumps(envelope) + b"}"
    strangers = signed(WANTED, version=9, private=STRANGER)
    in_our_name = strangers.envelope._replace(key_id=PRIVATE.key_id)
    yield "is not trusted", *beside(strangers)
    yield "is not what", *beside(strangers._replace(envelope=in_our_name))
    yield "for profile other", *beside(signed(WANTED, version=9, profile="other"))
    yield "is older", *beside(signed(WANTED, version=1))
    yield "was another registry", *beside(signed(WANTED, version=2))
    yield "not the one that was signed", *beside(signed(OLD, version=9))
    yield "is not what", *changed(version=10)
    yield "nothing else", *changed(more=1)
    yield "whole number", *changed(version=True)
    yield "each key once", text, twice
    yield "longer than", text, b"[" * 20_000
    yield "not the one that was signed", artifact(OLD, good), b""
    yield "nothing else", artifact(WANTED, good, more=1), b""
    yield "artifact_id", artifact(WANTED, good, artifact_id="0" * 64), b""


def test_no_forgery_runs_and_each_is_told_why(fleet: Fleet) -> None:
    fleet.starts(RUNS, 2)

    for why, text, signature in forged():
        fleet.write_signature(signature)
        fleet.write(text)

        assert fleet.refuses(why), (why, fleet.runs)
        assert fleet.runs[0] == identity(RUNS), why

    assert fleet.takes_up(WANTED, 9)


def test_a_storm_of_liars_never_wins_and_a_good_pair_always_does(fleet: Fleet) -> None:
    fleet.starts(RUNS, 1)
    good = [document("a", f"good{number}") for number in range(STORM_ROUNDS)]
    ran: set[object] = set()

    for version, wanted in enumerate(good, 2):
        bad, by = document("a", f"bad{version}"), signed(wanted, version=version)
        fleet.publishes(bad, signed(bad, version=99, private=STRANGER))
        # Most are gone before they are looked at; some must not be.
        assert version % 6 or fleet.refuses("not trusted")
        pair = [
            (fleet.write, orjson.dumps(wanted)),
            (fleet.write_signature, orjson.dumps(by.document())),
        ]
        for write, text in pair[:: 1 if version % 2 else -1]:
            write(text)
            ran.add(fleet.runs[0])

    assert eventually(lambda: fleet.runs == (identity(good[-1]), ""))
    assert ran <= {identity(each) for each in (RUNS, *good)}


def test_an_old_registry_does_not_come_back_by_a_restart(fleet: Fleet) -> None:
    fleet.starts(OLD, 1)
    assert fleet.takes_up(RUNS, 5)
    fleet.sidecar.close()
    (fleet.folder / "generations" / "refs" / "floors").write_bytes(b"torn")

    fleet.starts(OLD, 4)

    assert fleet.runs[0] == identity(RUNS)
    assert fleet.refuses("older")


def test_what_min_version_revokes_runs_neither_by_rollback_nor_by_restart(fleet: Fleet) -> None:
    fleet.starts(OLD, 1)
    assert fleet.takes_up(RUNS, 5)
    fleet.sidecar.write_settings(fleet.settings(min_version=6))
    fleet.sidecar.signal(signal.SIGHUP)
    assert fleet.refuses("older")

    back = order(fleet.sidecar, "rollback", OLD)
    fleet.sidecar.close()
    again = run_command("run", "-c", str(fleet.sidecar.settings_path))

    assert (back.status, "older" in str(problem_of(back)["detail"])) == (409, True)
    assert (again.returncode, "version 5 is older than 6" in again.stderr) == (2, True), again


@pytest.mark.parametrize(
    "lay",
    [
        pytest.param(lambda path: path.mkdir(), id="folder"),
        pytest.param(os.mkfifo, id="fifo"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), id="endless"),
    ],
)
@pytest.mark.parametrize("name", ["registry.yaml", "registry.yaml.sig"])
def test_what_is_no_file_is_refused_and_holds_nobody_up(
    fleet: Fleet, name: str, lay: Callable[[Path], object]
) -> None:
    fleet.starts(RUNS, 2)
    path = fleet.folder / name
    path.unlink()

    lay(path)

    assert fleet.refuses("registry.yaml")
    assert fleet.runs[0] == identity(RUNS)
    if path.is_dir():
        path.rmdir()
    assert fleet.takes_up(WANTED, 3)


@pytest.mark.parametrize("path", ["generations/{}", "profiles/{}/p", "profiles/c/{}"])
def test_no_name_leads_out_of_the_store(start_sidecar: StartSidecar, path: str) -> None:
    sidecar = start_sidecar(server("a", UPSTREAM), settings=ADMIN)
    names = ("..", "%2e%2e%2f%2e%2e", "..%2frefs%2factive", "%00", "%C3%A9", "a" * 7000, ".lock")

    answers = [operators_ask(sidecar, get("/registry/" + path.format(name))) for name in names]

    assert {answer.status for answer in answers} <= {400, 404}
    assert all(problem_of(answer)["detail"] for answer in answers)


def test_a_page_elsewhere_gives_no_orders(start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("a", UPSTREAM), settings=ADMIN)
    origins = [(JSON, b"Origin: " + origin) for origin in (b"http://evil.example", b"null")]
    forms = [(b"Content-Type: " + form,) for form in (b"text/plain", b"multipart/form-data")]

    refused = [
        {verdict(operators_ask(sidecar, post(f"/registry/{name}", *fields))) for name in ORDERS}
        for fields in (*origins, *forms)
    ]

    assert refused == [{(403, "origin_not_allowed")}] * 2 + [{(415, "unsupported_media_type")}] * 2


@pytest.mark.parametrize("settings", [{}, usual()], ids=["open", "guarded"])
def test_only_operators_give_orders(
    start_sidecar: StartSidecar, settings: Mapping[str, object]
) -> None:
    sidecar = start_sidecar(server("a", UPSTREAM), settings=settings)
    body = orjson.dumps({"generation": identity(RUNS)})
    fields = (JSON, AS_CI) if settings else (JSON,)
    put = message(b"PUT /registry/profiles/c/p HTTP/1.1", b"Host: a", b"Content-Length: 0", *fields)

    answers = [sidecar.ask(post(f"/registry/{name}", *fields, body=body)) for name in ORDERS]

    assert {answer.status for answer in (*answers, sidecar.ask(put))} == {403}


def secretive(mark: str, *namespaces: str) -> bytes:
    secret = HIDDEN + mark
    pin = {"type": "string", "default": secret}
    schema = {"properties": {"pin": pin}, "examples": [{"pin": secret}]}
    tool = {"name": "call", "sensitive_params": ["pin"], "input_schema": schema}
    kept = {"authorization": f"Bearer {secret}"}
    health = f"{UPSTREAM}/health?key={secret}"
    return registry(
        *(
            server(each, UPSTREAM, tools=[tool], inject_headers=kept, health_url=health)
            for each in namespaces
        )
    ).encode()


def test_no_secret_is_in_anything_that_is_shown_of_a_registry(start_sidecar: StartSidecar) -> None:
    hold = ADMIN | {"registry": {"on_breaking": "hold"}}
    sidecar = start_sidecar(secretive("1", "a", "b").decode(), settings=hold)
    less = secretive("2", "a")

    difference = operators_ask(sidecar, post("/registry/diff", JSON, body=less)).body
    sidecar.registry_path.write_bytes(less)
    assert eventually(lambda: status_of(sidecar)["held"])

    paths = ("/registry", "/registry/history", "/readyz", "/metrics", "/events?format=json")
    shown = b"".join(operators_ask(sidecar, get(path)).body for path in paths)
    assert b"inject_headers.authorization" in difference
    assert HIDDEN not in f"{shown!r}{difference!r}{sidecar.stderr}"


def test_an_endless_candidate_is_cut_and_not_kept(start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("a", UPSTREAM), settings=ADMIN)
    fields = (b"Host: localhost", JSON, b"Transfer-Encoding: chunked")
    piece = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    sidecar.forget_peak()

    with Caller(operators_port(sidecar)) as caller:
        caller.send(message(b"POST /registry/diff HTTP/1.1", *fields))
        for _ in range(ENDLESS_BYTES // (1 << 20)):
            caller.send_as_far_as_it_goes(piece)
        answer = caller.answer()

    assert problem_of(answer)["code"] == "body_too_large"
    assert sidecar.peak_bytes() < MOST_KEPT_BYTES


def test_a_stalled_candidate_holds_up_nobody_elses(start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("a", UPSTREAM), settings=ADMIN)
    stalled = post("/registry/diff", JSON, body=b"{}").replace(b"Host: a", b"Host: localhost")

    with Caller(operators_port(sidecar)) as caller:
        caller.send(stalled[:-1])
        caller.wait_until_read()
        answer = operators_ask(sidecar, post("/registry/diff", JSON, body=orjson.dumps(RUNS)))

    assert answer.status == 200


def test_a_rollback_fails_no_call_and_keeps_no_descriptor(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    url = start_origin().url
    both = [document("a", url=url), document("a", "b", url=url)]
    sidecar = start_sidecar(orjson.dumps(both[0]).decode(), settings=ADMIN)
    sidecar.registry_path.write_bytes(orjson.dumps(both[1]))
    assert eventually(lambda: status_of(sidecar)["active"] == identity(both[1]))
    before, over, statuses = descriptors_of(sidecar), threading.Event(), set()

    def call() -> None:
        while not over.is_set():
            statuses.add(sidecar.ask(post("/tools/a.call")).status)

    calling = threading.Thread(target=call)
    calling.start()
    answers = [order(sidecar, "rollback", both[turn % 2]).status for turn in range(ROLLBACKS)]
    over.set()
    calling.join()

    assert (statuses, set(answers)) == ({200}, {200})
    assert eventually(lambda: descriptors_of(sidecar) <= before + 2, within_s=BACK_WITHIN_S)

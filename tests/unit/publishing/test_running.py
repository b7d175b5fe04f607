from pathlib import Path
from typing import Final

import orjson
import pytest

from proxy.artifact import canonical, identity
from proxy.publishing.signing import split_artifact
from tests.support.messages import ok
from tests.support.origin import Origin
from tests.support.publishing import Desk, Ended
from tests.support.scripts import answers
from tests.support.signatures import signed
from tests.support.starters import StartOrigin

DOCUMENT: Final[dict[str, object]] = {"servers": []}
NAME: Final = identity(DOCUMENT)


def served(**other: object) -> bytes:
    beside = signed(DOCUMENT).document()
    return orjson.dumps({"artifact_id": NAME, "payload": DOCUMENT, **beside, **other})


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin(answers(ok(served())))


def asked(desk: Desk, origin: Origin, *words: object) -> Ended:
    return desk.ask(*words, "--url", origin.url)


def test_a_generation_is_written_as_sidecars_read_it(
    desk: Desk, origin: Origin, tmp_path: Path
) -> None:
    ended = asked(desk, origin, "show", NAME[:8], "--out", tmp_path / "out.json")

    assert (ended.status, ended.out) == (0, "")
    assert split_artifact((tmp_path / "out.json").read_bytes()) == (DOCUMENT, signed(DOCUMENT))


def test_one_that_nobody_signed_is_written_without_signature(
    desk: Desk, start_origin: StartOrigin, tmp_path: Path
) -> None:
    origin = start_origin(answers(ok(served(envelope=None, signature=None))))

    ended = asked(desk, origin, "show", NAME, "--out", tmp_path / "out.json")

    written = (tmp_path / "out.json").read_bytes()
    assert (ended.status, split_artifact(written)) == (0, (DOCUMENT, None))
    assert canonical(DOCUMENT) in written


LIES: Final = {
    "other-name": served(artifact_id="0" * 64),
    "no-name": served(artifact_id=None),
    "other-payload": served(payload={"servers": [1]}),
    "no-payload": b"{}",
}


@pytest.mark.parametrize("body", LIES.values(), ids=LIES.keys())
def test_a_generation_that_is_another_one_is_not_shown(
    desk: Desk, start_origin: StartOrigin, tmp_path: Path, body: bytes
) -> None:
    origin = start_origin(answers(ok(body)))

    ended = asked(desk, origin, "show", NAME, "--out", tmp_path / "out.json")

    assert (ended.status, ended.out, (tmp_path / "out.json").exists()) == (1, "", False)
    assert f"not generation {NAME}" in ended.err


def test_a_signature_that_is_none_is_not_written(
    desk: Desk, start_origin: StartOrigin, tmp_path: Path
) -> None:
    origin = start_origin(answers(ok(served(signature="AAAA"))))

    ended = asked(desk, origin, "show", NAME, "--out", tmp_path / "out.json")

    assert (ended.status, (tmp_path / "out.json").exists()) == (1, False)


@pytest.mark.parametrize("name", ["", "abcdef1", "ABCDEF12", "../../etc", "a" * 65, "latest"])
@pytest.mark.parametrize("command", ["show", "rollback", "accept"])
def test_what_names_no_generation_is_not_asked_for(
    desk: Desk, origin: Origin, command: str, name: str
) -> None:
    ended = asked(desk, origin, command, name)

    assert (ended.status, origin.calls) == (2, [])
    assert "names no generation" in ended.err


def test_a_file_is_for_a_generation(desk: Desk, origin: Origin, tmp_path: Path) -> None:
    ended = asked(desk, origin, "show", "--out", tmp_path / "out.json")

    assert (ended.status, origin.calls) == (2, [])
    assert "--out needs the generation" in ended.err


@pytest.mark.parametrize("command", ["rollback", "accept", "unpin"])
def test_an_order_says_what_it_is_about(
    desk: Desk, start_origin: StartOrigin, command: str
) -> None:
    origin = start_origin(answers(ok(b'{"active":"b"}')))
    words = () if command == "unpin" else (NAME,)

    ended = asked(desk, origin, command, *words)

    (visit,) = origin.calls
    body = {} if command == "unpin" else {"generation": NAME}
    assert (visit.target.decode(), orjson.loads(visit.body)) == (f"/registry/{command}", body)
    assert (ended.status, ended.document) == (0, {"active": "b"})

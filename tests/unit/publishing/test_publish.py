"""What is published, as which version, and what is refused; to files, in this process."""

import io
from argparse import Namespace
from pathlib import Path
from typing import Final

import pytest

from proxy.artifact import LARGEST_VERSION, identity, read_signed
from proxy.config.document import read_document
from proxy.people.output import Look
from proxy.people.tables import Sheet
from proxy.publishing.publish import target_of
from proxy.publishing.signing import split_artifact
from tests.support.publishing import REGISTRY, Desk, Ended

MORE: Final = REGISTRY.replace("{name: c}", "{name: c}, {name: d}")
LESS: Final = REGISTRY.replace("name: c", "name: d")


def published(desk: Desk, target: Path, text: str, *words: object) -> Ended:
    desk.registry.write_text(text)
    signing = () if "--unsigned" in words else ("--key", desk.fleet.private)
    return desk.ask("publish", target, desk.registry, *signing, *words)


def version_at(target: Path) -> int:
    parts = split_artifact(target.read_bytes())
    assert parts
    assert parts[1]
    return parts[1].envelope.version


@pytest.fixture(params=["live.json", "live.yaml"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    name: str = request.param
    return tmp_path / name


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return tmp_path / "live.json"


def test_versions_count_upwards_from_what_lies_there(desk: Desk, target: Path) -> None:
    ended = [published(desk, target, text) for text in (REGISTRY, MORE)]

    said = [(each.status, each.err, each.document["version"]) for each in ended]
    assert said == [(0, "", 1), (0, "", 2)]
    assert ended[1].document["identity"] == identity(read_document(MORE).root)


def test_what_was_published_verifies(desk: Desk, target: Path) -> None:
    published(desk, target, REGISTRY, "--profile", "client/prod")

    ended = desk.ask("verify", target, "--trusted", desk.trusted, "--profile", "client/prod")

    assert (ended.status, ended.document["version"]) == (0, 1)


def test_a_text_stays_as_people_wrote_it(desk: Desk, tmp_path: Path) -> None:
    published(desk, tmp_path / "live.yaml", f"# for people\n{REGISTRY}")

    assert (tmp_path / "live.yaml").read_text() == f"# for people\n{REGISTRY}"


def test_the_difference_is_said(desk: Desk, target: Path) -> None:
    first, second = (published(desk, target, text) for text in (REGISTRY, MORE))

    assert first.document["comparison"] is None
    assert second.document["comparison"]["added"] == [
        {"class": "compatible", "server": "a", "tool": "d"}
    ]


def test_what_breaks_callers_is_not_published_unless_it_may(desk: Desk, target: Path) -> None:
    published(desk, target, REGISTRY)
    before = target.read_bytes()

    refused = published(desk, target, LESS)
    stayed = target.read_bytes()
    allowed = published(desk, target, LESS, "--allow-breaking")

    assert (refused.status, refused.document["published"], stayed) == (1, False, before)
    assert refused.err.startswith("toolproxy: It breaks callers; --allow-breaking")
    assert (allowed.status, allowed.document["version"]) == (0, 2)


def test_the_same_again_is_not_published(desk: Desk, target: Path) -> None:
    published(desk, target, REGISTRY)
    before = target.read_bytes()

    ended = published(desk, target, REGISTRY)

    assert (ended.status, ended.document["published"], target.read_bytes()) == (0, False, before)


def test_another_layout_is_published_where_the_text_is_kept(desk: Desk, tmp_path: Path) -> None:
    said = []
    for name in ("live.yaml", "live.json"):
        published(desk, tmp_path / name, REGISTRY)
        said.append(published(desk, tmp_path / name, f"# new\n{REGISTRY}").document["published"])

    assert said == [True, False]


@pytest.mark.parametrize("words", [("--profile", "other"), ("--unsigned",)], ids=" ".join)
def test_the_same_registry_signed_otherwise_is_published(
    desk: Desk, artifact: Path, words: tuple[str, ...]
) -> None:
    published(desk, artifact, REGISTRY)

    ended = published(desk, artifact, REGISTRY, *words)

    assert (ended.status, ended.document["published"]) == (0, True)


def test_another_key_signs_the_same_registry_anew(desk: Desk, artifact: Path) -> None:
    published(desk, artifact, REGISTRY)
    other = desk.keys("other")

    ended = desk.ask("publish", artifact, desk.registry, "--key", other.private)

    assert (ended.document["version"], ended.document["key_id"]) == (2, other.key.key_id)


def test_a_signature_of_another_text_does_not_pass_for_its_own(desk: Desk, tmp_path: Path) -> None:
    target = tmp_path / "live.yaml"
    published(desk, target, REGISTRY)
    target.write_text(MORE)

    ended = published(desk, target, MORE)

    assert (ended.status, ended.document["version"]) == (0, 2)


def test_an_unsigned_registry_has_neither_version_nor_key(desk: Desk, target: Path) -> None:
    ended = published(desk, target, REGISTRY, "--unsigned")

    assert (ended.status, ended.document["version"], ended.document["key_id"]) == (0, None, None)
    assert not target.with_name(f"{target.name}.sig").exists()


@pytest.mark.parametrize(("version", "status"), [(6, 0), (5, 1), (4, 1)])
def test_a_version_that_is_given_must_be_newer(
    desk: Desk, artifact: Path, version: int, status: int
) -> None:
    published(desk, artifact, REGISTRY, "--version", 5)

    ended = published(desk, artifact, MORE, "--version", version)

    assert (ended.status, version_at(artifact)) == (status, max(version, 5))


def test_versions_come_to_an_end(desk: Desk, artifact: Path) -> None:
    published(desk, artifact, REGISTRY, "--version", LARGEST_VERSION)

    ended = published(desk, artifact, MORE)

    assert (ended.status, version_at(artifact)) == (2, LARGEST_VERSION)


def test_what_is_not_valid_is_not_published(desk: Desk, artifact: Path) -> None:
    ended = published(desk, artifact, REGISTRY.replace("port: 80", "port: none"))

    assert (ended.status, ended.out, artifact.exists()) == (1, "", False)
    assert ended.err.endswith("registry.yaml is not published\n")


def test_what_cannot_be_compared_is_replaced_by_who_says_so(desk: Desk, artifact: Path) -> None:
    artifact.write_text("nothing that anybody could read")

    refused = published(desk, artifact, REGISTRY)
    unnumbered = published(desk, artifact, REGISTRY, "--allow-breaking")
    replaced = published(desk, artifact, REGISTRY, "--allow-breaking", "--version", 7)

    assert [each.status for each in (refused, unnumbered, replaced)] == [1, 2, 0]
    assert "What lies there cannot be compared" in refused.err
    assert "give --version" in unnumbered.err
    assert version_at(artifact) == 7


def test_a_key_that_others_can_read_signs_nothing(desk: Desk, artifact: Path) -> None:
    desk.fleet.private.chmod(0o644)

    ended = published(desk, artifact, REGISTRY)

    assert (ended.status, artifact.exists()) == (2, False)


def test_a_file_may_be_its_own_target(desk: Desk) -> None:
    ended = [published(desk, desk.registry, text) for text in (REGISTRY, REGISTRY, MORE)]

    said = [(each.document["published"], each.document["version"]) for each in ended]
    assert said == [(True, 1), (False, 1), (True, 2)]
    assert read_signed(desk.sig.read_bytes()).envelope.version == 2


@pytest.mark.parametrize("name", ["ftp://host/a", "file:///a", "rediss:/x://y"])
def test_what_is_no_target_is_refused(desk: Desk, name: str) -> None:
    ended = desk.ask("publish", name, desk.registry, "--unsigned")

    assert (ended.status, "TARGET" in ended.err) == (2, True)


def test_a_target_is_what_its_name_says(tmp_path: Path) -> None:
    names = ("redis://h/k", "rediss://h/k", "https://h/k", "http://127.0.0.1/k", str(tmp_path))
    common = {"url": None, "api_key_file": None, "token_file": None, "timeout": None}
    options = [Namespace(target=name, **common) for name in names]

    kinds = [type(target_of(each, {})).__name__ for each in options]
    assert kinds == ["RedisTarget", "RedisTarget", "HttpTarget", "HttpTarget", "FileTarget"]


def test_nobody_is_asked_in_a_pipe(
    desk: Desk, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)

    assert published(desk, artifact, REGISTRY).status == 0


@pytest.mark.parametrize(
    ("answer", "words", "is_published"),
    [("y\n", (), True), ("n\n", (), False), ("", (), False), ("n\n", ("--yes",), True)],
    ids=["yes", "no", "nothing", "not-asked"],
)
def test_a_person_sees_what_differs_and_is_asked(
    desk: Desk,
    artifact: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    words: tuple[str, ...],
    *,
    is_published: bool,
) -> None:
    published(desk, artifact, REGISTRY)
    monkeypatch.setattr(Look, "of", lambda *_: TERMINAL)
    monkeypatch.setattr("sys.stdin", Typed(answer))

    ended = published(desk, artifact, MORE, *words)

    assert (ended.status, version_at(artifact)) == ((0, 2) if is_published else (1, 1))
    assert "+ a.d" in ended.out
    assert ("publish? [y/N]" in ended.out) is not bool(words)


class Typed(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


TERMINAL: Final = Look(
    out_is_terminal=True, err_is_terminal=True, json=False, sheet=Sheet(80, colour=False)
)

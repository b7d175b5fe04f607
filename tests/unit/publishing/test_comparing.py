"""Facts about `registry diff`, on real files."""

import json  # noqa: TID251 - files and output as anybody writes and reads them
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from proxy.people.output import STDOUT, Look, Output
from proxy.people.tables import Sheet
from proxy.people.unusable import UnusableError
from proxy.publishing.comparing import diff
from tests.support.registry_edits import BASE, GONE, edited

NEW: Final = edited((("servers", 0, "tools", 0, "path"), "/find"))
OPEN: Final = edited((("servers", 0, "inject_headers"), {}))
BROKEN: Final = edited((("servers", 1, "port"), "no port"), document=OPEN)
Write = Callable[[str, object], str]


class Said(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, document: object) -> str:
        path = tmp_path / name
        text = yaml.safe_dump(document) if name.endswith("yaml") else json.dumps(document)
        path.write_text(text)
        return str(path)

    return write


def differ(old: str, new: str, *, terminal: bool = False) -> Said:
    streams = {1: bytearray(), 2: bytearray()}
    look = Look(
        out_is_terminal=terminal,
        err_is_terminal=False,
        json=False,
        sheet=Sheet(width=80, colour=terminal),
    )
    output = Output(look, lambda stream, octets: streams[stream].extend(octets))
    rules = Path(old).with_name("proxy.yaml")
    rules.write_text("secrets: {env: ['*']}\n")
    status = diff(output, Namespace(old=old, new=new, config=str(rules)), {"KEY": "sesame"})
    return Said(status, streams[STDOUT].decode(), streams[2].decode())


def test_the_same_registry_in_yaml_json_and_an_artifact_is_the_same(write: Write) -> None:
    spelt = [write("a.yaml", BASE), write("a.json", BASE), write("a.artifact", {"payload": BASE})]

    said = [differ(spelt[0], other) for other in spelt]

    assert [each.status for each in said] == [0, 0, 0]
    assert {each.document["change_class"] for each in said} == {"cosmetic"}


def test_what_differs_is_json_in_a_pipe(write: Write) -> None:
    said = differ(write("a.yaml", BASE), write("b.yaml", NEW))

    (modified,) = said.document["modified"]
    assert (said.status, said.err) == (1, "")
    assert (modified["tool"], modified["class"]) == ("search", "breaking")


def test_what_differs_is_coloured_on_a_terminal(write: Write) -> None:
    said = differ(write("a.yaml", BASE), write("b.yaml", NEW), terminal=True)

    assert said.out.startswith("\x1b[33m~ notes.search  breaking\x1b[0m\n")


def test_another_version_with_the_same_meaning_is_the_same(write: Write) -> None:
    said = differ(write("a.yaml", BASE), write("b.yaml", edited((("version",), "2.0"))))

    assert (said.status, said.document["change_class"]) == (0, "compatible")


def test_a_server_that_is_set_aside_is_named_and_not_compared(write: Write) -> None:
    said = differ(write("a.yaml", OPEN), write("b.yaml", BROKEN))

    assert (said.status, said.document["removed"]) == (1, [])
    assert said.document["unchanged"] == ["notes"]
    assert "b.yaml: mail is set aside, and not compared: b.yaml:" in said.err


def test_a_file_that_is_no_registry_is_unusable(write: Write) -> None:
    with pytest.raises(UnusableError, match=r"b\.yaml is no registry"):
        differ(write("a.yaml", BASE), write("b.yaml", edited((("servers",), GONE))))


def test_a_file_that_is_not_there_is_unusable(write: Write) -> None:
    with pytest.raises(UnusableError, match="absent cannot be read"):
        differ(write("a.yaml", BASE), str(Path(write("b.yaml", NEW)).with_name("absent")))


def test_no_secret_is_told(write: Write) -> None:
    other = edited((("servers", 0, "health_url"), "http://10.0.0.5:80/health?key=other"))

    said = differ(write("a.yaml", BASE), write("b.yaml", other))

    assert said.status == 1
    assert "sesame" not in said.out + said.err
    assert "other" not in said.out + said.err

from pathlib import Path

import orjson
import pytest

from proxy.cli import main

CARRIED = "http { server { listen 80; location / { proxy_pass http://127.0.0.1:9001; } } }"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "nginx.conf"
    path.write_text(CARRIED)
    return path


def test_all_carried_over_is_status_0(conf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status = main(["convert", str(conf), "--output", str(conf.parent / "out")])

    assert (status, *capfd.readouterr()) == (0, "", "")
    assert {each.name for each in (conf.parent / "out").iterdir()} == {
        "proxy.yaml",
        "registry.yaml",
    }


def test_what_was_left_out_is_a_line_each_and_status_1(
    conf: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    conf.write_text(CARRIED + "\nstream {}")

    status = main(["convert", str(conf), "--output", str(conf.parent)])

    assert status == 1
    assert capfd.readouterr().out.startswith("nginx.conf:2: stream: the sidecar speaks HTTP alone")


def test_programs_get_json(conf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    conf.write_text(CARRIED + "\nstream {}")

    main(["convert", str(conf), "--output", str(conf.parent), "--json"])

    found = orjson.loads(capfd.readouterr().out)
    assert found["written"] == [str(conf.parent / name) for name in ("proxy.yaml", "registry.yaml")]
    assert [(each["line"], each["directive"]) for each in found["left_out"]] == [(2, "stream")]


def test_files_that_are_there_stay_unless_forced(
    conf: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (conf.parent / "proxy.yaml").write_text("mine")
    command = ["convert", str(conf), "--output", str(conf.parent)]

    assert main(command) == 2
    assert "use --force" in capfd.readouterr().err
    assert (conf.parent / "proxy.yaml").read_text() == "mine"
    assert main([*command, "--force"]) == 0


@pytest.mark.parametrize("text", ["http {", "include missing;", "}"])
def test_what_is_no_configuration_is_status_2(
    conf: Path, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    conf.write_text(text)

    assert main(["convert", str(conf), "--output", str(conf.parent)]) == 2
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_status_2(
    conf: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(conf), "--output", str(conf)]) == 2
    assert "cannot write" in capfd.readouterr().err

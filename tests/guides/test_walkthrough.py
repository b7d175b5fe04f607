"""Do the steps 1 to 4 of the chora-compose guide run through the sidecar, as `conf/chora` has them?

In a folder of their own, by the commands that the file itself names; only the ports are others.
"""

import contextlib
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import orjson
import pytest

from tests.support.sidecar import READY, ROOT, environment
from tests.support.waiting import eventually

pytestmark = pytest.mark.sockets

WITHIN_S: Final = 50.0
PYTHON: Final = sys.executable
ANY_PORT: Final = "127.0.0.1:0"
CALLS: Final = [
    ("generate_code", "failure"),
    ("assemble_artifact", "failure"),
    ("generate_content", "success"),
    ("generate_content", "success"),
    ("assemble_artifact", "success"),
]
SAYS: Final = (
    r"^Server: toolproxy [\d.]+, 3 tools$",
    "^Features: .*capability_discovery, credential_checks, .*event_journal$",
    "^Limits: {.*'max_timeout_seconds': 600",
    "^Generator: chora.generate_code, available: False$",
    r"^  Credentials: \['ANTHROPIC_API_KEY'\]$",
    "^  Expected latency: {'p50': 1500, 'p95': 5000}$",
    "^chora.generate_code: 424 .*Missing credentials for chora.generate_code: ANTHROPIC_API_KEY",
    "^chora.assemble_artifact: 504 .*Backend timeout: chora",
    "^chora.assemble_artifact: 200 .*readme-full",
    *(f"^  .*Z {tool}: {status}$" for tool, status in CALLS),
    "^Events: 5, by type {'tool_invoked': 5}$",
    "^Success: 3, errors: 2$",
    r"^Total duration: \d+\.\d+ ms$",
    "^  Error: .*'error_code': 'missing_credentials'",
)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def sidecar(folder: Path, around: Mapping[str, str]) -> Iterator[str]:
    """Its URL, while it runs in the folder by the settings there."""
    log = folder / "stderr"
    with log.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [PYTHON, "-m", "proxy", "run", "-c", "conf/chora/proxy.yaml", "--listen", ANY_PORT],
            cwd=folder,
            env=around,
            stderr=stderr,
        )
    try:
        ready = eventually(lambda: READY.search(log.read_text()), within_s=WITHIN_S)
        assert ready, log.read_text()
        yield f"http://127.0.0.1:{ready[1]}"
    finally:
        process.terminate()
        assert process.wait(WITHIN_S) == 0, log.read_text()


def walk(
    folder: Path, around: Mapping[str, str], url: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """The walkthrough, to its end."""
    return subprocess.run(  # noqa: S603 - our own script
        [PYTHON, ROOT / "conf/chora/walkthrough.py", "--url", url, *options],
        cwd=folder,
        env=around,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def walked(folder: Path, **variables: str) -> str:
    """What the walkthrough says, beside a sidecar with these variables."""
    shutil.copytree(ROOT / "conf" / "chora", folder / "conf" / "chora")
    registry, chora = folder / "conf/chora/registry.yaml", str(free_port())
    registry.write_text(registry.read_text().replace("127.0.0.1:8000", f"127.0.0.1:{chora}"))
    around = environment({"PYTHONPATH": str(ROOT), "ANTHROPIC_API_KEY": "", **variables})
    with sidecar(folder, around) as url:
        done = walk(folder, around, url, "--stand-in", chora)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def test_the_walkthrough_runs_as_it_is_written(tmp_path: Path) -> None:
    said = walked(tmp_path)

    assert [each for each in SAYS if not re.search(each, said, re.MULTILINE)] == [], said


def test_its_events_are_in_the_file_that_the_guide_reads(tmp_path: Path) -> None:
    said = walked(tmp_path)

    trace_id = said.partition("One workflow: ")[2].partition("\n")[0]
    lines = (tmp_path / "var/telemetry/events.jsonl").read_bytes().splitlines()
    events = [each for line in lines if (each := orjson.loads(line))["trace_id"] == trace_id]
    assert [(each["tool_name"], each["status"]) for each in events] == CALLS


def test_a_credential_that_is_there_lets_the_call_through(tmp_path: Path) -> None:
    said = walked(tmp_path, ANTHROPIC_API_KEY="a value")

    assert "Generator: chora.generate_code, available: True" in said
    assert "chora.generate_code: 200 " in said
    assert "a value" not in said


def test_without_a_sidecar_it_says_so(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    done = walk(tmp_path, environment({}), url)

    assert done.returncode == 1
    assert re.fullmatch(r"The sidecar does not answer \(.*\); is it started\?\n", done.stderr)

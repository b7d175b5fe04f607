"""The Dockerfile as its instructions, and the image that they make, made by hand in a folder.

No engine is needed: the steps run as they are written, with the interpreter of the tests in place
of the base image's, and with the image's absolute paths moved below the folder.
"""

import os
import re
import shlex
import shutil
import string
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from tests.support.sidecar import ROOT, environment

DOCKERFILE: Final = ROOT / "Dockerfile"
_INSTALLED_AT: Final = "/opt/toolproxy"
_PATH_OF_THE_BASE: Final = "/usr/local/bin:/usr/bin:/bin"
_STEP_WITHIN_S: Final = 600.0
_ARGUMENT: Final = "IMAGE_ARG_"
_COMMENT: Final = re.compile(r"^\s*#.*\n", re.MULTILINE)


class Instruction(NamedTuple):
    """One word of the Dockerfile's language, and what it is told."""

    word: str
    argument: str

    @property
    def words(self) -> list[str]:
        """The argument in exec form."""
        found = orjson.loads(self.argument)
        assert isinstance(found, list)
        return found


Stage = list[Instruction]


class Image(NamedTuple):
    """What an engine would be given: files, environment, command, user."""

    root: Path
    environment: Mapping[str, str]
    command: list[str]
    user: str

    @property
    def installed(self) -> Path:
        return below(self.root, _INSTALLED_AT)

    @property
    def python(self) -> str:
        return str(self.installed / "bin" / "python")


def stages() -> list[Stage]:
    """The instructions of each stage, from its FROM on."""
    text = _COMMENT.sub("", DOCKERFILE.read_text()).replace("\\\n", "")
    found: list[Stage] = [[]]
    for line in filter(str.strip, text.splitlines()):
        word, _, argument = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append(Instruction(word, argument.strip()))
    return found[1:]


def said(stage: Stage, word: str) -> Instruction:
    """The one instruction of that word."""
    (found,) = (each for each in stage if each.word == word)
    return found


def health_check() -> list[str]:
    """The command that asks a container how it is."""
    _, _, command = said(stages()[-1], "HEALTHCHECK").argument.partition("CMD ")
    return Instruction("CMD", command).words


def build(root: Path) -> Image:
    """Do what the Dockerfile says, below this folder."""
    first, last = stages()
    base = {"PATH": _PATH_OF_THE_BASE}
    _do(first, root)
    return Image(
        root=root,
        environment=base | _assigned(said(last, "ENV").argument, base, root),
        command=said(last, "ENTRYPOINT").words + said(last, "CMD").words,
        user=said(last, "USER").argument,
    )


def below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _do(stage: Stage, root: Path) -> None:
    around = environment({"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"})
    here = root
    for word, argument in stage:
        match word:
            case "ENV":
                around |= _assigned(argument, around, root)
            case "ARG":
                around |= _assigned(argument, around, root) | _build_arguments()
            case "WORKDIR":
                here = below(root, argument)
                here.mkdir(parents=True)
            case "COPY":
                _copy(argument.split(), here)
            case "RUN":
                _run(_moved(argument, root), here, around)
            case _:
                assert word == "FROM", word


def _run(step: str, here: Path, around: Mapping[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - what the Dockerfile says
        ["/bin/sh", "-c", step],
        cwd=here,
        env=around,
        umask=0o022,
        capture_output=True,
        text=True,
        timeout=_STEP_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, (step, done.stderr)


def _copy(paths: list[str], here: Path) -> None:
    *sources, target = paths
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, here / target, ignore=shutil.ignore_patterns("*.pyc"))
        else:
            shutil.copy(ROOT / source, here / target)


def _build_arguments() -> dict[str, str]:
    """As an engine takes them by `--build-arg`: here from `IMAGE_ARG_COMPILED=0` and its like."""
    given = {k: v for k, v in os.environ.items() if k.startswith(_ARGUMENT)}
    return {name.removeprefix(_ARGUMENT): value for name, value in given.items()}


def _assigned(argument: str, around: Mapping[str, str], root: Path) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in shlex.split(_moved(argument, root)))
    return {name: string.Template(value).substitute(around) for name, _, value in pairs}


def _moved(text: str, root: Path) -> str:
    return text.replace(_INSTALLED_AT, str(below(root, _INSTALLED_AT)))

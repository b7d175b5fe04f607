"""Secrets in templates: what may `${NAME}` and `${file:…}` name, and what do they stand for?

Knows templates and the operator's rules. Does not know who asks, and never says a secret.
"""

import fnmatch
import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

_REFERENCE: Final = re.compile(r"\$\{(?:file:([^{}]+)|([A-Za-z_][A-Za-z0-9_]*))\}")
_FIELD_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")  # RFC 9110, 5.5: no control bytes
_MAX_SECRET_BYTES: Final = 64 * 1024


class Rules(NamedTuple):
    """What a registry may name: variables (or globs of them), and files below one folder."""

    env: tuple[str, ...]
    dir: str


class Flaw(NamedTuple):
    """What is wrong with a template; without the secret."""

    code: str
    message: str
    is_error: bool


def flaws(template: str, rules: Rules, environ: Mapping[str, str]) -> Iterator[Flaw]:
    """What a template may not name, and what it names that is not there."""
    if "${" in _REFERENCE.sub("", template):
        yield Flaw("BAD_VALUE", "a broken ${…}: expected ${NAME} or ${file:/path}", is_error=True)
    for file, name in _REFERENCE.findall(template):
        if file and not _lies_below(posixpath.join(rules.dir, file), rules.dir):
            message = f"{file} is not below secrets.dir of the settings"
            yield Flaw("BAD_VALUE", message, is_error=True)
        elif name and not any(fnmatch.fnmatchcase(name, glob) for glob in rules.env):
            yield Flaw("BAD_VALUE", f"secrets.env of the settings leaves out {name}", is_error=True)
        elif name and not environ.get(name):
            yield Flaw("EMPTY_ENV_VAR", f"{name} is not set, or empty", is_error=False)


def resolve_template(template: str, environ: Mapping[str, str], secrets_dir: str) -> str:
    """Fill in a template that `flaws` let pass.

    An unset variable is empty text. ValueError, never with the secret in it, for a file that cannot
    be read or that leads out of `secrets_dir`, and for what cannot stand in a header.
    """

    def fill(match: re.Match[str]) -> str:
        file, name = match.groups()
        return (
            environ.get(name, "") if name else _read(posixpath.join(secrets_dir, file), secrets_dir)
        )

    filled = _REFERENCE.sub(fill, template)
    if not _FIELD_VALUE.fullmatch(filled):
        raise ValueError(f"what {template} stands for holds control characters or is not Latin-1")
    return filled


def _lies_below(path: str, folder: str) -> bool:
    return posixpath.normpath(path).startswith(posixpath.normpath(folder).rstrip("/") + "/")


def _read(path: str, secrets_dir: str) -> str:
    # Kubernetes mounts secrets as links within the folder; a link out of it reads other secrets.
    real = os.path.realpath(path)
    if not _lies_below(real, os.path.realpath(secrets_dir)):
        raise ValueError(f"the secret file {path} is not below {secrets_dir}")
    try:
        with Path(real).open("rb") as file:
            held = file.read(_MAX_SECRET_BYTES)
        secret = held.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"the secret file {path} cannot be read as text") from None
    if not secret:
        raise ValueError(f"the secret file {path} is empty")
    return secret

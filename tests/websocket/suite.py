"""Autobahn's cases, as Python 3 reads them.

The test suite of that name is for Python 2, where text is bytes, and asks for libraries of its
time. So its cases alone are fetched, and translated on the spot (nothing of them is kept here):
text in them holds bytes as Latin-1, and `fuzzer` makes bytes of it for the wire.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

PACKAGE: Final = "autobahntestsuite"
VERSION: Final = "25.10.1"
FETCH_WITHIN_S: Final = 120

# What translated cases call.
_HELPERS: Final = """
import binascii as _binascii, pathlib as _pathlib
def _octets(text):
    return text.encode("latin-1") if isinstance(text, str) else bytes(text)
def _hex(text):
    return _binascii.b2a_hex(_octets(text)).decode()
def _utf8(text):
    return text.encode("utf-8", "surrogatepass").decode("latin-1")
def _of_utf8(text):
    return _octets(text).decode("utf-8")
def _resource(name):
    return str(_pathlib.Path(__file__).parents[1] / name)
"""


def _implementer(found: re.Match[str]) -> str:
    indent, name, bases, between, interface = found.groups()
    return f"{indent}@implementer({interface})\n{indent}class {name}{bases}:\n{between}"


_TRANSLATED: Final[tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]] = (
    # Text that means bytes.
    (r"binascii\.(?:b2a_hex|hexlify)\(", "_hex("),
    (r"(chr\(\w+\)|\bmsg|\bs\b|tp\[1\])\.encode\(['\"]utf-?8['\"]\)", r"_utf8(\1)"),
    (r"\b(payload|msg)\.decode\(['\"]utf-?8['\"]\)", r"_of_utf8(\1)"),
    (r"m\.update\(msg\)", "m.update(_octets(msg))"),
    (r"\.validate\(([^()]+)\)", r".validate(_octets(\1))"),
    (r"open\(fn, 'rb'\)\.read\(\)", "open(fn, 'rb').read().decode('latin-1')"),
    (r"pickle\.dumps\((\w+)\)", r"\1"),  # two that are equal need not look alike, pickled
    # What has another name now.
    (r"len\(self\.payload\) / self", "len(self.payload) // self"),
    (r"pkg_resources\.resource_filename\(\"autobahntestsuite\", ", "_resource("),
    (r"import pkg_resources|, pkg_resources", ""),
    (r"^( *)class (\w+)([^\n]*):\n((?:[^\n]*\n){0,4}?) *implements\(([\w.]+)\)", _implementer),
    (r"import implements\b", "import implementer"),
    (r"\brequestNoContextTakeover\b", "request_no_context_takeover"),
    (r"\brequestMaxWindowBits\b", "request_max_window_bits"),
    # The language.
    (r"\(object, Case, ?\)", "(Case,)"),
    (r"\bxrange\(", "range("),
    (r"\bunichr\(", "chr("),
    (r"(\w+)\.has_key\(", r"\1.__contains__("),
    (r"\bprint ([^\n]*)$", r"print(\1)"),
    (r"\bprint$", "print()"),
    (r"except (\w+), (\w+):", r"except \1 as \2:"),
    (r"^from (case\w*) import", r"from .\1 import"),
    (r"^import (case\w*)$", r"from . import \1"),
    (r"(0x[0-9a-fA-F]+)L\b", r"\1"),
)


class UnreachableError(Exception):
    """The package index can't be reached, or does not have it."""


def install(directory: Path) -> Path:
    """Fetch the cases, and give the folder from which `case` and `caseset` can be imported."""
    fetched, translated = directory / "fetched", directory / "translated"
    _fetch(fetched)
    shutil.copytree(fetched / PACKAGE / "testdata", translated / "testdata")
    (translated / "case").mkdir()
    for path in (fetched / PACKAGE / "case").glob("*.py"):
        _translate(path, translated / "case" / path.name)
    _translate(fetched / PACKAGE / "caseset.py", translated / "caseset.py")
    return translated


def _fetch(into: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(  # noqa: S603 - pip, with constants
        [*pip, "--no-deps", "--no-compile", "--target", str(into), f"{PACKAGE}=={VERSION}"],
        capture_output=True,
        text=True,
        timeout=FETCH_WITHIN_S,
        check=False,
    )
    if done.returncode:
        raise UnreachableError(done.stderr[-500:])


def _translate(source: Path, into: Path) -> None:
    text = source.read_bytes().decode("latin-1").replace("\r\n", "\n")
    text = re.sub(r"coding[:=]\s*[-\w.]+", "", text, count=1)
    for pattern, replacement in _TRANSLATED:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    into.write_text(_HELPERS + text, encoding="utf-8")

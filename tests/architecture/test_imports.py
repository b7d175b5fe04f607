"""Facts about the source: what imports what, and what every module owes."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "proxy"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE = 350

# One after the other in fresh interpreters, each before anything else of ours was imported; what is
# not ours is slow to import, and may be there.
IMPORT_EACH = """
import importlib, os, sys, traceback
import aiohttp.web, aiohttp_sse, jwt, msgspec, orjson, prometheus_client, watchfiles, yaml
failed = 0
for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        failed += 1
        print(name)
sys.exit(failed)
"""
IMPORTED_BY = """
import importlib, sys
importlib.import_module(sys.argv[1])
print("\\n".join(sys.modules))
"""


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = [name_of(file) for file in FILES]


def modules_under(*prefixes: str) -> list[Path]:
    return [file for file in FILES if name_of(file).startswith(prefixes)]


def imported_directly(file: Path) -> set[str]:
    """The top-level packages that a file's own import statements name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def words(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_each_module_imports_alone() -> None:
    # `proxy.__main__` is the command: to import it is to run it.
    done = run("-c", IMPORT_EACH, *(name for name in MODULES if name != "proxy.__main__"))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


DECISIONS = modules_under("proxy.wire", "proxy.policy", "proxy.errors")
NOT_FOR_DECISIONS = {
    "asyncio",
    "socket",
    "ssl",
    "time",
    "random",
    "logging",
    "secrets",
    "threading",
}


@pytest.mark.parametrize("file", DECISIONS, ids=words)
def test_decisions_and_grammar_do_no_input_and_ask_no_clock(file: Path) -> None:
    assert imported_directly(file) & NOT_FOR_DECISIONS == set()


DATA_PLANE = modules_under("proxy.data_plane")
NOT_FOR_CALLS = {"aiohttp", "aiohttp_sse", "prometheus_client", "yaml", "orjson", "json"}


@pytest.mark.parametrize("file", DATA_PLANE, ids=words)
def test_data_plane_knows_no_format_but_http(file: Path) -> None:
    assert imported_directly(file) & NOT_FOR_CALLS == set()


@pytest.mark.parametrize("name", ["proxy.data_plane.door", "proxy.data_plane.downstream"])
def test_data_plane_loads_neither_aiohttp_nor_prometheus(name: str) -> None:
    loaded = set(run("-c", IMPORTED_BY, name).stdout.split())

    assert name in loaded
    assert loaded & {"aiohttp", "prometheus_client"} == set()


PACKAGES = [file for file in FILES if file.name == "__init__.py"]


@pytest.mark.parametrize("file", PACKAGES, ids=words)
def test_package_holds_a_docstring_and_names_of_its_own_modules(file: Path) -> None:
    docstring, *others = ast.parse(file.read_bytes()).body

    assert isinstance(docstring, ast.Expr)
    for other in others:
        own = isinstance(other, ast.ImportFrom) and (other.module or "").startswith(name_of(file))
        assert own or "__all__" in ast.unparse(other)


@pytest.mark.parametrize("file", FILES, ids=words)
def test_module_says_first_what_it_decides(file: Path) -> None:
    assert ast.get_docstring(ast.parse(file.read_bytes()))


OWED = [
    file
    for file in modules_under(
        "proxy.wire.", "proxy.policy.", "proxy.config.", "proxy.registry.", "proxy.admission."
    )
    if file not in PACKAGES
]


@pytest.mark.parametrize("file", OWED, ids=words)
def test_module_has_unit_tests_of_its_own(file: Path) -> None:
    mirror = ROOT / "tests" / "unit" / file.relative_to(PACKAGE)

    assert mirror.with_name(f"test_{file.name}").is_file()


TEXTS = [*FILES, *sorted((ROOT / "tests").rglob("*.py"))]


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_file_can_be_read_in_one_sitting(file: Path) -> None:
    lines = file.read_bytes().count(b"\n")

    assert lines <= LONGEST_FILE


def test_tests_are_no_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []

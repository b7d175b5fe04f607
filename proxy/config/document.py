"""YAML text to plain values: what does it say, and where does YAML read it otherwise than people?

Knows YAML, its traps and its lines. Does not know what the values are for.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final, Literal, NamedTuple

import yaml

from proxy.config.compose import Builder, RefusedError, Trap, events_of, line_of
from proxy.config.json_text import may_be_json, read_json

MAX_BYTES: Final = 64 * 1024**2

Path = tuple[str | int, ...]
Severity = Literal["error", "warning"]


class Problem(NamedTuple):
    """Something wrong at a path, before its line is known."""

    path: Path
    code: str
    message: str
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, as a person reads it: `registry.yaml:14: servers[2].port: expected …`."""

    code: str
    message: str
    severity: Severity
    path: str
    line: int | None = None
    file: str = ""

    def __str__(self) -> str:
        name = PurePath(self.file).name
        where = f"{name}:{self.line}" if name and self.line else name
        return ": ".join(part for part in (where, self.path, self.message) if part)


class FindingsError(Exception):
    """Something is unusable; `findings` say what and where, one line each as text."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__()
        self.findings = tuple(findings)

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))


class DocumentError(FindingsError):
    """The text is no document that could be read at all."""


class Document:
    """A text that was read: `root` in plain values, `findings` on where YAML sets traps."""

    __slots__ = ("_text", "file", "findings", "root")

    def __init__(self, root: object, traps: Iterable[Trap], file: str, text: bytes) -> None:
        self.root = root
        self.file = file
        self.findings = tuple(
            Finding(trap.code, trap.message, "warning", show_path(trap.path), trap.line, file)
            for trap in traps
        )
        self._text = text

    def __repr__(self) -> str:
        return f"<Document {self.file} {len(self._text)} bytes, {len(self.findings)} findings>"

    @property
    def may_share(self) -> bool:
        """Can parts of it stand for others? Only with anchors."""
        return b"&" in self._text

    def below(self, key: str) -> "Document":
        """What stands there, as a document of its own; without lines."""
        root = self.root[key] if isinstance(self.root, dict) else None
        part = Document(root, (), self.file, b"")
        part.findings = tuple(
            replace(finding, path=finding.path.removeprefix(f"{key}."), line=None)
            for finding in self.findings
            if finding.path.startswith(f"{key}.")
        )
        return part

    def report(self, problems: Sequence[Problem]) -> tuple[Finding, ...]:
        """The problems with their lines, in the order given."""
        lines = self.locate({problem.path for problem in problems}) if problems else {}
        return tuple(
            Finding(code, message, severity, show_path(path), lines.get(path), self.file)
            for path, code, message, severity in problems
        )

    def locate(self, paths: Iterable[Path]) -> dict[Path, int]:
        """The line of each path, or of its nearest parent that is written down.

        Reads the text once more: lines are only asked for when something is wrong.
        """
        asked = set(paths)
        try:
            lines = _lines(
                self._text, {path[:end] for path in asked for end in range(len(path) + 1)}
            )
        except yaml.YAMLError:  # JSON that YAML does not read
            return {}
        return {
            path: lines[found] for path in asked if (found := _nearest(path, lines)) is not None
        }


def read_document(text: bytes | str, file: str = "") -> Document:
    """Read one YAML document (or JSON); DocumentError when that cannot be done."""
    encoded = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    if len(encoded) > MAX_BYTES:
        raise _refusal("TOO_LARGE", f"larger than {MAX_BYTES // 1024**2} MiB", file)
    try:
        return _read(encoded, file)
    except RefusedError as error:
        raise _refusal(error.code, error.message, file, error.line) from None
    except yaml.YAMLError as error:
        raise _not_yaml(error, encoded, file) from None


def show_path(path: Path) -> str:
    """`servers[2].port`."""
    shown = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return shown.removeprefix(".")


def _read(text: bytes, file: str) -> Document:
    if may_be_json(text) and (found := read_json(text)) is not None:
        return Document(*found, file, text)
    builder = Builder()
    root = builder.build(events_of(text))
    return Document(root, builder.traps, file, text)


def _refusal(code: str, message: str, file: str, line: int | None = None) -> DocumentError:
    return DocumentError([Finding(code, message, "error", "", line, file)])


def _not_yaml(error: yaml.YAMLError, text: bytes, file: str) -> DocumentError:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        why, line = getattr(error, "problem", None), mark.line + 1
    else:  # a reader error knows bytes, not lines
        why = getattr(error, "reason", None)
        line = text.count(b"\n", 0, getattr(error, "position", 0) or 0) + 1
    return _refusal("NOT_YAML", f"not YAML: {why or 'cannot be read'}", file, line)


def _nearest(path: Path, lines: dict[Path, int]) -> Path | None:
    return next((path[:end] for end in range(len(path), -1, -1) if path[:end] in lines), None)


class _Spot:
    """Where the second reading is within an open sequence or mapping."""

    __slots__ = ("at", "is_key", "path")

    def __init__(self, path: Path | None, at: str | int | None, *, is_key: bool) -> None:
        self.path = path  # None when nobody asked for anything in here
        self.at = at  # the index, or the key; None where a mapping waits for its next key
        self.is_key = is_key  # this collection is itself a key of a mapping

    def step(self) -> None:
        self.at = self.at + 1 if isinstance(self.at, int) else None


def _lines(text: bytes, wanted: set[Path]) -> dict[Path, int]:
    lines: dict[Path, int] = {}
    stack = [_Spot((), 0, is_key=False)]
    for event in _nodes(events_of(text)):
        spot = stack[-1]
        if isinstance(event, yaml.CollectionEndEvent):
            if not stack.pop().is_key:
                stack[-1].step()
            continue
        is_key = spot.at is None
        if is_key:
            spot.at = event.value if isinstance(event, yaml.ScalarEvent) else ""
        path = _path_at(stack, wanted)
        if path is not None and (is_key or isinstance(spot.at, int)):
            lines[path] = line_of(event)
        if isinstance(event, yaml.CollectionStartEvent):
            first = 0 if isinstance(event, yaml.SequenceStartEvent) else None
            stack.append(_Spot(None if is_key else path, first, is_key=is_key))
        elif not is_key:
            spot.step()
    return lines


def _path_at(stack: list[_Spot], wanted: set[Path]) -> Path | None:
    spot = stack[-1]
    if len(stack) == 1:
        return ()
    if spot.path is None or spot.at is None:
        return None
    path = (*spot.path, spot.at)
    return path if path in wanted else None


def _nodes(events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    kinds = (yaml.NodeEvent, yaml.CollectionEndEvent)
    return (event for event in events if isinstance(event, kinds))

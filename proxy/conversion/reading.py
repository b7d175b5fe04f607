"""Reads a configuration of nginx with all that it includes, by crossplane.

Knows files and crossplane. Does not know what a directive means.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from proxy.conversion.directives import Directive
from proxy.people.unusable import UnusableError

_MOST_BYTES: Final = 16 << 20
# What nginx takes a backslash off; before anything else it stays, as expressions need it.
_ESCAPE: Final = re.compile(r"""\\(["'\\trn])""")
_CONTROLS: Final = {"t": "\t", "r": "\r", "n": "\n"}
_MOST_DIRECTIVES: Final = 500_000


def read(path: str) -> tuple[Directive, ...]:
    """The directives at the top; `UnusableError` for what cannot be read, or is no configuration.

    Files are shown as seen from the folder of the first one.
    """
    _look_at(path)
    # Imported here: it takes 50 ms, and only this command needs it.
    import crossplane  # type: ignore[import-untyped]  # noqa: PLC0415 - it has no types

    try:
        parsed = crossplane.parse(path, strict=False, check_ctx=False, check_args=False)
    except RecursionError:
        raise UnusableError(f"{path}: its blocks are nested too deeply") from None
    except (OSError, ValueError, LookupError, RuntimeError) as error:
        raise UnusableError(f"{path}: this is no configuration of nginx: {_said(error)}") from None
    for wrong in parsed["errors"]:
        where = f"{wrong['file']}:{wrong['line'] or 1}"
        raise UnusableError(f"{where}: {_said(wrong['error'])}; ask nginx -t")
    return _Tree(path, parsed["config"]).whole()


def _look_at(path: str) -> None:
    try:
        octets = Path(path).read_bytes()[: _MOST_BYTES + 1]
        octets.decode()
    except OSError as error:
        raise UnusableError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise UnusableError(f"{path}: this is no text in UTF-8; save it as such") from None
    if len(octets) > _MOST_BYTES:
        raise UnusableError(f"{path}: this file has more than {_MOST_BYTES >> 20} MiB")


def _said(error: object) -> str:
    """One line of what crossplane says, without the place that it puts behind."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.rpartition(" in ")[0] or text


def _meant(found: re.Match[str]) -> str:
    return _CONTROLS.get(found[1], found[1])


class _Tree:
    """Crossplane's dictionaries as directives, each file where it is included; bounded."""

    def __init__(self, path: str, files: Sequence[Mapping[str, Any]]) -> None:
        folder, slash, _ = path.rpartition("/")
        self._folder = folder + slash
        self._files = files
        self._left = _MOST_DIRECTIVES

    def whole(self) -> tuple[Directive, ...]:
        return tuple(self._of_file(0, ()))

    def _of_file(self, index: int, within: tuple[int, ...]) -> Iterator[Directive]:
        name = self._files[index]["file"]
        if index in within:
            raise UnusableError(f"{name}: it includes itself; take one of the includes out")
        shown = name.removeprefix(self._folder)
        return self._of(self._files[index]["parsed"], shown, (*within, index))

    def _of(
        self, statements: Sequence[Mapping[str, Any]], file: str, within: tuple[int, ...]
    ) -> Iterator[Directive]:
        for statement in statements:
            self._left -= 1
            if self._left < 0:
                raise UnusableError(f"there are more than {_MOST_DIRECTIVES} directives")
            if "includes" in statement:
                for index in statement["includes"]:
                    yield from self._of_file(index, within)
                continue
            inside = statement.get("block")
            yield Directive(
                name=statement["directive"],
                args=tuple(_ESCAPE.sub(_meant, each) for each in statement["args"]),
                file=file,
                line=statement["line"],
                block=None if inside is None else tuple(self._of(inside, file, within)),
            )

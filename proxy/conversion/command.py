"""`toolproxy convert`, to its end: the exit status, and one line for each thing left out.

0 all was carried over, 1 something was left out, 2 unusable, 130 interrupted. There is no traceback
for anybody.
"""

import logging
import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from proxy.conversion.reading import read
from proxy.conversion.whole import Conversion, convert
from proxy.people.output import Look, Output, OutputClosedError, OutputError
from proxy.people.unusable import UnusableError
from proxy.people.visible import safe_line

_LEFT_OUT: Final = 1
_UNUSABLE: Final = 2
_INTERRUPTED: Final = 130  # as shells say it
_READABLE: Final = 0o640  # what nginx is told may hold passwords


def perform(options: Namespace, environ: Mapping[str, str]) -> int:
    """Convert `options.file` to two files in `options.output`."""
    logging.getLogger().addHandler(logging.NullHandler())  # libraries have nothing to say here
    output = Output(Look.of(options, environ))
    try:
        return _perform(options, output)
    except (UnusableError, OutputError) as error:
        output.complain(str(error))
    except OutputClosedError:
        pass  # a verdict that nobody heard must not pass for a good one
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a bug of ours, which a person cannot mend either
        output.complain(f"A defect of toolproxy's: {type(error).__name__}: {error}")
    return _UNUSABLE


def _perform(options: Namespace, output: Output) -> int:
    folder = Path(options.output)
    targets = (folder / "proxy.yaml", folder / "registry.yaml")
    if not options.force:
        for target in targets:
            if target.exists():
                raise UnusableError(f"{target} is there already; use --force to write over it")
    found = convert(read(options.file), options.file, str(targets[1]))
    for target, text in zip(targets, (found.proxy, found.registry), strict=True):
        _write(target, text)
    _tell(output, found, targets)
    return _LEFT_OUT if found.left_out else 0


def _write(target: Path, text: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _READABLE)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UnusableError(f"cannot write {target}: {error.strerror}") from None


def _tell(output: Output, found: Conversion, targets: tuple[Path, ...]) -> None:
    if output.look.json:
        output.document(
            {
                "written": [str(target) for target in targets],
                "left_out": [each._asdict() for each in found.left_out],
            }
        )
        return
    output.lines(safe_line(str(each)) for each in found.left_out)

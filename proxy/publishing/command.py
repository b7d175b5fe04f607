"""One command of a publisher's, to its end: the exit status, and one sentence for what went wrong.

0 the same or valid, 1 different or invalid, 2 unusable, 130 interrupted. There is no traceback for
anybody.
"""

import logging
from argparse import Namespace
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final

from proxy.config.settings import SettingsError
from proxy.generations.keys import KeysError
from proxy.people.output import Look, Output, OutputClosedError, OutputError
from proxy.people.unusable import UnusableError
from proxy.publishing.refusal import RefusedError

_REFUSED: Final = 1
_UNUSABLE: Final = 2
_INTERRUPTED: Final = 130  # as shells say it
Answer = Callable[[Output, Namespace, Mapping[str, str]], int]
# Whose function of the same name it is. Each is loaded when it is asked for: most need no network.
_MODULES: Final[Mapping[str, str]] = {
    "init": "init",
    "keygen": "keygen",
    "sign": "sign",
    "verify": "verify",
    "diff": "comparing",
    "history": "running",
    "show": "running",
    "rollback": "running",
    "unpin": "running",
    "accept": "running",
    "publish": "publish",
}


def perform(
    options: Namespace, environ: Mapping[str, str], answers: Mapping[str, Answer] | None = None
) -> int:
    """Do what `options.asked` says."""
    logging.getLogger().addHandler(logging.NullHandler())  # libraries have nothing to say here
    output = Output(Look.of(options, environ))
    try:
        answer = _answer_to(options.asked) if answers is None else answers[options.asked]
        return answer(output, options, environ)
    except (UnusableError, KeysError, OutputError) as error:
        output.complain(str(error))
    except RefusedError as error:
        output.complain(str(error))
        return _REFUSED
    except SettingsError as error:
        for line in str(error).splitlines():
            output.complain(line)
    except OutputClosedError:
        pass  # a verdict that nobody heard must not pass for a good one
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a bug of ours, which a person cannot mend either
        output.complain(f"A defect of toolproxy's: {type(error).__name__}: {error}")
    return _UNUSABLE


def _answer_to(asked: str) -> Answer:
    answer: Answer = getattr(import_module(f"proxy.publishing.{_MODULES[asked]}"), asked)
    return answer

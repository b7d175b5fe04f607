"""One command of a publisher's, to its end: the exit status, and one sentence for what went wrong.

0 the same or valid, 1 different or invalid, 2 unusable, 130 interrupted. There is no traceback for
anybody.
"""

import logging
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Final

from proxy.config.settings import SettingsError
from proxy.generations.keys import KeysError
from proxy.people.asking import UnusableError
from proxy.people.output import Look, Output, OutputClosedError, OutputError
from proxy.publishing import comparing, init, keygen, publish, running, sign, verify
from proxy.publishing.refusal import RefusedError

_REFUSED: Final = 1
_UNUSABLE: Final = 2
_INTERRUPTED: Final = 130  # as shells say it
Answer = Callable[[Output, Namespace, Mapping[str, str]], int]
_ANSWERS: Final[Mapping[str, Answer]] = {
    "init": init.init,
    "keygen": keygen.keygen,
    "sign": sign.sign,
    "verify": verify.verify,
    "diff": comparing.diff,
    "history": running.history,
    "show": running.show,
    "rollback": running.rollback,
    "unpin": running.unpin,
    "accept": running.accept,
    "publish": publish.publish,
}


def perform(
    options: Namespace, environ: Mapping[str, str], answers: Mapping[str, Answer] = _ANSWERS
) -> int:
    """Do what `options.asked` says."""
    logging.getLogger().addHandler(logging.NullHandler())  # libraries have nothing to say here
    output = Output(Look.of(options, environ))
    try:
        return answers[options.asked](output, options, environ)
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

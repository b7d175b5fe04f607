"""One command of a person's, to its end: the exit status, and one sentence for what went wrong.

0 done, 1 failed, 2 unusable arguments, 130 interrupted. There is no traceback for anybody.
"""

import asyncio
import logging
from argparse import Namespace
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from proxy.client.errors import GatewayError
from proxy.people import calls, events, health, listings
from proxy.people.asking import Asking
from proxy.people.gateway import Gateway, sentence_of
from proxy.people.output import Look, Output, OutputClosedError, OutputError
from proxy.people.unusable import UnusableError

_DONE: Final = 0
_FAILED: Final = 1
_UNUSABLE: Final = 2
Answer = Callable[[Gateway, Output, Namespace], Awaitable[int]]
_ANSWERS: Final[Mapping[str, Answer]] = {
    "servers": listings.servers,
    "tools": listings.tools,
    "call": calls.call,
    "events": events.events,
    "health": health.health,
}


def perform(
    options: Namespace, environ: Mapping[str, str], answers: Mapping[str, Answer] = _ANSWERS
) -> int:
    """Do what `options.asked` says; raises `KeyboardInterrupt` alone."""
    logging.getLogger().addHandler(logging.NullHandler())  # libraries have nothing to say here
    output = Output(Look.of(options, environ))
    try:
        asking = Asking.of(options, environ)
        return _done(answers[options.asked], asking, output, options)
    except UnusableError as error:
        output.complain(str(error))
        return _UNUSABLE
    except OutputClosedError:
        return _DONE
    except OutputError as error:
        output.complain(str(error))
        return _FAILED
    except Exception as error:  # noqa: BLE001 - a bug of ours, which a person cannot mend either
        output.complain(f"A defect of toolproxy's: {type(error).__name__}: {error}")
        return _FAILED


def _done(answer: Answer, asking: Asking, output: Output, options: Namespace) -> int:
    gateway = Gateway(asking)
    answering = answer(gateway, output, options)

    async def work() -> int:
        async with gateway:
            return await answering

    try:
        return asyncio.run(work())
    except GatewayError as error:
        output.complain(sentence_of(error, asking.url))
        return _FAILED

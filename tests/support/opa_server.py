"""An Open Policy Agent in a test's hand: speaks its data API on a real socket.

It remembers what it was asked. What it decides is a function of the input, or the same for all; its
script may be any other, to be slow or rude.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from proxy.wire.plain_object import read_object, write_object
from tests.support.messages import ok
from tests.support.origin import Origin, Visit
from tests.support.scripts import answers

Input = dict[str, Any]  # whatever JSON has


class OpaServer(Origin):
    """Allows everything until it is told otherwise."""

    def __init__(self) -> None:
        super().__init__(answers(result_of({"allow": True})))

    @property
    def inputs(self) -> list[Input]:
        """What was asked, in order; half a question is none."""
        return [_input(call) for call in self.calls if call.complete]

    def says(self, result: object) -> None:
        """The same for all."""
        self.script = answers(result_of(result))

    def decides(self, by: Callable[[Input], object]) -> None:
        async def script(visit: Visit) -> None:
            await visit.read()
            await visit.send(result_of(by(_input(visit))))

        self.script = script


def result_of(result: object) -> bytes:
    """A whole answer, as OPA gives it."""
    return ok(write_object({"result": result}), b"Content-Type: application/json")


async def never(visit: Visit) -> None:
    """Take the question, and be silent."""
    await visit.read()
    await asyncio.Event().wait()


def _input(visit: Visit) -> Input:
    asked = read_object(bytes(visit.body))
    assert list(asked) == ["input"]
    assert isinstance(asked["input"], dict)
    return asked["input"]

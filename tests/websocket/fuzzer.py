"""Plays Autobahn's cases to servers and writes down their verdicts; a program of its own.

    python fuzzer.py CASES '["1.*"]' URL… > verdicts.json

`CASES` is what `suite.install` gave. All servers are played to at once, each in a few lanes.
"""

# ruff: noqa: N802, N803 - the names are Autobahn's
# The library is typed in parts, and text stands for bytes here.
# mypy: disable-error-code="arg-type, no-untyped-call, override"

import importlib
import sys
from collections.abc import Callable
from typing import Any

import orjson
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS
from twisted.internet import reactor as the_reactor

LANES = 4
PATIENCE_S = 20

reactor: Any = the_reactor  # a module that is replaced by an object when it is imported

Verdicts = dict[str, tuple[str, str]]


def octets(text: Any) -> Any:
    return text.encode("latin-1") if isinstance(text, str) else text


class Player(WebSocketClientProtocol):
    """One case: what it says in text goes out as bytes, and what comes in comes as text."""

    def __init__(self, case: Callable[["Player"], Any]) -> None:
        super().__init__()
        self.connectionWasOpen = False
        self.createWirelog = False
        self.rxOctetStats: dict[int, int] = {}
        self.txOctetStats: dict[int, int] = {}
        self.rxFrameStats: dict[int, int] = {}
        self.txFrameStats: dict[int, int] = {}
        self._new_case = case
        self._timers: list[Any] = []

    def connectionMade(self) -> None:
        self.case = self._new_case(self)
        super().connectionMade()

    def connectionLost(self, reason: object) -> None:
        super().connectionLost(reason)
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        self.case.onConnectionLost(self.failedByMe)
        self.factory.judged((self.case.behavior, self.case.behaviorClose))

    # --- what cases ask for ---

    def enableWirelog(self, enable: bool) -> None:  # noqa: FBT001 - as Autobahn has it
        """Nobody reads it."""

    def continueLater(self, delay: float, action: Callable[[], None], _: object = None) -> None:
        self._later(delay, action)

    def killAfter(self, delay: float) -> None:
        self._later(delay, self._fail_connection)

    def closeAfter(self, delay: float) -> None:
        self._later(delay, self.sendClose)

    def _later(self, delay: float, action: Callable[[], None]) -> None:
        self._timers.append(reactor.callLater(delay, self._while_open, action))

    def _while_open(self, action: Callable[[], None]) -> None:
        if self.state != self.STATE_CLOSED:
            action()

    # --- text to bytes ---

    def sendFrame(self, opcode: int, payload: object = b"", **keys: object) -> None:
        self.txFrameStats[opcode] = self.txFrameStats.get(opcode, 0) + 1
        said = {name: octets(value) for name, value in keys.items()}
        super().sendFrame(opcode, octets(payload), **said)

    def sendMessage(self, payload: object, *arguments: object, **keys: object) -> None:
        super().sendMessage(octets(payload), *arguments, **keys)

    def sendMessageFrame(self, payload: object, *arguments: object) -> None:
        super().sendMessageFrame(octets(payload), *arguments)

    def sendMessageFrameData(self, payload: object, *arguments: object) -> object:
        return super().sendMessageFrameData(octets(payload), *arguments)

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: object = None, *, isReply: bool = False
    ) -> None:
        super().sendCloseFrame(code, octets(reasonUtf8), isReply)

    # --- bytes to text ---

    def onOpen(self) -> None:
        self.connectionWasOpen = True
        self.case.onOpen()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: FBT001 - as above
        self.case.onMessage(payload.decode("latin-1"), isBinary)

    def onPing(self, payload: bytes) -> None:
        super().onPing(payload)
        self.case.onPing((payload or b"").decode("latin-1"))

    def onPong(self, payload: bytes) -> None:
        self.case.onPong((payload or b"").decode("latin-1"))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: FBT001 - as above
        self.case.onClose(wasClean, code, reason)


class Lane(WebSocketClientFactory):
    """Some cases played to one server, one after the other."""

    def __init__(
        self, url: str, cases: list[tuple[str, Any]], verdicts: Verdicts, ended: Callable[[], None]
    ) -> None:
        super().__init__(url)
        self.setProtocolOptions(
            failByDrop=False,
            # That a machine is busy is no verdict.
            openHandshakeTimeout=PATIENCE_S,
            closeHandshakeTimeout=PATIENCE_S,
            serverConnectionDropTimeout=PATIENCE_S,
        )
        self._left = cases
        self._verdicts = verdicts
        self._ended = ended

    def buildProtocol(self, _: object) -> Player:
        player = Player(self._left[0][1])
        player.factory = self
        return player

    def judged(self, verdict: tuple[str, str]) -> None:
        self._verdicts[self._left[0][0]] = verdict

    def clientConnectionLost(self, connector: Any, _: object) -> None:
        self._left.pop(0)
        if self._left:
            connector.connect()
        else:
            self._ended()

    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        self.judged(("NO CONNECTION", str(reason.value)))
        self.clientConnectionLost(connector, reason)


def found_cases(patterns: list[str]) -> list[tuple[str, Any]]:
    case, caseset = importlib.import_module("case"), importlib.import_module("caseset")
    known = caseset.CaseSet(
        case.CaseSetname,
        case.CaseBasename,
        case.Cases,
        case.CaseCategories,
        case.CaseSubCategories,
    )
    return [(name, known.CasesById[name]) for name in known.parseSpecCases({"cases": patterns})]


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    cases, urls = found_cases(orjson.loads(sys.argv[2])), sys.argv[3:]
    verdicts: dict[str, Verdicts] = {url: {} for url in urls}
    lanes = [(url, part) for url in urls for at in range(LANES) if (part := cases[at::LANES])]
    playing = len(lanes)

    def ended() -> None:
        nonlocal playing
        playing -= 1
        if not playing:
            reactor.stop()

    for url, part in lanes:
        connectWS(Lane(url, part, verdicts[url], ended))
    reactor.run()
    sys.stdout.buffer.write(orjson.dumps(verdicts))


if __name__ == "__main__":
    main()

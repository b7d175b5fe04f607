"""A question, one who puts it to OPA, an OPA in the test's hand, and time that stands still."""

from types import TracebackType
from typing import Any, Final, Self

from proxy.admission.opa import Opa, Question, Verdict
from proxy.config import access
from tests.support.opa_server import OpaServer

QUESTION: Final = Question(
    user={"id": "ann", "teams": ["data"], "application": "notebook"},
    server="postgres",
    tool="query",
    sensitivity="medium",
    parameters={"sql": "SELECT 1"},
    request_id="r-1",
    client_ip="10.0.0.1",
    timestamp="2026-01-01T12:00:00Z",
)
CRITICAL: Final = QUESTION._replace(sensitivity="critical")
ALLOWED: Final = Verdict(allow=True, reason="", filtered=None, audit_id="", failed=False)


def denied(reason: str, audit_id: str = "") -> Verdict:
    return Verdict(allow=False, reason=reason, filtered=None, audit_id=audit_id, failed=False)


def failed(reason: str) -> Verdict:
    return Verdict(allow=False, reason=reason, filtered=None, audit_id="", failed=True)


class Clock:
    """Time as the test says it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """`opa` asks `server`; all that is started here ends here."""

    def __init__(self) -> None:
        self.server = OpaServer()
        self.clock = Clock()
        self.opa: Opa
        self._started: list[Opa] = []

    async def __aenter__(self) -> Self:
        await self.server.start()
        self.opa = self.asks()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for opa in self._started:
            await opa.close()
        await self.server.stop()

    def asks(self, url: str = "", timeout_s: float = 10.0, **rules: Any) -> Opa:
        opa = Opa(access.Opa(url=url or self.server.url, timeout_s=timeout_s, **rules), self.clock)
        self._started.append(opa)
        return opa

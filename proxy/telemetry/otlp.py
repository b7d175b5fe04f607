"""The way to a collector: the exporter of OpenTelemetry, and what it has to say.

Needs the extra `otel`. Knows nothing of spans.
"""

import logging
from collections.abc import Callable
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter


def exporter_to(url: str) -> OTLPSpanExporter:
    """To a collector, with the path of the standard unless the URL has one."""
    bare = urlsplit(url).path in {"", "/"}
    return OTLPSpanExporter(endpoint=url.rstrip("/") + "/v1/traces" if bare else url)


class Hearing(logging.Handler):
    """Tells somebody what the exporter would have told the log, from here on until `close`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell
        self._logger = logging.getLogger(OTLPSpanExporter.__module__)
        self._logger.addHandler(self)
        _silence("opentelemetry")
        _silence("urllib3")

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(record.getMessage())

    def close(self) -> None:
        self._logger.removeHandler(self)
        super().close()


def _silence(name: str) -> None:
    logger = logging.getLogger(name)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())

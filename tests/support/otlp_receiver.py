"""A collector: takes spans by OTLP over HTTP, keeps them, and can be made slow or sick."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_PROTOBUF: Final = "application/x-protobuf"


class Collector:
    """What came, and what is answered; it answers nothing while `open` is not set."""

    def __init__(self) -> None:
        self.status = 200
        self.open = threading.Event()
        self.open.set()
        self.posts = 0
        self.paths: set[str] = set()
        self.spans: list[Span] = []
        self.resource = Resource()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of_trace(self, trace_id: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id.hex() == trace_id]

    def took(self, path: str, body: bytes) -> None:
        self.posts += 1
        self.paths.add(path)
        if self.status != 200:
            return
        for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resource = resource_spans.resource
            for scope_spans in resource_spans.scope_spans:
                self.spans.extend(scope_spans.spans)


def attributes_of(holder: Span | Resource) -> dict[str, str | int]:
    return {each.key: _value_of(each) for each in holder.attributes}


def _value_of(attribute: KeyValue) -> str | int:
    value = attribute.value
    return value.int_value if value.HasField("int_value") else value.string_value


@contextlib.contextmanager
def collector() -> Iterator[Collector]:
    """One that listens."""
    taken = Collector()

    class Handler(BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == _PROTOBUF
            taken.took(self.path, body)
            taken.open.wait()
            self.send_response(taken.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    taken.port = server.server_port
    listening = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    listening.start()
    try:
        yield taken
    finally:
        taken.open.set()
        server.shutdown()
        listening.join()
        server.server_close()

"""One request to a running sidecar, in a person's name, and its answer.

Knows who is asked and how long. Nothing is repeated: a person sees what is wrong, and asks again.
"""

import asyncio
from argparse import Namespace
from collections.abc import Mapping

from proxy.client.answers import Answer, document_of
from proxy.client.codec import encoded, mapping
from proxy.client.deadline import after, until
from proxy.client.error_handler import ErrorHandler
from proxy.client.errors import GatewayError
from proxy.client.http import HttpTransport, Request
from proxy.client.session import Connections
from proxy.people.asking import Asking
from proxy.people.gateway import sentence_of
from proxy.publishing.refusal import RefusedError


def looked_up(
    options: Namespace, environ: Mapping[str, str], target: str, what: str
) -> dict[str, object]:
    """The document at a target; raises `RefusedError`."""
    asking = Asking.of(options, environ)
    request = Request(target=target, what=what, fields=asking.fields())
    return _document(asking, request)


def ordered(
    options: Namespace, environ: Mapping[str, str], target: str, order: Mapping[str, object]
) -> dict[str, object]:
    """What the sidecar says after an order; raises `RefusedError`."""
    asking = Asking.of(options, environ)
    what = target.rpartition("/")[2]
    request = Request(
        method="POST",
        target=target,
        what=what,
        fields={"Content-Type": "application/json", **asking.fields()},
        body=encoded(order, what),
    )
    return _document(asking, request)


def _document(asking: Asking, request: Request) -> dict[str, object]:
    try:
        answer = asyncio.run(answer_to(asking, request))
        return mapping(document_of(answer.body, request.what))
    except GatewayError as error:
        raise RefusedError(sentence_of(error, asking.url)) from None


async def answer_to(asking: Asking, request: Request) -> Answer:
    """The whole answer; raises `GatewayError` for one that is a refusal, or for none."""
    connections = Connections(max_connections=1)
    http = HttpTransport(asking.url, connections, ErrorHandler(None, None))
    try:
        async with until(after(asking.answer_within_s, asked=True), request.what):
            return await http.attempt(request)
    finally:
        await connections.close()

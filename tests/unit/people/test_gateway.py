import pytest

from proxy.client.errors import (
    ConnectError,
    GatewayError,
    RetryExhaustedError,
    TimeoutError,  # noqa: A004 - the client's name
)
from proxy.people.gateway import sentence_of

AWAY = "Nothing answers at http://a: is the sidecar running?"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        pytest.param(ConnectError("errno 111"), AWAY, id="away"),
        pytest.param(RetryExhaustedError(ConnectError("errno 111"), 1), AWAY, id="stream-away"),
        pytest.param(GatewayError("No"), "No", id="refused"),
        pytest.param(RetryExhaustedError(GatewayError("No"), 1), "No", id="stream-refused"),
        pytest.param(TimeoutError("Too long"), "Too long", id="too-long"),
    ],
)
def test_a_failure_is_one_sentence(error: GatewayError, sentence: str) -> None:
    assert sentence_of(error, "http://a") == sentence

"""Facts about what is said of connections that came to nothing."""

import ssl

import pytest

from proxy.listening.complaints import Complaints, handshake_failure


def test_each_kind_is_said_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    complaints = Complaints(lambda: now[0])
    for address in ("a", "b", "c"):
        complaints.say("tls", address, "no")
    complaints.say("tls", "d", "never")
    now[0] = 1.5
    complaints.say("tls", "e", "no")
    complaints.say("tls", "f", "no")

    assert caplog.messages == [
        "tls: a: no",
        "tls: d: never",
        "tls: e: no (and 2 more since this was said last)",
    ]


def test_kinds_without_number_need_no_room(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(lambda: 0.0)
    for number in range(1_000):
        complaints.say("tls", "a", str(number))

    assert len(complaints._kinds) <= 100
    assert len(caplog.messages) == 1_000


def ssl_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "words")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ssl_error("HTTP_REQUEST"), "plain HTTP was sent where TLS is spoken"),
        (ssl_error("DATA_LENGTH_TOO_LONG"), "handshake failed: data length too long"),
        (TimeoutError(), "the handshake was not complete in time"),
        (ConnectionAbortedError(), "the handshake was not complete in time"),
        (ConnectionResetError(), ""),
        (OSError(9, "x"), ""),
    ],
)
def test_failure_is_said_in_words(error: OSError, said: str) -> None:
    assert handshake_failure(error) == said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("certificate has expired", "client certificate has expired"),
        (
            "self-signed certificate",
            "client certificate is of an authority that client_ca leaves out",
        ),
        ("path length", "client certificate is not accepted: path length"),
    ],
)
def test_fault_of_a_certificate_is_said_in_words(message: str, said: str) -> None:
    error = ssl.SSLCertVerificationError(1, "words")
    error.verify_message = message

    assert handshake_failure(error) == said

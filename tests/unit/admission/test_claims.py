"""Facts about what a token is known to say."""

from proxy.admission.claims import RefusedTokenError


def test_refusal_has_its_reason() -> None:
    error = RefusedTokenError("expired")

    assert (error.reason, str(error)) == ("expired", "expired")

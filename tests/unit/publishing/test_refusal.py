from proxy.people.unusable import UnusableError
from proxy.publishing.refusal import RefusedError


def test_a_refusal_is_not_taken_for_arguments_that_cannot_be_used() -> None:
    assert not issubclass(RefusedError, UnusableError)
    assert str(RefusedError("No")) == "No"

from argparse import Namespace
from collections.abc import Awaitable, Callable

import pytest

from proxy.client.errors import ConnectError, GatewayError
from proxy.people.command import perform
from proxy.people.gateway import Gateway
from proxy.people.output import Output, OutputClosedError, OutputError
from proxy.people.unusable import UnusableError


def options(**given: object) -> Namespace:
    common = {"url": None, "api_key_file": None, "token_file": None, "timeout": None}
    return Namespace(**common, asked="it", json=False, no_color=False, **given)


def fails(error: BaseException) -> Callable[[Gateway, Output, Namespace], Awaitable[int]]:
    async def answer(gateway: Gateway, output: Output, options: Namespace) -> int:
        _ = (gateway, output, options)
        raise error

    return answer


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        pytest.param(UnusableError("Not so"), 2, "toolproxy: Not so\n", id="unusable"),
        pytest.param(GatewayError("It said no"), 1, "toolproxy: It said no\n", id="refused"),
        pytest.param(
            ConnectError("…"),
            1,
            "toolproxy: Nothing answers at http://127.0.0.1:8080: is the sidecar running?\n",
            id="nothing-there",
        ),
        pytest.param(OutputClosedError(), 0, "", id="nobody-reads"),
        pytest.param(OutputError("No room"), 1, "toolproxy: No room\n", id="no-room"),
        pytest.param(
            ZeroDivisionError("a\nb"),
            1,
            "toolproxy: A defect of toolproxy's: ZeroDivisionError: a b\n",
            id="defect",
        ),
    ],
)
def test_every_end_has_a_status_and_at_most_a_sentence(
    capfd: pytest.CaptureFixture[str], error: Exception, status: int, said: str
) -> None:
    ended = perform(options(), {}, {"it": fails(error)})

    assert (ended, *capfd.readouterr()) == (status, "", said)


def test_an_interruption_is_the_caller_s_business() -> None:
    with pytest.raises(KeyboardInterrupt):
        perform(options(), {}, {"it": fails(KeyboardInterrupt())})

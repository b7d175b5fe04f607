from argparse import Namespace
from collections.abc import Callable, Mapping

import pytest

from proxy.config.document import Finding
from proxy.config.settings import SettingsError
from proxy.generations.keys import KeysError
from proxy.people.output import Output, OutputClosedError, OutputError
from proxy.people.unusable import UnusableError
from proxy.publishing.command import perform

OPTIONS = Namespace(asked="it", json=False, no_color=False)
WRONG = [Finding(code, "wrong", "error", code, None, "p.yaml") for code in "ab"]


def fails(error: BaseException) -> Callable[[Output, Namespace, Mapping[str, str]], int]:
    def answer(output: Output, options: Namespace, environ: Mapping[str, str]) -> int:
        _ = (output, options, environ)
        raise error

    return answer


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        pytest.param(UnusableError("Not so"), 2, "toolproxy: Not so\n", id="unusable"),
        pytest.param(KeysError("No key"), 2, "toolproxy: No key\n", id="key"),
        pytest.param(OutputError("No room"), 2, "toolproxy: No room\n", id="no-room"),
        pytest.param(
            SettingsError(WRONG),
            2,
            "toolproxy: p.yaml: a: wrong\ntoolproxy: p.yaml: b: wrong\n",
            id="settings",
        ),
        pytest.param(OutputClosedError(), 2, "", id="nobody-reads"),
        pytest.param(KeyboardInterrupt(), 130, "", id="interrupted"),
        pytest.param(
            ZeroDivisionError("a\nb"),
            2,
            "toolproxy: A defect of toolproxy's: ZeroDivisionError: a b\n",
            id="defect",
        ),
    ],
)
def test_every_end_has_a_status_and_at_most_a_sentence(
    capfd: pytest.CaptureFixture[str], error: BaseException, status: int, said: str
) -> None:
    ended = perform(OPTIONS, {}, {"it": fails(error)})

    assert (ended, *capfd.readouterr()) == (status, "", said)


def test_an_answer_s_status_is_that_of_the_command() -> None:
    assert perform(OPTIONS, {}, {"it": lambda *_: 1}) == 1

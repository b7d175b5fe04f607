from argparse import Namespace

import pytest

from proxy.people.asking import Asking
from proxy.people.calls import Call, call
from proxy.people.gateway import Gateway
from proxy.people.output import Look, Output
from proxy.people.tables import Sheet
from proxy.people.unusable import UnusableError

USUAL = {"Accept": "*/*", "Accept-Encoding": "identity"}


def given_of(given: dict[str, object]) -> Namespace:
    options = Namespace(tool="a.b", body=None, fields=[], trace=None, idempotency_key=None)
    vars(options).update(given)
    return options


def called(given: dict[str, object], asking: Asking | None = None) -> Call:
    return Call.of(given_of(given), asking or Asking(url="http://a"))


def test_without_parameters_there_is_neither_body_nor_type() -> None:
    assert called({}) == Call(tool="a.b", body=None, fields=USUAL)


def test_parameters_are_json_as_they_were_typed() -> None:
    found = called({"body": ' {"å": 1e400}'})

    assert (found.body, found.fields["Content-Type"]) == (
        ' {"å": 1e400}'.encode(),
        "application/json",
    )


def test_fields_take_the_place_of_ours_whatever_their_case() -> None:
    found = called({"body": "{}", "fields": ["content-TYPE:text/plain", "accept: x", "Accept:y"]})

    assert found.fields == {
        "Accept-Encoding": "identity",
        "content-TYPE": "text/plain",
        "Accept": "y",
    }


def test_credentials_key_and_deadline_are_sent() -> None:
    asking = Asking(url="http://a", api_key="k", timeout_s=1.5)

    found = called({"idempotency_key": "i", "trace": "t"}, asking)

    assert found.fields == {
        **USUAL,
        "X-API-Key": "k",
        "X-Chora-Trace-Id": "t",
        "Idempotency-Key": "i",
        "Request-Timeout": "1.500",
    }


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"tool": "ab"}, id="no-dot"),
        pytest.param({"tool": "a."}, id="no-tool"),
        pytest.param({"tool": "a.b/../c"}, id="path"),
        pytest.param({"tool": "a.b\n"}, id="line"),
        pytest.param({"body": ""}, id="empty"),
        pytest.param({"body": "{a: 1}"}, id="no-json"),
        pytest.param({"body": "[" * 100_000}, id="deep"),
        pytest.param({"body": "@"}, id="no-file"),
        pytest.param({"fields": ["no colon"]}, id="field"),
        pytest.param({"fields": [": v"]}, id="no-name"),
        pytest.param({"fields": ["A: b\r\nC: d"]}, id="injection"),
        pytest.param({"fields": ["A: é"]}, id="not-ascii"),
        pytest.param({"fields": ["x-api-key: hunter2"]}, id="key"),
        pytest.param({"fields": ["AUTHORIZATION: hunter2"]}, id="token"),
        pytest.param({"fields": ["Transfer-Encoding: chunked"]}, id="framing"),
        pytest.param({"fields": ["Host: b"]}, id="host"),
        pytest.param({"trace": "a b"}, id="trace"),
        pytest.param({"trace": "t" * 201}, id="long-trace"),
        pytest.param({"idempotency_key": "a b"}, id="idempotency-key"),
    ],
)
def test_what_cannot_be_sent_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(UnusableError) as refused:
        called(given)

    assert "hunter2" not in str(refused.value)


def test_what_is_sent_is_read_before_anything_is_awaited() -> None:
    output = Output(Look(False, False, False, Sheet(80, colour=False)))  # noqa: FBT003 - a tuple's fields

    with pytest.raises(UnusableError, match="/nowhere"):
        _ = call(Gateway(Asking(url="http://a")), output, given_of({"body": "@/nowhere/at/all"}))

"""Facts about `/api/v1/invoke`: which tool it calls, and with which bytes."""

import pytest

from proxy.errors import BadValueError, ProxyError, ToolNotFoundError
from proxy.wire.invocation import read_invocation


@pytest.mark.parametrize(
    "parameters",
    [
        b"{}",
        b'{"a": 1}',
        b'{ "a"\t:\n1 , "a" : 2 }',
        b'{"big": 123456789012345678901234567890, "fine": 1.10e+2}',
        b'{"text": "\\u00e9\xc3\xa9\\/"}',
        b'{"deep": [[[{}]]]}',
        b'{"half": "\\ud800", "a": 1, "a": 2}',
        b'{ "half":"\\uDC00" ,"big":123456789012345678901234567890, "x":"\xc3\xa9" }',
    ],
)
def test_parameters_stay_the_bytes_that_they_were(parameters: bytes) -> None:
    body = b'{"server": "o", "tool": "a.b", "parameters":  ' + parameters + b" }"

    assert read_invocation(body) == (b"o.a.b", parameters)


@pytest.mark.parametrize("given", [b"", b', "parameters": null'])
def test_no_parameters_are_an_empty_object(given: bytes) -> None:
    assert read_invocation(b'{"server":"o","tool":"t"' + given + b"}") == (b"o.t", b"{}")


def test_other_members_are_left_alone() -> None:
    body = b'{"user": {"id": 1}, "tool":"t", "parameters":{"x":1}, "server":"o"}'

    assert read_invocation(body) == (b"o.t", b'{"x":1}')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"server":"o","tool":"t"} x',
        b"\xff",
        b'{"server":1,"tool":"t"}',
        b'{"tool":"t"}',
        b'{"server":"o"}',
        b'{"server":"x","server":"o","tool":"t"}',
        b'{"server":"o","tool":"t","parameters":{"a":"\\ud800"}',
        b'{"server":"o","tool":"t","parameters":{"a":"\\ud800"}} x',
        b'["\\ud800"]',
        b'{"server" "\\ud800"}',
        b'{"server":"o","tool":"t","extra":"' + b"x" * 70_000 + b'"}',
        b'{"server":"o","tool":"t","parameters":{"a":1},"parameters":{"a":2}}',
        b'{"server":"o","tool":"t","parameters":{},"parameters":{}}',
        b'{"server":"o","tool":"t","parameters":[1]}',
        b'{"server":"o","tool":"t","parameters":"x"}',
        b'{"server":"o","tool":"t","parameters":{"a":}}',
        b'{"server":"o","tool":"t","parameters":' + b"[" * 100_000 + b"}",
    ],
)
def test_what_is_no_invocation_is_refused_in_one_sentence(body: bytes) -> None:
    with pytest.raises(BadValueError) as raised:
        read_invocation(body)

    assert "\n" not in raised.value.detail


@pytest.mark.parametrize("name", ["", "a/b", "..%2f", "a?x", "a b", "é", "a" * 129])
def test_what_is_no_name_names_no_tool(name: str) -> None:
    with pytest.raises(ProxyError):
        read_invocation(f'{{"server":"o","tool":"{name}"}}'.encode())


def test_server_has_no_dot() -> None:
    with pytest.raises(ToolNotFoundError):
        read_invocation(b'{"server":"o.p","tool":"t"}')

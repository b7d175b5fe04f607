"""Facts about what of a value may be shown."""

from typing import Any, Final

import pytest

from proxy.artifact import canonical
from proxy.config.units import Rate
from proxy.generations.masks import Mask, cut
from proxy.generations.values import ABSENT
from proxy.registry.address import parse_address, read_endpoint
from proxy.registry.model import Balance, CircuitConfig, HashKey, Latency, Parameter

PASSWORD: Final = Mask(["password"])
SECRET: Final = "sesame"  # noqa: S105 - it opens nothing


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("inject_headers.x-key", SECRET, id="header"),
        pytest.param('inject_headers["x.key"]', SECRET, id="header-with-a-dot"),
        pytest.param("inject_headers", {"x-key": SECRET}, id="all-headers"),
        pytest.param("health_url", f"http://a/health?key={SECRET}", id="query"),
        pytest.param("capabilities_url", f"http://a/c?{SECRET}?{SECRET}", id="two-queries"),
        pytest.param("access_restrictions.api_token", SECRET, id="restriction"),
        pytest.param("access_restrictions.ldap", {"Password": [SECRET]}, id="restriction-within"),
        pytest.param("access_restrictions.secrets.a.b", SECRET, id="below-a-secret-key"),
        pytest.param("parameters.password.default", SECRET, id="default"),
        pytest.param("parameters.password.enum", (SECRET,), id="enum"),
        pytest.param("parameters.PASSWORD.default", SECRET, id="other-case"),
        pytest.param("parameters.password", Parameter(name="p", default=SECRET), id="parameter"),
        pytest.param(
            "parameters", (Parameter(name="password", enum=(SECRET,)),), id="parameters-in-a-list"
        ),
        pytest.param(
            "input_schema.properties.password", {"type": "string", "default": SECRET}, id="property"
        ),
        pytest.param("input_schema.properties.password.examples", [SECRET], id="examples"),
        pytest.param("input_schema.properties.password.const", SECRET, id="const"),
        pytest.param("input_schema.properties.password.x-sample", SECRET, id="extension"),
        pytest.param("input_schema.properties.password", SECRET, id="no-schema-at-all"),
        pytest.param(
            "input_schema.properties",
            {"password": {"anyOf": [{"items": {"enum": [SECRET]}}]}},
            id="deep-within",
        ),
        pytest.param("input_schema.default", {"password": SECRET}, id="default-of-the-whole"),
        pytest.param("input_schema.examples", [{"a": {"password": [SECRET]}}], id="whole-example"),
        pytest.param("input_schema.$defs", {"P": {"default": SECRET}}, id="referred-to"),
        pytest.param("input_schema.allOf.0.properties.password.const", SECRET, id="condition"),
    ],
)
def test_a_secret_is_not_shown(path: str, value: object) -> None:
    shown = canonical(PASSWORD.shown(path, value))

    assert SECRET.encode() not in shown
    assert b"***" in shown


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        pytest.param("health_url", "http://a/health", "http://a/health", id="no-query"),
        pytest.param("health_url", "http://a/?b", "http://a/?***", id="query"),
        pytest.param("access_restrictions.roles", ["a"], ["a"], id="restriction"),
        pytest.param("parameters.password.required", True, True, id="required"),
        pytest.param("parameters.password.type", "string", "string", id="type"),
        pytest.param("parameters.text.default", "x", "x", id="another-parameter"),
        pytest.param("input_schema.default", {"a": 1}, {"a": 1}, id="default-of-others"),
        pytest.param("sensitive_params", ("password",), ["password"], id="names"),
        pytest.param("timeout", 3.0, 3.0, id="number"),
        pytest.param("rate", Rate(3.0, 60), "3/m", id="rate"),
        pytest.param("balance", Balance(), "least_request", id="balance"),
        pytest.param(
            "balance",
            Balance(method="hash", key=HashKey(header="x-a")),
            {"hash": {"header": "x-a", "peer": False}},
            id="hash",
        ),
        pytest.param(
            "endpoints",
            (parse_address("http://a"), read_endpoint({"url": "http://b", "weight": 2})),
            ["http://a:80", {"url": "http://b:80", "weight": 2}],
            id="endpoints",
        ),
        pytest.param("latency", Latency(p50=1.0), {"p50": 1.0}, id="what-is-not-said"),
        pytest.param("circuit", CircuitConfig().failures, 5, id="key"),
        pytest.param("port", None, None, id="null"),
        pytest.param("inject_headers.x-key", ABSENT, None, id="absent"),
        pytest.param("input_schema.maximum", float("inf"), "inf", id="no-number-of-jsons"),
    ],
)
def test_what_is_no_secret_is_shown_as_it_is_written(
    path: str, value: object, shown: object
) -> None:
    assert PASSWORD.shown(path, value) == shown


def test_without_sensitive_parameters_values_are_shown() -> None:
    assert Mask().shown("parameters.password.default", "x") == "x"


def test_the_last_word_of_a_sensitive_path_counts() -> None:
    assert (
        Mask(["auth.pin"]).shown("input_schema.properties.auth.properties.pin.default", 7) == "***"
    )


def test_a_sensitive_parameter_with_the_name_of_a_keyword_is_hidden_whole() -> None:
    assert Mask(["default"]).shown("parameters.default", Parameter(name="default")) == "***"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("x" * 1_000_000, id="text"),
        pytest.param(["x" * 100] * 10_000, id="list"),
        pytest.param({f"key{at}": at for at in range(100_000)}, id="mapping"),
        pytest.param([[]] * 100_000, id="nothing-many-times"),
    ],
)
def test_what_is_long_is_cut_and_says_so(value: Any) -> None:
    shown = Mask().shown("access_restrictions.x", value)

    assert isinstance(shown, str)
    assert len(shown) < 4200
    assert shown.endswith("… (cut: longer than 4096 characters)")


def test_a_secret_in_what_is_cut_stays_one() -> None:
    value = {"a": "x" * 4000, "password": SECRET, "b": "x" * 4000}

    assert SECRET not in str(Mask().shown("access_restrictions.x", value))


def test_text_is_cut_where_it_is_too_long() -> None:
    assert cut("x" * 4096) == "x" * 4096
    assert cut("x" * 4097).startswith("x" * 4096 + "… (cut")

"""Facts about registries that say secrets outright."""

import pytest

from proxy.artifact import canonical
from proxy.generations.exposure import says_secrets


def registry(server: object, **more: object) -> bytes:
    return canonical({"servers": [server], **more})


@pytest.mark.parametrize(
    "server",
    [
        pytest.param({"namespace": "a"}, id="nothing-of-the-kind"),
        pytest.param({"inject_headers": {"authorization": "${TOKEN}"}}, id="template"),
        pytest.param({"inject_headers": {"authorization": "Bearer ${file:t}"}}, id="scheme"),
        pytest.param({"inject_headers": {}}, id="no-headers"),
        pytest.param({"inject_headers": "odd", "health_url": 7}, id="of-another-kind"),
        pytest.param({"health_url": "http://a/health"}, id="no-query"),
        pytest.param('odd "inject_headers":', id="no-server"),
    ],
)
def test_a_template_names_a_secret_and_says_none(server: object) -> None:
    assert not says_secrets(registry(server))


@pytest.mark.parametrize(
    "server",
    [
        pytest.param({"inject_headers": {"authorization": "Bearer s3cr3t"}}, id="literal"),
        pytest.param({"inject_headers": {"x-key": "${A}s3cr3t"}}, id="beside-a-template"),
        pytest.param({"inject_headers": {"x-key": "s3cr3t-${A}"}}, id="before-a-template"),
        pytest.param({"inject_headers": {"x": "${A}", "y": "s3cr3t"}}, id="one-of-two"),
        pytest.param({"inject_headers": {"x": 7}}, id="of-another-kind"),
        pytest.param({"health_url": "http://a/health?key=s3cr3t"}, id="query"),
        pytest.param({"capabilities_url": "http://a/c?key=s3cr3t"}, id="other-query"),
    ],
)
def test_what_is_written_out_is_said(server: object) -> None:
    assert says_secrets(registry(server))


def test_defaults_say_it_for_every_server() -> None:
    defaults = {"inject_headers": {"authorization": "Bearer s3cr3t"}}

    assert says_secrets(registry({"namespace": "a"}, defaults=defaults))


@pytest.mark.parametrize("document", [[], {"servers": 7, "x": {"health_url": "a?b"}}, "x"])
def test_what_is_no_registry_says_nothing(document: object) -> None:
    assert not says_secrets(canonical(document))

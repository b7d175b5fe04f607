from argparse import Namespace
from pathlib import Path

import pytest

from proxy.people.asking import Asking
from proxy.people.options import API_KEY, DEFAULT_URL, TOKEN, URL
from proxy.people.unusable import UnusableError


def asking(environ: dict[str, str] | None = None, **given: object) -> Asking:
    options = {"url": None, "api_key_file": None, "token_file": None, "timeout": None, **given}
    return Asking.of(Namespace(**options), environ or {})


def test_it_begins_with_a_sidecar_of_this_machine() -> None:
    assert asking() == Asking(url=DEFAULT_URL)


def test_an_option_goes_before_the_environment(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of-file\n")
    environ = {URL: "http://a:1", API_KEY: "of-environment", TOKEN: "token"}

    found = asking(environ, url="http://b:2/", api_key_file=str(tmp_path / "key"))

    assert found == Asking(url="http://b:2", api_key="of-file", token="token")  # noqa: S106 - of a test


def test_credentials_are_never_shown() -> None:
    assert "secret" not in repr(asking({API_KEY: "secret", TOKEN: "secret"}))


@pytest.mark.parametrize(
    "octets", [b"", b"a b", b"a\nb", b"\xff", b"k" * 70_000], ids=lambda each: repr(each[:5])
)
def test_a_file_that_holds_no_credential_is_unusable(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "key").write_bytes(octets)

    with pytest.raises(UnusableError, match="--api-key-file") as refused:
        asking(api_key_file=str(tmp_path / "key"))

    assert "kkk" not in str(refused.value)


@pytest.mark.parametrize("path", ["/", "/nowhere/at/all", "a\0b", "/dev/zero"])
def test_a_file_that_cannot_be_read_is_unusable(path: str) -> None:
    with pytest.raises(UnusableError, match="--token-file"):
        asking(token_file=path)


def test_a_variable_that_holds_no_credential_is_named_and_not_shown() -> None:
    with pytest.raises(UnusableError, match=API_KEY) as refused:
        asking({API_KEY: "two words"})

    assert "two" not in str(refused.value)


@pytest.mark.parametrize("url", ["ftp://a", "http://", "http://[", "http://u:p@a", "http://a?b"])
def test_a_url_that_is_none_is_unusable(url: str) -> None:
    with pytest.raises(UnusableError, match="--url"):
        asking(url=url)


def test_fields_name_key_token_and_trace() -> None:
    fields = asking({API_KEY: "k", TOKEN: "t"}).fields("workflow-1")

    assert fields == {
        "X-API-Key": "k",
        "Authorization": "Bearer t",
        "X-Chora-Trace-Id": "workflow-1",
    }

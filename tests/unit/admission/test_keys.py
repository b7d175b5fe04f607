"""Facts about API keys: whose is it, and what can't be one."""

import hashlib
from pathlib import Path

import pytest

from proxy.admission.keys import ApiKeys
from proxy.config.access import ApiKey

SECRET = "s3cret-of-ci"  # noqa: S105 - of a test


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("latin-1")).hexdigest()


@pytest.mark.parametrize("written", [digest(SECRET), digest(SECRET).upper()])
def test_key_is_found_by_its_digest(written: str) -> None:
    keys = ApiKeys((ApiKey(name="ci", sha256=written),), {})

    found = keys.find(SECRET.encode())

    assert found is not None
    assert found.name == "ci"


@pytest.mark.parametrize("shown", [b"", b"other", SECRET.encode() + b" ", b"\xff" * 5])
def test_any_other_key_is_nobody_s(shown: bytes) -> None:
    assert ApiKeys((ApiKey(name="ci", sha256=digest(SECRET)),), {}).find(shown) is None


def test_key_is_read_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("in-a-file\n")
    keys = ApiKeys(
        (
            ApiKey(name="file", key=f"${{file:{tmp_path / 'key'}}}"),
            ApiKey(name="variable", key="${A_KEY}"),
            ApiKey(name="digest", sha256="${A_DIGEST}"),
        ),
        {"A_KEY": "in-a-variable", "A_DIGEST": digest("by-digest")},
    )

    shown = (b"in-a-file", b"in-a-variable", b"by-digest")

    assert [found.name for each in shown if (found := keys.find(each))] == [
        "file",
        "variable",
        "digest",
    ]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (ApiKey(name="ci", key="${UNSET}"), "empty, or not set"),
        (ApiKey(name="ci", key="${file:/no/such/file}"), "cannot be read"),
        (ApiKey(name="ci", sha256="${SHORT}"), "64 hexadecimal digits"),
        (ApiKey(name="ci", key="${CONTROL}"), "control characters"),
    ],
)
def test_key_that_cannot_be_had_is_named_without_its_secret(key: ApiKey, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        ApiKeys((key,), {"SHORT": "abcdef", "CONTROL": "hidden\x01"})

    assert "ci" in str(raised.value)
    assert "abcdef" not in str(raised.value)
    assert "hidden" not in str(raised.value)


def test_one_key_belongs_to_one_application() -> None:
    both = (ApiKey(name="a", sha256=digest(SECRET)), ApiKey(name="b", sha256=digest(SECRET)))

    with pytest.raises(ValueError, match="b and a have the same key"):
        ApiKeys(both, {})


def test_nothing_of_a_key_is_shown() -> None:
    keys = ApiKeys((ApiKey(name="ci", sha256=digest(SECRET)),), {})

    assert (repr(keys), bool(keys), bool(ApiKeys((), {}))) == ("<ApiKeys 1>", True, False)

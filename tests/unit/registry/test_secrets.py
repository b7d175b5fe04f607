"""Facts about secrets in templates."""

from pathlib import Path

import pytest

from proxy.registry.secrets import Rules, flaws, resolve_template

RULES = Rules(("MANIFEST_*", "ONE"), "/run/secrets")
ENVIRON = {"MANIFEST_TOKEN": "t0k", "ONE": "1", "AWS_SECRET": "no", "MANIFEST_EMPTY": ""}


@pytest.mark.parametrize(
    ("template", "codes"),
    [
        ("plain $ text {}", []),
        ("Bearer ${MANIFEST_TOKEN} ${ONE}", []),
        ("${file:/run/secrets/x}${file:y/z}", []),
        ("${MANIFEST_OTHER}", ["EMPTY_ENV_VAR"]),
        ("${MANIFEST_EMPTY}", ["EMPTY_ENV_VAR"]),
        ("${AWS_SECRET}", ["BAD_VALUE"]),
        ("${ONE_MORE}", ["BAD_VALUE"]),
        ("${file:/etc/passwd}", ["BAD_VALUE"]),
        ("${file:/run/secrets/../../etc/passwd}", ["BAD_VALUE"]),
        ("${file:../x}", ["BAD_VALUE"]),
        ("${file:/run/secrets}", ["BAD_VALUE"]),
        ("${file:/run/secrets2/x}", ["BAD_VALUE"]),
        ("${one two}", ["BAD_VALUE"]),
        ("${", ["BAD_VALUE"]),
    ],
)
def test_only_what_the_rules_name_may_be_named(template: str, codes: list[str]) -> None:
    assert [flaw.code for flaw in flaws(template, RULES, ENVIRON)] == codes


def test_templates_are_filled_in(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\r\n")

    filled = resolve_template("a ${ONE} ${GONE}${file:key}", ENVIRON, str(tmp_path))

    assert filled == "a 1 s3cret"


def test_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "key").write_text("s3cret")
    (tmp_path / "key").symlink_to("..data/key")

    assert resolve_template("${file:key}", {}, str(tmp_path)) == "s3cret"


def test_link_out_of_the_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "other").write_text("0ther")
    (tmp_path / "secrets" / "key").symlink_to(tmp_path / "other")

    with pytest.raises(ValueError, match="not below"):
        resolve_template("${file:key}", {}, str(tmp_path / "secrets"))


@pytest.mark.parametrize(
    "held", [b"s3cret\r\nX: y", b"s3cret\x00", b"s3cret\xff", "s3cret€".encode()]
)
def test_what_cannot_stand_in_a_header_is_refused_and_not_shown(
    tmp_path: Path, held: bytes
) -> None:
    (tmp_path / "key").write_bytes(held)

    with pytest.raises(ValueError, match="key") as caught:
        resolve_template("${file:key}", {}, str(tmp_path))

    assert "s3cret" not in str(caught.value)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        resolve_template("${file:none}", {}, str(tmp_path))

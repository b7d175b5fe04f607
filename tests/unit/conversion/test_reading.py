from pathlib import Path

import pytest

from proxy.conversion.directives import Directive
from proxy.conversion.reading import read
from proxy.people.unusable import UnusableError


def shown(directives: tuple[Directive, ...]) -> list[str]:
    return [f"{each!r} {' '.join(each.args)}".rstrip() for each in directives]


def written(folder: Path, text: str, name: str = "nginx.conf") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_included_files_stand_where_they_are_included(tmp_path: Path) -> None:
    written(tmp_path, "\nproxy_pass http://b;", "proxy.inc")
    path = written(tmp_path, "a 1;\nlocation / {\ninclude proxy.inc;\n}")

    directives = read(path)

    assert shown(directives) == ["<nginx.conf:1 a> 1", "<nginx.conf:2 location> /"]
    assert shown(directives[1].inside) == ["<proxy.inc:2 proxy_pass> http://b"]


def test_backslashes_go_where_nginx_takes_them_off(tmp_path: Path) -> None:
    path = written(tmp_path, r'return 200 "a\n\"b\" \$c \.d";')

    assert read(path)[0].args[1] == 'a\n"b" \\$c \\.d'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("a {", "nginx.conf:1: unexpected end", id="open"),
        pytest.param("a; }", 'nginx.conf:1: unexpected "}"', id="closed"),
        pytest.param("include nothing.conf;", "No such file", id="missing-include"),
        pytest.param("include nginx.conf;", "it includes itself", id="circle"),
        pytest.param("include;", "nginx.conf:1: list index", id="empty-include"),
        pytest.param("a {" * 3_000 + "}" * 3_000, "recursion|nested", id="deep"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_place(
    tmp_path: Path, text: str, why: str
) -> None:
    path = written(tmp_path, text)

    with pytest.raises(UnusableError, match=why):
        read(path)


def test_files_that_multiply_by_including_have_an_end(tmp_path: Path) -> None:
    for level in range(30):
        written(tmp_path, f"include {level + 1}.conf; include {level + 1}.conf;", f"{level}.conf")
    written(tmp_path, "a;", "30.conf")

    with pytest.raises(UnusableError, match="more than"):
        read(str(tmp_path / "0.conf"))


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(UnusableError, match="No such file"):
        read(str(tmp_path / "none"))
    with pytest.raises(UnusableError, match="UTF-8"):
        read(str(tmp_path / "binary"))

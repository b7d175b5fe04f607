"""Facts about documents: findings, lines, and what cannot be read."""

import pytest

from proxy.config import document
from proxy.config.document import DocumentError, Finding, Path, Problem, read_document, show_path

TEXT = """\
base: &base
  timeout: 5
servers:
  - namespace: a
    <<: *base
  - {namespace: b,
     port: x}
? [odd, key]
: 1
list:
- - 1
  - 2
list: 3
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        pytest.param((), 1, id="root"),
        pytest.param(("servers",), 3, id="key"),
        pytest.param(("servers", 0, "namespace"), 4, id="key-in-an-item"),
        pytest.param(("servers", 1), 6, id="item"),
        pytest.param(("servers", 1, "port"), 7, id="flow"),
        pytest.param(("servers", 0, "timeout"), 4, id="merged"),
        pytest.param(("servers", 1, "name"), 6, id="missing"),
        pytest.param(("nothing", 7, "here"), 1, id="nowhere"),
        pytest.param(("list",), 13, id="repeated-key"),
        pytest.param(("list", 0, 1), 12, id="nested-list"),
    ],
)
def test_path_is_located_at_itself_or_its_nearest_parent(path: Path, line: int) -> None:
    assert read_document(TEXT).locate([path]) == {path: line}


def test_finding_reads_as_one_line() -> None:
    finding = Finding("BAD_TYPE", "expected a number", "error", "servers[2].port", 14, "/x/r.yaml")

    assert str(finding) == "r.yaml:14: servers[2].port: expected a number"


@pytest.mark.parametrize(
    ("finding", "shown"),
    [
        (Finding("A", "bad", "error", "a.b", None, "r.yaml"), "r.yaml: a.b: bad"),
        (Finding("A", "bad", "error", "", 3, "r.yaml"), "r.yaml:3: bad"),
        (Finding("A", "bad", "error", "a"), "a: bad"),
    ],
)
def test_finding_leaves_out_what_it_lacks(finding: Finding, shown: str) -> None:
    assert str(finding) == shown


def test_path_is_shown_with_dots_and_indexes() -> None:
    assert show_path(("servers", 2, "tools", 0, "name")) == "servers[2].tools[0].name"


def test_traps_are_warnings_with_their_lines() -> None:
    found = read_document("a: 1\nb:\n  on: 2024-01-01\n", "/etc/r.yaml")

    assert [str(finding) for finding in found.findings] == [
        "r.yaml:3: b.on: YAML reads the key on as no string: quote it",
        "r.yaml:3: b.on: YAML reads this as a date: quote it if it is meant as text",
    ]
    assert {finding.severity for finding in found.findings} == {"warning"}


def test_problems_are_reported_in_their_order() -> None:
    found = read_document("a: 1\nb: 2\n", "r.yaml")

    reported = found.report([Problem(("b",), "X", "bad"), Problem(("a",), "Y", "odd", "warning")])

    assert reported == (
        Finding("X", "bad", "error", "b", 2, "r.yaml"),
        Finding("Y", "odd", "warning", "a", 1, "r.yaml"),
    )


def test_without_problems_nothing_is_read_again() -> None:
    assert read_document("a: 1").report([]) == ()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("a: 1\nb: [", "r.yaml:3: not YAML: did not find expected", id="syntax"),
        pytest.param("a: 1\nb: \x01", "r.yaml:2: not YAML: control characters", id="control-byte"),
        pytest.param(b"a: 1\n\n\xff", "r.yaml:3: not YAML: invalid leading", id="not-utf-8"),
        pytest.param("\ud800", "r.yaml:1: not YAML", id="lone-surrogate"),
        pytest.param("", "r.yaml:1: empty", id="empty"),
        pytest.param("a\n---\nb", "r.yaml:2: more than one document", id="two"),
        pytest.param(
            '{"a": "\\ud83d\\ude00", "b": ' + "[" * 70 + "]" * 70 + "}", "r.yaml", id="deep"
        ),
        pytest.param("{" * 100_000, "r.yaml:1: nested deeper than 64 levels", id="deepest"),
    ],
)
def test_unusable_text_is_one_clear_finding(text: str | bytes, shown: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_document(text, "r.yaml")

    assert str(caught.value).startswith(shown)


def test_text_that_is_too_large_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_BYTES", 3)

    with pytest.raises(DocumentError, match="larger than"):
        read_document("four")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, true, null, "\\u00e9\\n"]}', {"a": [1, 2.5, True, None, "é\n"]}),
        ('{\n\t"a": {\n\t\t"b": []\n\t}\n}', {"a": {"b": []}}),
        ('{"face": "\\ud83d\\ude00"}', {"face": "😀"}),
    ],
)
def test_json_is_read(text: str, value: object) -> None:
    assert read_document(text).root == value


def test_json_spelt_anew_has_paths_but_no_lines() -> None:
    found = read_document('{"a": "\\ud83d\\ude00"}', "r.yaml")

    assert found.report([Problem(("a",), "X", "bad")]) == (
        Finding("X", "bad", "error", "a", None, "r.yaml"),
    )


def test_document_shows_its_size() -> None:
    assert repr(read_document("a: 1", "r.yaml")) == "<Document r.yaml 4 bytes, 0 findings>"


# --- JSON ---


def test_json_is_read_with_its_own_numbers() -> None:
    assert read_document('{"n": 1e5}').root == {"n": 100000.0}
    assert read_document("n: 1e5").root == {"n": "1e5"}


def test_findings_in_json_show_paths() -> None:
    (finding,) = read_document('{\n"a": 1,\n"a": 2}', "/etc/r.json").findings

    assert str(finding) == "r.json: a: repeated; the last one holds"


def test_problem_in_json_has_the_line_that_yaml_finds() -> None:
    text = '{\n"a":\n 1}'

    assert read_document(text).locate([("a",)]) == {("a",): 2}


def test_json_that_yaml_does_not_read_has_no_lines() -> None:
    found = read_document('{"a":\n "\\ud83e\\udd80"}')

    assert (found.root, found.locate([("a",)])) == ({"a": "🦀"}, {})


def test_text_without_anchors_shares_nothing() -> None:
    assert [read_document(text).may_share for text in ("a: b", "a: &x b", '{"a": "b&c"}')] == [
        False,
        True,
        True,
    ]

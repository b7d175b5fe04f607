"""Facts about the sidecar's own words: one line for each message, whatever it says."""

import logging
import time

import orjson
import pytest

from proxy.telemetry.logs import _JsonLines, _Stderr, _TextLines


def said(message: str, *arguments: object, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("toolproxy.x", level, __file__, 1, message, arguments, None)


def failed() -> logging.LogRecord:
    error = ValueError("first\nsecond")
    record = said("A bug", level=logging.ERROR)
    record.exc_info = (ValueError, error, None)
    return record


def test_json_has_four_keys() -> None:
    line = orjson.loads(_JsonLines().format(said("%d of %s", 3, "é", level=logging.WARNING)))

    line.pop("timestamp")
    assert line == {"level": "warning", "logger": "toolproxy.x", "message": "3 of é"}


def test_traceback_stays_within_its_line() -> None:
    text = _JsonLines().format(failed())

    assert len(text.splitlines()) == 1
    assert "ValueError: first\nsecond" in orjson.loads(text)["traceback"]


@pytest.mark.parametrize("odd", ["a\nb", "\x00", "\x1b[31m", '"'])
def test_json_is_one_line_whatever_is_said(odd: str) -> None:
    text = _JsonLines().format(said("%s", odd))

    assert len(text.split("\n")) == 1
    assert orjson.loads(text)["message"] == odd


def test_name_of_a_file_may_be_no_unicode() -> None:
    name = b"/var/\xff".decode(errors="surrogateescape")

    assert orjson.loads(_JsonLines().format(said("cannot write %s", name)))


def test_what_is_said_never_looks_like_another_message() -> None:
    text = _TextLines().format(said("%s", "a\n2026-01-01T00:00:00.000 toolproxy: b"))

    assert [line[:4] for line in text.splitlines()][1:] == ["    "]


@pytest.mark.parametrize(
    ("level", "wanted"),
    [(logging.INFO, "toolproxy: words"), (logging.WARNING, "toolproxy: warning: words")],
)
def test_text_says_how_bad_it_is_unless_it_is_not(level: int, wanted: str) -> None:
    assert _TextLines().format(said("words", level=level)).endswith(wanted)


def test_text_of_a_message_is_the_same_for_another_handler() -> None:
    record = said("words", level=logging.ERROR)

    texts = [_TextLines().format(record) for _ in range(2)]

    assert texts[0] == texts[1]


@pytest.fixture
def handler(capfd: pytest.CaptureFixture[str]) -> _Stderr:
    del capfd  # its descriptor stands for stderr
    made = _Stderr()
    made.setFormatter(_TextLines())
    return made


def test_flush_waits_for_what_was_said(handler: _Stderr, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(200):
        handler.handle(said("%d", number))

    handler.flush()

    lines = capfd.readouterr().err.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == [str(number) for number in range(200)]


def test_message_beyond_the_bound_is_dropped_and_counted(
    handler: _Stderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    began_at = time.monotonic()
    monkeypatch.setattr(handler._writer, "write", lambda _: None)

    for _ in range(6):
        handler.handle(said("%s", "x" * 1024**2))

    assert (handler.dropped, time.monotonic() - began_at < 1) == (3, True)

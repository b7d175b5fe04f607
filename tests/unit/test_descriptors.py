"""Facts about open files: what is left for callers, and what is said of it."""

import errno
import logging
import os

import pytest

from proxy.descriptors import Shortage, is_one_left, room_for_callers


@pytest.mark.parametrize(
    ("limit", "callers"), [(1024, 480), (256, 96), (20, 16)], ids=["usual", "few", "hardly-any"]
)
def test_each_caller_may_need_one_more_for_its_upstream(limit: int, callers: int) -> None:
    assert room_for_callers(limit) == callers


@pytest.mark.parametrize(
    ("number", "left"),
    [(errno.EMFILE, False), (errno.ENFILE, False), (errno.EBADF, True)],
    ids=["of-the-process", "of-the-machine", "stderr-is-closed"],
)
def test_another_fault_is_no_shortage(
    monkeypatch: pytest.MonkeyPatch, number: int, *, left: bool
) -> None:
    monkeypatch.setattr(os, "dup", _failing(number))

    assert is_one_left() is left


def test_shortage_is_said_once_and_its_end_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shortage = Shortage()
    with caplog.at_level(logging.WARNING), monkeypatch.context() as patch:
        patch.setattr(os, "dup", _failing(errno.EMFILE))
        for second in range(1, 4):
            shortage.look(second)

    with caplog.at_level(logging.WARNING):
        shortage.look(3.5)
        shortage.look(4.5)

    said = [(each.levelname, each.message.partition(" (")[0]) for each in caplog.records]
    assert said == [("ERROR", "No descriptor is left"), ("WARNING", "Descriptors are free again")]
    assert repr(shortage) == "<Shortage over>"


def _failing(number: int) -> object:
    def dup(_: int) -> int:
        raise OSError(number, os.strerror(number))

    return dup

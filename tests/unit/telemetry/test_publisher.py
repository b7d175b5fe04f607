"""Facts about who is told of a record."""

import logging

import pytest

from proxy.telemetry.publisher import Publisher
from proxy.telemetry.record import ExchangeRecord
from tests.support.records import record


def test_everybody_is_told_once_and_in_order() -> None:
    told: list[tuple[str, ExchangeRecord]] = []
    publisher = Publisher(
        lambda made: told.append(("first", made)), lambda made: told.append(("second", made))
    )
    made = record()

    publisher.publish(made)

    assert told == [("first", made), ("second", made)]


def test_bug_of_one_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    told: list[ExchangeRecord] = []

    def fails(made: ExchangeRecord) -> None:
        raise RuntimeError(str(made))

    Publisher(fails, told.append).publish(record())

    assert (len(told), [each.levelno for each in caplog.records]) == (1, [logging.ERROR])


def test_subscribers_may_be_replaced_while_they_are_told() -> None:
    told: list[str] = []
    publisher = Publisher()

    def replaces(made: ExchangeRecord) -> None:
        del made
        publisher.subscribers = (lambda _: told.append("new"),)

    publisher.subscribers = (replaces, lambda _: told.append("old"))

    publisher.publish(record())
    publisher.publish(record())

    assert told == ["old", "new"]


def test_nobody_need_listen() -> None:
    Publisher().publish(record())

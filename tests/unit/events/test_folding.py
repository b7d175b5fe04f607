"""Facts about refusals that are folded."""

from collections.abc import Mapping

from proxy.events.folding import Folding


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[dict[str, object]] = []

    def tell(self, kind: str, facts: Mapping[str, object]) -> None:
        assert kind == "authorization_denied"
        self.events.append(dict(facts))

    @property
    def counts(self) -> list[tuple[object, object]]:
        return [(event["subject"], event["count"]) for event in self.events]


def test_first_refusal_is_told_at_once_and_whole() -> None:
    told = Told()

    Folding(told.tell).denied("key-1", "o.call", "forbidden", "forbidden", 0.0)

    assert told.events == [
        {
            "status": "failure",
            "subject": "key-1",
            "tool_name": "o.call",
            "reason": "forbidden",
            "count": 1,
            "error_code": "forbidden",
            "error_message": "Refused: forbidden",
        }
    ]


def test_refusal_of_no_tool_names_none() -> None:
    told = Told()

    Folding(told.tell).denied("key-1", "", "forbidden", "forbidden", 0.0)

    assert told.events[0]["tool_name"] is None


def test_equal_refusals_are_one_event_a_second() -> None:
    told = Told()
    folding = Folding(told.tell)

    for step in range(31):
        folding.denied("a", "o.call", "r", "r", step * 0.1)
        folding.sweep(step * 0.1)
    folding.sweep(5.0)

    assert (len(told.events), sum(event["count"] for event in told.events)) == (4, 31)  # type: ignore[misc]  # a number it is


def test_other_subjects_and_reasons_have_events_of_their_own() -> None:
    told = Told()
    folding = Folding(told.tell)

    for subject, reason in (("a", "r"), ("b", "r"), ("a", "s"), ("a", "r")):
        folding.denied(subject, "o.call", reason, reason, 0.0)

    assert told.counts == [("a", 1), ("b", 1), ("a", 1)]


def test_folded_event_names_the_last_tool() -> None:
    told = Told()
    folding = Folding(told.tell)
    for tool in ("o.a", "o.b", "o.c"):
        folding.denied("a", tool, "r", "r", 0.0)

    folding.sweep(1.0)

    assert [(event["tool_name"], event["count"]) for event in told.events] == [
        ("o.a", 1),
        ("o.c", 2),
    ]


def test_nothing_is_told_of_nothing() -> None:
    told = Told()
    folding = Folding(told.tell)
    folding.denied("a", "", "r", "r", 0.0)

    for now in (0.5, 1.0, 2.0, 3.0):
        folding.sweep(now)

    assert (told.counts, folding._open) == ([("a", 1)], {})


def test_refusal_after_a_silence_is_told_at_once() -> None:
    told = Told()
    folding = Folding(told.tell)
    folding.denied("a", "", "r", "r", 0.0)
    folding.sweep(1.0)

    folding.denied("a", "", "r", "r", 1.5)

    assert told.counts == [("a", 1), ("a", 1)]


def test_more_subjects_than_are_kept_apart_are_counted_together() -> None:
    told = Told()
    folding = Folding(told.tell)

    for number in range(5_000):
        folding.denied(f"key-{number}", "", "r", "r", 0.0)
    folding.sweep(1.0)

    assert len(told.events) < 110
    assert sum(event["count"] for event in told.events) == 5_000  # type: ignore[misc]  # a number it is
    assert told.counts[-1][0] == "others"


def test_reasons_without_end_are_bounded_too() -> None:
    told = Told()
    folding = Folding(told.tell)

    for number in range(5_000):
        folding.denied("a", "", "r", f"reason-{number}", 0.0)

    assert len(folding._open) <= 200


def test_several_that_others_have_folded_count_as_many() -> None:
    told = Told()
    folding = Folding(told.tell)

    for _ in range(2):
        folding.denied("a", "", "r", "r", 0.0, times=3)
    folding.sweep(1.0)

    assert told.counts == [("a", 3), ("a", 3)]

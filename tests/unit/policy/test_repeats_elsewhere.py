"""Facts about a kept answer that goes to another process."""

import pickle

from proxy.policy.repeats import Kept


def test_an_answer_is_the_same_in_another_process() -> None:
    kept = Kept(b"200 OK", b"\r\nA: b", b"body", 200, {b"content-length": b"4"})

    there: Kept = pickle.loads(pickle.dumps(kept))  # noqa: S301 - our own

    assert (there.status_line, there.lines, there.body, there.status, there.noted) == (
        kept.status_line,
        kept.lines,
        kept.body,
        kept.status,
        kept.noted,
    )

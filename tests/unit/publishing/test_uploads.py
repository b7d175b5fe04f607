from proxy.people.output import STDERR, Look, Output
from proxy.people.tables import Sheet
from proxy.publishing.uploads import Upload

MIB = 1024**2


class Clock:
    """It is what a test says."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def output_to(said: list[str], *, terminal: bool = True) -> Output:
    def write(stream: int, octets: bytes) -> None:
        assert stream == STDERR
        said.append(octets.decode())

    look = Look(terminal, terminal, json=False, sheet=Sheet(80, colour=False))
    return Output(look, write)


def test_nothing_is_said_of_one_that_is_quick() -> None:
    said: list[str] = []
    clock = Clock()

    with Upload(output_to(said), clock) as upload:
        for _ in range(9):
            clock.now_s += 0.1
            upload(1, 2)

    assert said == []


def test_how_far_a_long_one_is_and_then_nothing_any_more() -> None:
    said: list[str] = []
    clock = Clock()

    with Upload(output_to(said), clock) as upload:
        for span_s, gone in ((1.0, 3 * MIB), (0.05, 4 * MIB), (0.06, 5 * MIB)):
            clock.now_s += span_s
            upload(gone, 10 * MIB)

    assert [each.removeprefix("\r\x1b[K") for each in said] == [
        "3.0 of 10.0 MiB",
        "5.0 of 10.0 MiB",
        "",
    ]


def test_nobody_is_told_in_a_pipe() -> None:
    said: list[str] = []
    clock = Clock()

    with Upload(output_to(said, terminal=False), clock) as upload:
        clock.now_s += 5
        upload(1, 2)

    assert said == []

"""Facts about a registry in pieces: what comes out is what went in."""

import msgspec
import pytest

from proxy.generations.frames import Assembly, frames_of, rejection
from proxy.generations.reading import Candidate
from proxy.registry.load import Loaded, RegistryRejectedError, load
from tests.support.offices import new_registry

MANY = 120  # tools, which are several pieces


def loaded(*entries: str) -> Loaded:
    text = "servers:\n" + "".join(f"- {{{entry}}}\n" for entry in entries)
    return load(text.encode(), "registry.yaml", new_registry().rules, {})


def large() -> Loaded:
    tools = ", ".join(f"{{name: t{number}}}" for number in range(MANY))
    return loaded(
        f"namespace: a, name: a, port: 1, tools: [{tools}]",
        "namespace: b, name: b, port: none",
        "namespace: c, name: c, port: 3, tools: []",
    )


def put_together(frames: list[bytes]) -> list[Candidate | None]:
    assembly = Assembly()
    return [assembly.add(frame) for frame in frames]


def test_the_whole_comes_with_the_last_piece() -> None:
    candidate = Candidate(large(), (b"canonical", b" form"), None)
    frames = list(frames_of(candidate))

    *before, last = put_together(frames)

    assert before == [None] * (len(frames) - 1)
    assert last == candidate
    assert candidate.loaded.quarantined
    assert candidate.loaded.findings


def test_no_piece_has_more_than_a_few_tools() -> None:
    sizes = [len(frame) for frame in frames_of(Candidate(large(), (), None))]

    assert len(sizes) >= MANY // 50 + 3
    assert max(sizes) < 64 * 1024


def test_a_registry_of_nothing_is_one_piece() -> None:
    candidate = Candidate(Loaded(servers=(), quarantined=(), findings=(), identity=""), (), None)

    assert put_together(list(frames_of(candidate))) == [candidate]


def test_a_rejection_says_why() -> None:
    findings = large().findings
    frames = list(rejection(findings))
    assembly = Assembly()
    for frame in frames[:-1]:
        assembly.add(frame)

    with pytest.raises(RegistryRejectedError) as rejected:
        assembly.add(frames[-1])

    assert tuple(rejected.value.findings) == findings


def test_what_is_no_piece_is_said_so() -> None:
    with pytest.raises(msgspec.MsgspecError):
        Assembly().add(b"nonsense")

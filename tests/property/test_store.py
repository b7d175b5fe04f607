"""Whatever is done to a store, in whatever order, it knows what a few plain variables know."""

import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.artifact import Floor
from proxy.generations.objects import CorruptError, MissingError
from proxy.generations.records import Activation, Active, Latest, Published, Reason, State
from proxy.generations.store import Store, StoreError
from tests.support.store_faults import Died, Disk
from tests.support.store_scene import AT, activation, kept, name, octets, opened, signed

NUMBERS = st.integers(1, 16)
VERSIONS = st.none() | st.integers(1, 30)
PROFILES = st.sampled_from(["default", "client/eu"])
CLIENTS = st.sampled_from(["a", "b"])
REASONS = st.sampled_from(get_args(Reason))
STATES = st.sampled_from(get_args(State))


@dataclass
class Model:
    """What a store has to know, by generation."""

    active: Active | None = None
    latest: Latest | None = None
    log: list[Activation] = field(default_factory=list)
    floors: dict[str, Floor] = field(default_factory=dict)
    published: dict[str, Published] = field(default_factory=dict)

    def activate(self, new: Activation, against: str) -> None:
        self.active = Active(new, against)
        self.log.insert(0, new)
        was = self.latest
        if new.signed:
            mark = new.signed.envelope
            if mark.version > self.floors.get(mark.profile, Floor()).version:
                self.floors[mark.profile] = Floor(mark.version, new.generation)
        if against:
            if was and was.generation == against and was.state == "active":
                self.latest = Latest(was.generation, was.at, was.signed, "pinned")
        elif not was or was.generation == new.generation or new.reason in {"source", "accept"}:
            self.latest = Latest(new.generation, AT, new.signed, "active")

    def needed(self) -> set[str]:
        newest = dict.fromkeys(each.generation for each in self.log)
        named = [each.generation for each in self.published.values()]
        if self.active:
            named += [self.active.activation.generation, self.active.pinned_against]
        if self.latest:
            named.append(self.latest.generation)
        return {*list(newest)[:10], *named}


class StoreMachine(RuleBasedStateMachine):
    """A store beside its model; reads are made as another process makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = opened(self.folder)
        self.model = Model()
        self.here: set[str] = set()
        self.corrupt: set[str] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def keep(self, generation: str, *, spare: str = "") -> None:
        """It is here and whole; what nobody needs is not."""
        self.here.add(generation)
        self.corrupt.discard(generation)
        self.forget(spare=spare)

    def forget(self, *, spare: str = "") -> None:
        self.here &= self.model.needed() | {spare}
        self.corrupt &= self.here

    # --- what may happen ---

    @rule(number=NUMBERS, version=VERSIONS, profile=PROFILES, reason=REASONS, pin=st.booleans())
    def activate(
        self, number: int, version: int | None, profile: str, reason: Reason, *, pin: bool
    ) -> None:
        signature = version and signed(number, version, profile)
        new = activation(number, signature or None, reason)
        against = self.model.latest.generation if pin and self.model.latest else ""

        self.store.activate(new, octets(number), pinned_against=against)

        self.model.activate(new, against)
        self.keep(new.generation)

    @rule(number=NUMBERS)
    def roll_back(self, number: int) -> None:
        new = activation(number, None, "rollback")
        if new.generation not in self.here - self.corrupt:
            with pytest.raises((MissingError, CorruptError)):
                self.store.activate(new, None)
            return

        self.store.activate(new, None)

        self.model.activate(new, "")
        self.forget()

    @rule(number=NUMBERS, version=st.integers(1, 30), step=st.integers(1, 40))
    def die(self, number: int, version: int, step: int) -> None:
        new, before = activation(number, signed(number, version)), self.model.active
        if before and before.activation == new:
            return  # old and new cannot be told apart
        with suppress(Died), Disk(step).working():
            self.store.activate(new, octets(number))

        self.store = opened(self.folder)

        if self.store.active() == Active(new):
            self.model.activate(new, "")
            self.keep(new.generation)
        else:
            floor = Floor(version, new.generation)  # rises before anything else is turned over
            if self.store.floor("default") == floor:
                self.model.floors["default"] = floor
            self.corrupt = {each for each in self.corrupt if not self.is_whole(each)}
            self.forget()

    def is_whole(self, generation: str) -> bool:
        with suppress(StoreError):
            return bool(self.store.read(generation))
        return False

    @rule(number=NUMBERS, version=VERSIONS, state=STATES)
    def note_latest(self, number: int, version: int | None, state: State) -> None:
        latest = Latest(name(number), AT, signed(number, version) if version else None, state)

        self.store.note_latest(latest, octets(number))

        self.model.latest = latest
        self.keep(latest.generation)

    @rule(number=NUMBERS)
    def keep_only(self, number: int) -> None:
        self.store.keep(name(number), octets(number))

        self.keep(name(number), spare=name(number))

    @rule(client=CLIENTS, number=NUMBERS, version=st.integers(1, 30))
    def publish(self, client: str, number: int, version: int) -> None:
        signature = signed(number, version)
        there = self.model.published.get(client)
        of_there = there and there.signed and there.signed.envelope
        if of_there and not Floor(of_there.version, of_there.registry_sha256).admits(
            signature.envelope
        ):
            with pytest.raises(StoreError, match="not newer"):
                self.store.publish(client, "default", octets(number), signature)
            return

        self.store.publish(client, "default", octets(number), signature)

        self.model.published[client] = Published(name(number), AT, signature)
        self.keep(name(number))

    @rule()
    def unpin(self) -> None:
        self.store.unpin()

        if self.model.active:
            self.model.active = Active(self.model.active.activation)
        self.forget()

    @rule()
    def reopen(self) -> None:
        self.store = opened(self.folder)
        self.forget()

    @precondition(lambda self: self.here)
    @rule(data=st.data(), found=st.sampled_from([b"", b"{}", b'{"n":1']))
    def corrupt_one(self, data: st.DataObject, found: bytes) -> None:
        generation = data.draw(st.sampled_from(sorted(self.here)))
        (self.folder / "objects" / generation[:2] / f"{generation[2:]}.json").write_bytes(found)
        self.corrupt.add(generation)

    # --- what is always so ---

    @invariant()
    def it_knows_what_the_model_knows(self) -> None:
        store, model = Store(str(self.folder)), self.model
        assert (store.active(), store.latest()) == (model.active, model.latest)
        assert store.history(100) == model.log[:100]
        for profile in ("default", "client/eu"):
            assert store.floor(profile) == model.floors.get(profile, Floor())
        for client in ("a", "b"):
            assert store.published(client, "default") == model.published.get(client)
        assert store.problems == []

    @invariant()
    def what_is_here_is_whole_or_refused(self) -> None:
        assert kept(self.folder) == self.here
        for number in range(1, 17):
            if name(number) in self.here - self.corrupt:
                assert self.store.read(name(number)) == octets(number)
            else:
                refusal = CorruptError if name(number) in self.corrupt else MissingError
                with pytest.raises(refusal):
                    self.store.read(name(number))


TestStore = StoreMachine.TestCase
TestStore.settings = settings(deadline=None, max_examples=15, stateful_step_count=25)

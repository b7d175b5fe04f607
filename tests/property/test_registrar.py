"""Whatever comes in whatever order: what runs was accepted, versions only grow, a pin holds.

A small model says what must run after each step; the registrar, with a real store that fails and is
mended, a source that comes and goes, and processes that start again, has to agree.
"""

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.artifact import Floor, identity
from proxy.errors import ProxyError
from proxy.generations.orders import accept, roll_back, unpin
from proxy.generations.registrar import Registrar
from tests.support.generations_scene import Scene, of_tools
from tests.support.signing import Signer

# Each tool that goes breaks callers; the last one breaks nobody who knows the one before.
TEXTS: Final = [of_tools("t"), of_tools("u"), of_tools("t", "u"), of_tools("t", "u", "v")]
TOOLS: Final = [{"t"}, {"u"}, {"t", "u"}, {"t", "u", "v"}]
NAMES: Final = [identity(text) for text in TEXTS]
STRANGER: Final = Signer("stranger")
OF_THE_TEXTS: Final = st.integers(0, len(TEXTS) - 1)


class Model:
    """What must run, by the number of its text; -1 for nothing."""

    def __init__(self, *, breaking_goes: bool) -> None:
        self.breaking_goes = breaking_goes
        self.running = self.pinned_against = self.newest = self.held = -1
        self.floor = (0, -1)
        self.offered = (-1, 0)  # text and version in the source; -1 for one that is not ours

    def looks(self) -> None:
        text, version = self.offered
        same_again = (version, text) == self.floor
        if text < 0 or not (version > self.floor[0] or same_again):
            self.newest = self.held = -1
            return
        self.newest = text
        if self.pinned_against == text:
            return
        if self.running >= 0 and not self.breaking_goes and not TOOLS[text] >= TOOLS[self.running]:
            self.held = text
            return
        self.takes(text, version)

    def takes(self, text: int, version: int) -> None:
        self.running, self.pinned_against, self.held = text, -1, -1
        self.floor = max(self.floor, (version, text), key=lambda floor: floor[0])

    def goes_back(self, text: int, version: int) -> None:
        known = (self.newest, self.pinned_against, self.running)
        passed_over = next(each for each in known if each >= 0)
        self.takes(text, version)
        self.pinned_against = -1 if passed_over == text else passed_over


class RegistrarMachine(RuleBasedStateMachine):
    """One deployment, with signatures required."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.scene = Scene(Path(self.folder.name), remote=True)
        self.registrar: Registrar
        self.broken = self.unkept = False

    def teardown(self) -> None:
        self.scene.close()
        self.runner.close()
        self.folder.cleanup()

    def run(self, work: Coroutine[Any, Any, None]) -> bool:
        """Was it done? Only our own errors may say no."""
        try:
            self.runner.run(work)
        except ProxyError:
            return False
        return True

    @initialize(breaking_goes=st.booleans(), text=OF_THE_TEXTS)
    def begins(self, *, breaking_goes: bool, text: int) -> None:
        self.model = Model(breaking_goes=breaking_goes)
        self.settings = self.scene.requiring(on_breaking="accept" if breaking_goes else "hold")
        self.offers(text, 1)
        self.starts()

    def starts(self) -> None:
        self.registrar = self.runner.run(self.scene.started(self.settings))
        self.model.newest = self.model.held = -1
        if not self.scene.written.away:
            self.model.looks()

    # --- what the source says ---

    @rule(text=OF_THE_TEXTS, version=st.integers(1, 9))
    def offers(self, text: int, version: int) -> None:
        self.scene.written.says(TEXTS[text], self.scene.signer.signs(TEXTS[text], version))
        self.model.offered = text, version

    @rule(text=OF_THE_TEXTS, signed=st.booleans())
    def somebody_else_offers(self, text: int, *, signed: bool) -> None:
        self.scene.written.says(TEXTS[text], STRANGER.signs(TEXTS[text], 9) if signed else None)
        self.model.offered = -1, 0

    @rule(away=st.booleans())
    def goes_away_or_comes_back(self, *, away: bool) -> None:
        self.scene.written.away = "nobody is there" if away else ""

    # --- what the sidecar does ---

    @rule(force=st.booleans())
    def looks(self, *, force: bool) -> None:
        assert self.run(self.registrar.refresh(force=force))
        if not self.scene.written.away:
            self.model.looks()

    @rule(text=OF_THE_TEXTS)
    def goes_back(self, text: int) -> None:
        if self.run(roll_back(self.registrar, NAMES[text][:12])):
            signed = self.registrar.running.signed
            assert signed is not None
            assert not self.broken
            self.model.goes_back(text, signed.envelope.version)

    @rule()
    def unpins(self) -> None:
        pinned = self.model.pinned_against >= 0
        assert self.run(unpin(self.registrar)) is pinned
        if pinned:
            self.model.pinned_against = -1
            if not self.scene.written.away:
                self.model.looks()

    @rule()
    def accepts(self) -> None:
        held = self.registrar.held
        done = self.run(accept(self.registrar, NAMES[self.model.held]))
        assert done is (self.model.held >= 0)
        if done:
            assert held is not None
            assert held.signed is not None
            self.model.takes(self.model.held, held.signed.envelope.version)

    @rule()
    def store_breaks_or_is_mended(self) -> None:
        if self.broken:
            self.scene.mends_the_store()
        else:
            self.scene.breaks_the_store()
        self.broken = not self.broken
        self.unkept = True

    @precondition(lambda self: not self.broken)
    @rule()
    def starts_again(self) -> None:
        if self.unkept:  # what the store missed, a restart cannot know
            self.scene.written.away = ""
            self.offers(0, self.model.floor[0] + 1)
            self.model.pinned_against = -1
            self.run(unpin(self.registrar))
            self.looks(force=True)
            if self.model.held >= 0:
                self.accepts()
            self.unkept = False
        self.starts()

    @rule(text=OF_THE_TEXTS, version=st.integers(1, 9), order=st.permutations(range(5)))
    def everything_at_once(self, text: int, version: int, order: list[int]) -> None:
        """In any order; what runs in the end is found out, and is to be one that may."""
        self.offers(text, version)
        registrar = self.registrar
        works = [
            registrar.refresh(),
            registrar.refresh(force=True),
            roll_back(registrar, NAMES[text]),
            accept(registrar, NAMES[text]),
            unpin(registrar),
        ]

        async def all_of_them() -> list[object]:
            return await asyncio.gather(*(works[at] for at in order), return_exceptions=True)

        for came in self.runner.run(all_of_them()):
            assert came is None or isinstance(came, ProxyError), came
        self.learns()

    def learns(self) -> None:
        """What a test cannot tell, since it depends on who was first."""
        running, newest, held = self.registrar.running, self.registrar.newest, self.registrar.held
        model = self.model
        numbers = {name: number for number, name in enumerate(NAMES)} | {"": -1}
        floor = self.floor()
        assert floor.version >= model.floor[0]
        assert numbers[running.identity] in {model.running, model.offered[0]}
        model.running = numbers[running.identity]
        model.pinned_against = numbers[running.pinned_against]
        model.newest = numbers[newest.identity]
        model.held = numbers[held.identity] if held else -1
        model.floor = floor.version, numbers[floor.registry_sha256]

    def floor(self) -> Floor:
        return self.runner.run(self.registrar.trust()).floor

    # --- what always holds ---

    @invariant()
    def runs_what_it_must(self) -> None:
        registrar, model = self.registrar, self.model
        names = dict(enumerate(NAMES)) | {-1: ""}
        assert (
            registrar.running.identity,
            registrar.running.pinned_against,
            registrar.held.identity if registrar.held else "",
        ) == (names[model.running], names[model.pinned_against], names[model.held])
        assert registrar.live.current.identity == names[model.running]

    @invariant()
    def versions_only_grow(self) -> None:
        version, text = self.model.floor
        assert self.floor() == Floor(version, NAMES[text])

    @invariant()
    def runs_what_a_trusted_key_signed(self) -> None:
        signed = self.registrar.running.signed
        assert signed is not None
        assert signed.envelope.registry_sha256 == self.registrar.running.identity
        assert signed.envelope.key_id == self.scene.signer.key.key_id


TestRegistrar = RegistrarMachine.TestCase
TestRegistrar.settings = settings(max_examples=40, stateful_step_count=25)

"""How many processes is a sidecar: one that does all, or a master with an office and workers?

Starts them, and says in one sentence why that can't be done. Knows nothing of what they do.
"""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import uvloop

from proxy import terms
from proxy.admission.stage import Admission, AdmissionError
from proxy.config.settings import Settings, SettingsError
from proxy.generations.source import SourceError
from proxy.generations.starting import UnguardedError
from proxy.listening.serving import certificates_of, told_of
from proxy.listening.sockets import CannotListenError, Opened, open_all
from proxy.listening.succession import NoSuccessorError, Succession, end_predecessor
from proxy.office import Office
from proxy.registry.load import RegistryRejectedError
from proxy.reporting import ReportingError
from proxy.sidecar import Sidecar, new_instance
from proxy.telemetry.logs import log_directly, log_to_stderr
from proxy.worker import Seat, Worker
from proxy.workers.census import Census
from proxy.workers.master import Master, Role
from proxy.workers.place import NoPlaceError, Place, make_place

if TYPE_CHECKING:
    from proxy.listening.certificates import Certificates

_LOG = logging.getLogger("toolproxy")
_UNFIT: Final = (
    AdmissionError,
    CannotListenError,
    NoPlaceError,
    RegistryRejectedError,
    ReportingError,
    SourceError,
    UnguardedError,
)

Complain = Callable[[str], int]  # says it, and gives the exit status
Ready = Callable[[], None]


class Told(NamedTuple):
    """What the operator said: the settings, how to read them again, and the environment."""

    settings: Settings
    reread: Callable[[], Settings]
    environ: Mapping[str, str]


def serve(told: Told, complain: Complain) -> int:
    """Serve until a signal; the exit status."""
    try:
        if told.settings.workers_wanted == 1:
            log_to_stderr(told.settings.log_level, told.settings.log_format)
            return on_uvloop(_alone(told))
        return _together(told, complain)
    except _UNFIT as error:
        return complain(str(error))


def on_uvloop(work: Coroutine[object, object, int]) -> int:
    """Run to the end on the loop that this product is measured on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def _alone(told: Told) -> int:
    sidecar = Sidecar(*told)
    try:
        address = await sidecar.start()
    except _UNFIT:
        await sidecar.close()
        raise
    sidecar.install_signals()
    succession = Succession()
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGUSR2, _begin, succession, sidecar.opened
    )
    _LOG.info("listening on %s", address)
    end_predecessor(told.environ, sidecar.opened)
    await sidecar.stopped()
    return 0


def _begin(succession: Succession, opened: Iterable[Opened]) -> None:
    """Hand everything over to a process that begins with newer code."""
    try:
        _LOG.info("Process %d begins, to take over", succession.begin(opened))
    except NoSuccessorError as error:
        _LOG.error("Nobody takes over: %s", error)


def _together(told: Told, complain: Complain) -> int:
    settings = told.settings
    log_directly(settings.log_level, settings.log_format)
    Admission(settings, told.environ)  # what is wrong with it is said once, and not by each
    opened = open_all(settings.listeners, told.environ)
    certificates = certificates_of(settings.listeners)  # so that all workers resume one's sessions
    place = make_place()
    try:
        family = _Family(told, Entrances(opened, certificates), place, complain)
        gc.collect()
        gc.freeze()  # what is there is shared by all, for as long as nobody writes to it
        return family.master.run()
    finally:
        place.remove()
        for each in opened:
            each.close()


class Entrances(NamedTuple):
    """Where callers come in, opened before anybody is forked."""

    opened: list[Opened]
    certificates: dict[str, "Certificates"]


class _Family:
    """An office, its workers, and what their master does beside keeping them (see `Orders`)."""

    def __init__(self, told: Told, entrances: Entrances, place: Place, complain: Complain) -> None:
        self._told = told  # with the settings that whoever is forked begins with
        self._entrances = entrances
        self._place = place
        self._complain = complain
        self._instance = new_instance()
        self._succession = Succession()
        self._are_ready = False
        self._census = Census(told.settings.workers_wanted)
        slots = range(1, told.settings.workers_wanted + 1)
        workers = [Role(f"worker {slot}", partial(self._live, self._work(slot))) for slot in slots]
        self.master = Master([Role("office", partial(self._live, self._office)), *workers], self)

    def __repr__(self) -> str:
        return f"<_Family of {self.master!r}>"

    # --- what the master does ---

    def ready(self) -> None:
        self._are_ready = True
        _LOG.info("listening on %s", told_of(self._entrances.opened))
        end_predecessor(self._told.environ, self._entrances.opened)

    def reload(self) -> None:
        """Read what children read now; what is wrong with it is theirs to say."""
        with contextlib.suppress(SettingsError, AdmissionError):
            settings = self._told.reread()
            Admission(settings, self._told.environ)
            running = self._told.settings
            self._told = self._told._replace(settings=terms.as_reloaded(running, settings))
        certificates = self._entrances.certificates
        for key, listener in self._told.settings.listeners:
            if key in certificates and listener.tls is not None:
                with contextlib.suppress(CannotListenError):
                    certificates[key].reload(listener.tls)

    def upgrade(self) -> None:
        _begin(self._succession, self._entrances.opened)

    def drain(self) -> float:
        return self._told.settings.drain_delay_s

    def shut(self) -> None:
        """While anybody holds them, the kernel goes on to let callers in."""
        for each in self._entrances.opened:
            each.close()

    # --- what the children do ---

    def _live(self, work: Callable[[Ready], Coroutine[object, object, int]], ready: Ready) -> int:
        """A child's whole life; its exit status."""
        settings = self._told.settings
        log_to_stderr(settings.log_level, settings.log_format)
        try:
            return on_uvloop(work(ready))
        except _UNFIT as error:
            return self._complain(str(error))
        finally:
            logging.shutdown()

    async def _office(self, ready: Ready) -> int:
        for each in self._entrances.opened:
            each.hand_over()
            each.close()  # callers come by workers alone
        one = Office(*self._told, self._instance, self._place, resumes=self._are_ready)
        try:
            await one.start()
        except _UNFIT:
            await one.close()
            raise
        one.install_signals()
        self._hold_on(one.begin_drain)
        ready()
        await one.stopped()
        return 0

    def _work(self, slot: int) -> Callable[[Ready], Coroutine[object, object, int]]:
        async def work(ready: Ready) -> int:
            one = Worker(*self._told, self._instance, Seat(self._place, slot, self._census))
            one.install_signals()
            self._hold_on(one.begin_drain)
            if await one.start(*self._entrances):
                ready()
                await one.stopped()
            return 0

        return work

    def _hold_on(self, drain: Callable[[], None]) -> None:
        """Without a master there is nobody who would start anew who dies, or stop who lives."""
        loop, lifeline = asyncio.get_running_loop(), self.master.lifeline

        def at_its_end() -> None:
            loop.remove_reader(lifeline)
            _LOG.error("The master is gone: draining")
            drain()

        loop.add_reader(lifeline, at_its_end)

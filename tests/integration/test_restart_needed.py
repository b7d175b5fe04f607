"""A reload says what it could not take up."""

import signal

from tests.support.sidecar import server
from tests.support.starters import StartSidecar
from tests.support.waiting import eventually


def test_what_takes_a_restart_is_said(start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("o", "http://127.0.0.1:9"))

    sidecar.write_settings({"listen": "127.0.0.1:1", "workers": 2, "max_timeout": 9})
    sidecar.signal(signal.SIGHUP)

    assert eventually(lambda: sidecar.said("warning: workers has changed, which takes a restart"))
    assert sidecar.said("warning: listen has changed, which takes a restart")
    assert not sidecar.said("max_timeout has changed")

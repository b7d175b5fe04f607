"""Where it was measured: the machine, the interpreter, and how that was built."""

import os
import platform
import re
import sys
import sysconfig
from pathlib import Path

from benchmarks.processes import OTHER_CORES, PROXY_CORES


def machine(*, pinned: bool) -> dict[str, object]:
    """`pinned`: the proxy had a core to itself."""
    where: dict[str, object] = {"proxy, load and upstream on": "all cores"}
    if pinned:
        where = {
            "proxy on core": min(PROXY_CORES),
            "load and upstream on core": min(OTHER_CORES),
        }
    return {"cpu": _cpu_model(), "cores": os.cpu_count(), "kernel": platform.release(), **where}


def interpreter() -> dict[str, object]:
    return {"version": platform.python_version(), "build": interpreter_build()}


def interpreter_build() -> str:
    """How this interpreter was built: profile-guided optimisation takes 20-30 % off a call."""
    said = f"{sysconfig.get_config_var('CONFIG_ARGS')} {sysconfig.get_config_var('PY_CFLAGS')}"
    if "--enable-optimizations" in said or "-fprofile-use" in said:
        return "optimised"
    # Debian's sysconfig describes another build than the optimised one that it ships.
    if Path(sys.executable).resolve().parent == Path("/usr/bin"):
        return "the distribution's (Debian's is optimised)"
    return "not optimised"


def _cpu_model() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()

"""The proxies that are measured, and the upstream behind them: real processes on loopback."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ANSWER = b'{"servers":[{"namespace":"n8n","port":8082},{"namespace":"text","port":8083}],"n":2}'
PROXY_CORE, OTHER_CORE = 0, 1

_NGINX_FRAME = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  keepalive_requests 1000000000;
{inside}
}}
"""
_NGINX_UPSTREAM = """\
  server {{ listen 127.0.0.1:{port} reuseport; default_type application/json;
    location / {{ return 200 '{answer}'; }}
    location /tools/vary {{ add_header X-Answer $request_id; return 200 '{answer}'; }} }}
"""
# The same work as ours: path rewritten, one field added, upstream connections kept.
_NGINX_PROXY = """\
  upstream tools {{ server 127.0.0.1:{upstream_port}; keepalive 64;
    keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port};
    proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_set_header X-Request-Id $request_id;
    location = /tools/bench.echo {{ proxy_pass http://tools/tools/echo; }}
    location = /tools/bench.vary {{ proxy_pass http://tools/tools/vary; }} }}
"""
_REGISTRY = """\
version: "1.0"
servers:
  - namespace: bench
    name: bench
    endpoints: [http://127.0.0.1:{upstream_port}]
    tools: [{{name: echo}}, {{name: vary}}]
"""


class Peer:
    """One running proxy: where it listens, and what it has used of the CPU."""

    def __init__(
        self, name: str, version: str, port: int, process: subprocess.Popen[bytes]
    ) -> None:
        self.name = name
        self.version = version
        self.url = f"http://127.0.0.1:{port}/tools/bench"
        self.process = process

    def cpu_s(self) -> float:
        """Time on a CPU of all its threads and children, in seconds."""
        return sum(_on_cpu_s(pid) for pid in _family(self.process.pid))


@contextmanager
def peers(folder: Path) -> Iterator[dict[str, Peer]]:
    """Start the upstream, nginx and the sidecar; stop them all at the end."""
    nginx = shutil.which("nginx")
    if nginx is None or shutil.which("wrk") is None:
        sys.exit("benchmarks need nginx and wrk: apt-get install nginx-light wrk")
    with ExitStack() as stack:
        upstream_port, nginx_port, our_port = free_port(), free_port(), free_port()
        inside = _NGINX_UPSTREAM.format(port=upstream_port, answer=ANSWER.decode())
        stack.enter_context(_nginx(nginx, folder / "upstream", inside, upstream_port, OTHER_CORE))
        inside = _NGINX_PROXY.format(port=nginx_port, upstream_port=upstream_port)
        proxy = stack.enter_context(_nginx(nginx, folder / "nginx", inside, nginx_port, PROXY_CORE))
        registry = folder / "registry.yaml"
        registry.write_text(_REGISTRY.format(upstream_port=upstream_port))
        command = [sys.executable, "-m", "proxy", "run", "--registry", str(registry)]
        command += ["--listen", f"127.0.0.1:{our_port}", "--log-level", "warning"]
        ours = stack.enter_context(_running(command, our_port, PROXY_CORE))
        yield {
            "nginx": Peer("nginx", _nginx_version(nginx), nginx_port, proxy),
            "toolproxy": Peer("toolproxy", sys.version.split()[0], our_port, ours),
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _nginx(
    command: str, folder: Path, inside: str, port: int, core: int
) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir()
    conf = folder / "nginx.conf"
    conf.write_text(_NGINX_FRAME.format(folder=folder, inside=inside))
    with _running([command, "-p", str(folder), "-c", str(conf)], port, core) as process:
        yield process


def _nginx_version(command: str) -> str:
    said = subprocess.run([command, "-v"], capture_output=True, check=True).stderr  # noqa: S603 - ours
    return said.decode().rpartition("/")[2].strip()


@contextmanager
def _running(command: list[str], port: int, core: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, preexec_fn=_pinned(core))  # noqa: S603, PLW1509 - affinity only
    try:
        wait_for(port, process)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _pinned(core: int) -> Callable[[], None]:
    return lambda: os.sched_setaffinity(0, {core})


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(500):
        if process.poll() is not None:
            sys.exit(f"{process.args!r} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"{process.args!r} does not listen")


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


def _on_cpu_s(pid: int) -> float:
    # schedstat counts nanoseconds; /proc/PID/stat counts ticks of 10 ms.
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

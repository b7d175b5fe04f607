"""A local server for tests: JSON-RPC over lines, with a method for each thing that can go wrong."""

import sys
from typing import Final

SOURCE: Final = r"""
import json, os, subprocess, sys, time

def say(**message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()

for line in sys.stdin:
    message = json.loads(line)
    method, params, number = message.get("method"), message.get("params"), message.get("id")
    if method == "echo":
        say(id=number, result=params)
    elif method == "environment":
        say(id=number, result={"env": dict(os.environ), "cwd": os.getcwd()})
    elif method == "repeat":
        say(id=number, result="x" * params["count"])
    elif method == "fail":
        say(id=number, error={"code": -32000, "message": "it is broken", "data": [1]})
    elif method == "die":
        sys.stderr.write("noise\n" * 1000 + "the disk is full\n")
        sys.stderr.flush()
        os._exit(3)
    elif method == "die_with_heirs":
        subprocess.Popen(["sleep", "30"])
        os._exit(4)
    elif method == "mute":
        pass
    elif method == "ask_back":
        say(id="theirs", method="sampling/createMessage", params={})
        say(id=number, result=json.loads(sys.stdin.readline()))
    elif method == "notify":
        say(method="notifications/progress", params={"percent": 50})
        sys.stdout.write("not json\n\n[]\n")
        say(id=number, result=None)
    elif method == "flood_stderr":
        sys.stderr.write("y" * params["count"])
        say(id=number, result="done")
    elif method == "notifications/heard":
        heard = params
    elif method == "what_was_heard":
        say(id=number, result=heard)
    elif method == "close_output":
        os.close(1)
"""
COMMAND: Final = [sys.executable, "-c", SOURCE]
_DEAF: Final = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("[]", flush=True)
while True:
    time.sleep(1)
"""
STUBBORN: Final = [sys.executable, "-c", _DEAF]

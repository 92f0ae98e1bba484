#!/usr/bin/env python3
"""Stands between a client and its server, adds nothing, and keeps what the server says and how it ends.

recorded.py FOLDER COMMAND… leaves there PID.stdout, PID.stderr and, once it is over, PID.code.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path


def main(folder, command):
    own = folder / f"{os.getpid()}.stderr"
    with own.open("wb") as stderr:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda told, _: server.send_signal(told))
    own.rename(folder / f"{server.pid}.stderr")
    listening = True
    with (folder / f"{server.pid}.stdout").open("wb", buffering=0) as kept:
        while said := os.read(server.stdout.fileno(), 1 << 16):
            kept.write(said)
            listening = listening and passed_on(said)
    ending = folder / f"{server.pid}.ending"
    ending.write_text(str(server.wait()))
    ending.rename(ending.with_suffix(".code"))


def passed_on(said):
    """Whether somebody still listens."""
    try:
        while said:
            said = said[os.write(1, said):]
        return True
    except BrokenPipeError:
        return False


main(Path(sys.argv[1]), sys.argv[2:])

#!/usr/bin/env python3
"""Passes a client's connection on to its server unchanged, and records the server's output and exit code.

recorded.py FOLDER COMMAND… writes PID.stdout and PID.stderr there and, after the exit, PID.code.
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
        signal.signal(number, lambda received, _: server.send_signal(received))
    own.rename(folder / f"{server.pid}.stderr")
    connected = True
    with (folder / f"{server.pid}.stdout").open("wb", buffering=0) as record:
        while data := os.read(server.stdout.fileno(), 1 << 16):
            record.write(data)
            connected = connected and pass_on(data)
    ending = folder / f"{server.pid}.ending"
    ending.write_text(str(server.wait()))
    ending.rename(ending.with_suffix(".code"))


def pass_on(data):
    """Writes data to the client; returns False when the client has closed the pipe."""
    try:
        while data:
            data = data[os.write(1, data):]
        return True
    except BrokenPipeError:
        return False


main(Path(sys.argv[1]), sys.argv[2:])

"""The environment of a client test: a workspace, and a backend whose requests can be held in flight."""

import contextlib
import http.client
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIMEOUT = 60
FULL_KEY = re.compile(rb"(?:sk|rk)_(?:proj_)?(?:sim|live|test)_[A-Za-z0-9]{8,}")
API_KEY = "rk_test_0123456789"
CREATE = "/v2/provisioning/resources"


class Workspace:
    """A temporary workspace. With `gated`, the backend is `stripe-api` against a simulator."""

    def __init__(self, binary, gated):
        self.binary = binary
        self.base = Path(tempfile.mkdtemp(prefix="clients-"))
        self.folder, self.records, self.home = self.base / "work", self.base / "records", self.base / "home"
        for folder in (self.folder, self.records, self.home):
            folder.mkdir()
        self.flags = ["--dir", str(self.folder), "--state-dir", str(self.base / "state")]
        self.secrets = set()
        self.gate = Gate(self) if gated else None
        if gated:
            (self.home / "key").write_text(API_KEY)
            self.flags += ["--backend", "stripe-api", "--accept-tos", "--stripe-api-base", self.gate.base]
            self.flags += ["--stripe-api-key-file", str(self.home / "key")]
        # A script without arguments, because clients differ in how they pass arguments to a server.
        self.server = self.base / "server"
        command = [sys.executable, str(HERE / "recorded.py"), str(self.records), str(binary), "serve", *self.flags]
        self.server.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in command) + "\n")
        self.server.chmod(0o755)
        if gated:
            self.run("connect", "stripe-api", "--yes")

    def run(self, *arguments, code=0):
        """Runs a command as the user would; returns its JSON output."""
        ran = subprocess.run([self.binary, *arguments, *self.flags, "--json"], env=environment(self.home),
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT)
        assert ran.returncode == code, f"{arguments}: exit {ran.returncode}: {ran.stdout}{ran.stderr}"
        return json.loads(ran.stdout)

    def variable(self, name):
        """Returns a variable of the env file, and adds its value to the secrets that must not leak."""
        env = self.folder / ".env"
        lines = env.read_text().splitlines() if env.exists() else []
        values = [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]
        self.secrets.update(value for value in values if FULL_KEY.fullmatch(value.encode()))
        assert len(values) <= 1, f"{name} is defined {len(values)} times"
        return values[0] if values else None

    def running(self):
        """Returns the servers that are running."""
        return [server for server in self.without_exit_code() if is_alive(server)]

    def without_exit_code(self):
        """Returns the servers without a recorded exit: they run, or their recorder was killed."""
        return [int(file.stem) for file in self.records.glob("*.stdout") if not file.with_suffix(".code").exists()]

    def signal(self):
        servers = self.running()
        assert len(servers) == 1, f"{len(servers)} servers"
        os.kill(servers[0], signal.SIGTERM)

    def assert_clean_exits(self, killed=0):
        """Waits until every server has exited with 0, except as many as the client is known to kill."""
        until("the end of the servers", lambda: not self.running() and len(self.without_exit_code()) <= killed)
        codes = {file.read_text() for file in self.records.glob("*.code")}
        assert codes <= {"0"}, f"exit codes {codes}"

    def messages(self):
        """Returns the messages of all servers so far."""
        lines = b"\n".join(file.read_bytes() for file in self.records.glob("*.stdout")).splitlines()
        return [json.loads(line) for line in lines if line]

    def assert_healthy(self):
        """Runs `doctor` on the ledger, env file and backend, and verifies the audit chain."""
        checks = self.run("doctor")
        self.run("audit", "--verify")
        return checks

    def search(self, *words):
        """Searches recorded output and every file except the env file for full keys; returns the number of bytes."""
        files = [file for file in self.base.rglob("*") if file.is_file() and file.name not in (".env", "key")]
        secrets = [secret.encode() for secret in self.secrets] + [word.encode() for word in words]
        for file in files:
            data = file.read_bytes()
            # The API key is only in its own file. In SQLite's pages a key would be contiguous.
            assert not any(secret in data for secret in [*secrets, API_KEY.encode()]), f"a key is in {file.name}"
            leak = FULL_KEY.search(data)
            assert not leak, f"something like a key is in {file.name}"
        return sum(file.stat().st_size for file in files)

    def close(self):
        if self.gate:
            self.gate.close()
        subprocess.run(["rm", "-rf", self.base], check=True)


class Gate:
    """A proxy in front of its own simulator that can hold one request until it is released."""

    def __init__(self, workspace):
        account = workspace.base / "account"
        account.mkdir()
        self.simulator = subprocess.Popen([workspace.binary, "simulator", "--listen", "127.0.0.1:0", "--dir", account,
                                           "--state-dir", workspace.base / "account-state"],
                                          stderr=subprocess.PIPE, text=True, env=environment(workspace.home))
        line = self.simulator.stderr.readline()
        assert line.startswith("listening on http://"), line
        self.upstream = line.removeprefix("listening on http://").strip()
        self.held_request, self.created, gate = None, set(), self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                gate.pass_on(self)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @contextlib.contextmanager
    def hold(self, ending):
        """Holds the next POST whose path has that ending; on exit, releases it and waits for its effect."""
        held = self.held_request = HeldRequest(ending)
        try:
            yield held
        finally:
            self.held_request = None
            held.released.set()
            if held.arrived.is_set():
                assert held.finished.wait(TIMEOUT), "the simulator did not answer"

    def pass_on(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        held = self.held_request
        if not (held and request.command == "POST" and request.path.endswith(held.ending) and held.take()):
            held = None
        if held:
            held.released.wait(TIMEOUT)
        upstream = http.client.HTTPConnection(self.upstream, timeout=TIMEOUT)
        upstream.request(request.command, request.path, body, dict(request.headers))
        response = upstream.getresponse()
        data = response.read()
        if request.command == "POST" and request.path == CREATE and response.status == 200:
            self.created.add(json.loads(data)["id"])
        if held:
            held.finished.set()
        with contextlib.suppress(ConnectionError):  # the client may have disconnected
            request.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection", "date"):
                    request.send_header(name, value)
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data)

    def keys(self):
        """Returns the current keys of all resources that were created here, from the simulator."""
        for resource in self.created:
            upstream = http.client.HTTPConnection(self.upstream, timeout=TIMEOUT)
            headers = {"Authorization": f"Bearer {API_KEY}", "Stripe-Version": "2026-10-14.preview",
                       "Content-Type": "application/json"}
            upstream.request("POST", f"{CREATE}/{resource}/reveal_access_configuration", "{}", headers)
            yield json.loads(upstream.getresponse().read()).get("configuration", {}).get("API_KEY")

    def close(self):
        self.server.shutdown()
        self.simulator.terminate()
        self.simulator.wait(TIMEOUT)


class HeldRequest:
    def __init__(self, ending):
        self.ending, self.lock = ending, threading.Lock()
        self.arrived, self.released, self.finished = threading.Event(), threading.Event(), threading.Event()

    def take(self):
        """Returns whether this is the first matching request; only that one is held."""
        with self.lock:
            first = not self.arrived.is_set()
            self.arrived.set()
            return first

    def wait(self):
        assert self.arrived.wait(TIMEOUT), "the request did not reach the backend"


def environment(home):
    """Returns the environment without variables that influence the program or a client."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("STRIPE_", "XDG_", "RUST_"))}
    return {**keep, "HOME": str(home)}


def is_alive(process):
    try:
        os.kill(process, 0)
        return True
    except ProcessLookupError:
        return False


def print_table(head, rows):
    for row in [head, ["---"] * len(head), *rows]:
        print("| " + " | ".join(row) + " |")


def until(what, ready):
    """Polls until `ready` returns a true value, and returns that."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        if value := ready():
            return value
        assert time.monotonic() < deadline, f"{what}: not within {TIMEOUT} s"
        time.sleep(0.02)

"""What a client is tried in: a workspace, a backend that can be held in the middle of a request, and who looks after it."""

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
PATIENCE = 60
FULL_KEY = re.compile(rb"(?:sk|rk)_(?:proj_)?(?:sim|live|test)_[A-Za-z0-9]{8,}")
API_KEY = "rk_test_0123456789"
CREATE = "/v2/provisioning/resources"


class Place:
    """A folder that is gone when the checks are over. With `gated`, the backend is Stripe's API, simulated."""

    def __init__(self, binary, gated):
        self.binary = binary
        self.base = Path(tempfile.mkdtemp(prefix="clients-"))
        self.folder, self.kept, self.home = self.base / "work", self.base / "kept", self.base / "home"
        for made in (self.folder, self.kept, self.home):
            made.mkdir()
        self.flags = ["--dir", str(self.folder)]
        self.secrets = set()
        self.gate = Gate(self) if gated else None
        if gated:
            (self.home / "key").write_text(API_KEY)
            self.flags += ["--backend", "stripe-api", "--accept-tos", "--stripe-api-base", self.gate.base]
            self.flags += ["--stripe-api-key-file", str(self.home / "key")]
        # One word for every client, so that none has to be told how to pass arguments on.
        self.server = self.base / "server"
        words = [sys.executable, str(HERE / "recorded.py"), str(self.kept), str(binary), "serve", *self.flags]
        self.server.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in words) + "\n")
        self.server.chmod(0o755)

    def run(self, *arguments, code=0):
        """A command of ours, as the human would give it; what it prints as JSON."""
        ran = subprocess.run([self.binary, *arguments, *self.flags, "--json"], env=environment(self.home),
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
        assert ran.returncode == code, f"{arguments}: exit {ran.returncode}: {ran.stdout}{ran.stderr}"
        return json.loads(ran.stdout)

    def variable(self, name):
        """A variable of the env file, remembered as what nobody may have seen."""
        env = self.folder / ".env"
        lines = env.read_text().splitlines() if env.exists() else []
        values = [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]
        self.secrets.update(value for value in values if FULL_KEY.fullmatch(value.encode()))
        assert len(values) <= 1, f"{name} is there {len(values)} times"
        return values[0] if values else None

    def running(self):
        """The servers that have begun and not ended."""
        return [server for server in self.unended() if is_alive(server)]

    def unended(self):
        """Those whose end was not seen: they run, or who would have seen it was killed."""
        return [int(file.stem) for file in self.kept.glob("*.stdout") if not file.with_suffix(".code").exists()]

    def signal(self):
        servers = self.running()
        assert len(servers) == 1, f"{len(servers)} servers"
        os.kill(servers[0], signal.SIGTERM)

    def all_ended_well(self, killed=0):
        """Every server has ended by itself, but for as many as a client is known to kill."""
        until("the end of the servers", lambda: not self.running() and len(self.unended()) <= killed)
        codes = {file.read_text() for file in self.kept.glob("*.code")}
        assert codes <= {"0"}, f"exit codes {codes}"

    def said(self):
        """The messages of all servers so far."""
        lines = b"\n".join(file.read_bytes() for file in self.kept.glob("*.stdout")).splitlines()
        return [json.loads(line) for line in lines if line]

    def healthy(self):
        """What the program itself says of its ledger, env file and backend, and the chain of its audit."""
        checks = self.run("doctor")
        self.run("audit", "--verify")
        return checks

    def search(self, *words):
        """Looks for full keys in all that the client was told and in every file but the env file; how many bytes."""
        files = [file for file in self.base.rglob("*") if file.is_file() and file.name not in (".env", "key")]
        secrets = [secret.encode() for secret in self.secrets] + [word.encode() for word in words]
        for file in files:
            data = file.read_bytes()
            # The API's key is in no file but its own; in SQLite's pages a key would be in one piece.
            assert not any(secret in data for secret in [*secrets, API_KEY.encode()]), f"a key is in {file.name}"
            found = FULL_KEY.search(data)
            assert not found, f"something like a key is in {file.name}"
        return sum(file.stat().st_size for file in files)

    def close(self):
        if self.gate:
            self.gate.close()
        subprocess.run(["rm", "-rf", self.base], check=True)


class Gate:
    """Passes requests on to a simulator of its own, and holds the one that it is told to, for as long as it is told to."""

    def __init__(self, place):
        world = place.base / "world"
        world.mkdir()
        self.simulator = subprocess.Popen([place.binary, "simulator", "--listen", "127.0.0.1:0", "--dir", world],
                                          stderr=subprocess.PIPE, text=True, env=environment(place.home))
        line = self.simulator.stderr.readline()
        assert line.startswith("listening on http://"), line
        self.upstream = line.removeprefix("listening on http://").strip()
        self.held, self.created, gate = None, set(), self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                gate.pass_on(self)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.door = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.door.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.door.server_address[1]}"
        threading.Thread(target=self.door.serve_forever, daemon=True).start()

    @contextlib.contextmanager
    def hold(self, ending):
        """Holds the next POST with that ending; on leaving it is let through, and has had its effect."""
        held = self.held = Held(ending)
        try:
            yield held
        finally:
            self.held = None
            held.go_on.set()
            if held.arrived.is_set():
                assert held.done.wait(PATIENCE), "the simulator did not answer"

    def pass_on(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        held = self.held
        if not (held and request.command == "POST" and request.path.endswith(held.ending) and held.take()):
            held = None
        if held:
            held.go_on.wait(PATIENCE)
        upstream = http.client.HTTPConnection(self.upstream, timeout=PATIENCE)
        upstream.request(request.command, request.path, body, dict(request.headers))
        answer = upstream.getresponse()
        data = answer.read()
        if request.command == "POST" and request.path == CREATE and answer.status == 200:
            self.created.add(json.loads(data)["id"])
        if held:
            held.done.set()
        with contextlib.suppress(ConnectionError):  # whoever asked may be gone by now
            request.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection", "date"):
                    request.send_header(name, value)
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data)

    def keys(self):
        """What opens the resources that were ever created here, as the provider itself would say."""
        for created in self.created:
            upstream = http.client.HTTPConnection(self.upstream, timeout=PATIENCE)
            headers = {"Authorization": f"Bearer {API_KEY}", "Stripe-Version": "2026-10-14.preview",
                       "Content-Type": "application/json"}
            upstream.request("POST", f"{CREATE}/{created}/reveal_access_configuration", "{}", headers)
            yield json.loads(upstream.getresponse().read()).get("configuration", {}).get("API_KEY")

    def close(self):
        self.door.shutdown()
        self.simulator.terminate()
        self.simulator.wait(PATIENCE)


class Held:
    def __init__(self, ending):
        self.ending, self.lock = ending, threading.Lock()
        self.arrived, self.go_on, self.done = threading.Event(), threading.Event(), threading.Event()

    def take(self):
        """Only the first request is held."""
        with self.lock:
            first = not self.arrived.is_set()
            self.arrived.set()
            return first

    def wait(self):
        assert self.arrived.wait(PATIENCE), "the request did not reach the backend"


def environment(home):
    """Nothing of the surroundings that could steer the program or a client."""
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
    """Asks again and again; it is not a matter of luck how often."""
    end = time.monotonic() + PATIENCE
    while True:
        if found := ready():
            return found
        assert time.monotonic() < end, f"{what}: not in {PATIENCE} s"
        time.sleep(0.02)

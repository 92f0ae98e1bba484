"""Runs a client's driver: a process that reads requests as lines of JSON (`drivers/driver.py`)."""

import itertools
import json
import queue
import subprocess
import threading

from workspace import TIMEOUT, environment


class Client:
    """One client library in a process of its own; `with client.session(workspace):` is one connection."""

    def __init__(self, command, mode, home):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=environment(home), cwd=home)
        self.mode, self.numbers = mode, itertools.count(1)
        self.responses, self.errors = {}, []
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True).start()

    def session(self, workspace, answer=None):
        """Opens a connection; `answer` is the user's reply to every elicitation, if the client supports them."""
        return Session(self, workspace, answer)

    def ask(self, do, *words, **more):
        return Request(self, do, words, more)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def _read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            self.responses.pop(answer["id"]).put(answer)
        for pending in list(self.responses.values()):
            pending.put({"error": {"code": None, "message": "the client's process has ended"}})


class Request:
    """A request in flight."""

    def __init__(self, client, do, words, more):
        self.number, self.client, self.do = next(client.numbers), client, do
        self.response = client.responses[self.number] = queue.Queue()
        client.process.stdin.write(json.dumps({"id": self.number, "do": do, "with": words, **more}) + "\n")
        client.process.stdin.flush()

    def answer(self):
        """Waits for the response, a value or an error."""
        try:
            return self.response.get(timeout=TIMEOUT)
        except queue.Empty:
            raise AssertionError(f"no response to {self.do}: {''.join(self.client.errors[-20:])}") from None

    def value(self):
        answer = self.answer()
        assert "error" not in answer or answer["error"] is None, f"{self.do}: {answer['error']}"
        return answer["value"]

    def error(self):
        answer = self.answer()
        assert answer.get("error"), f"{self.do} did not fail: {answer}"
        return answer["error"]


class Session:
    def __init__(self, client, workspace, answer):
        self.client = client
        connected = client.ask("connect", command=[str(workspace.server)], mode=client.mode, answer=answer)
        self.version, self.open = connected.value()["version"], True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.open:
            self.disconnect()

    def disconnect(self):
        """Disconnects as the library does: it closes the pipe and kills the server after its own timeout."""
        self.open = False
        self.client.ask("close").value()

    def get(self, what, *words):
        return self.client.ask(what, *words).value()

    def begin(self, tool, **arguments):
        return self.client.ask("call", tool, arguments)

    def ok(self, tool, **arguments):
        return result(self.begin(tool, **arguments).value(), False)

    def refused(self, tool, **arguments):
        return result(self.begin(tool, **arguments).value(), True)


def result(called, is_error):
    """Returns a tool's structured result, and checks that its text content is the same."""
    assert called.get("isError", False) is is_error, called
    structured = called["structuredContent"]
    assert json.loads(called["content"][0]["text"]) == structured, called
    return structured

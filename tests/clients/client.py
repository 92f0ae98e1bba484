"""A client's driver as the checks see it: a process that takes requests as lines of JSON (`drivers/driver.py`)."""

import itertools
import json
import queue
import subprocess
import threading

from place import PATIENCE, environment


class Client:
    """One client library in a process of its own; `with client.session(place):` is one connection."""

    def __init__(self, command, mode, home):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=environment(home), cwd=home)
        self.mode, self.numbers = mode, itertools.count(1)
        self.answers, self.errors = {}, []
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True).start()

    def session(self, place, answer=None):
        """A connection; `answer` is what its person says to every question, if it has one."""
        return Session(self, place, answer)

    def ask(self, do, *words, **more):
        return Asked(self, do, words, more)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def _read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            self.answers.pop(answer["id"]).put(answer)
        for waiting in list(self.answers.values()):
            waiting.put({"error": {"code": None, "message": "the client's process has ended"}})


class Asked:
    """A request that is on its way."""

    def __init__(self, client, do, words, more):
        self.number, self.client, self.do = next(client.numbers), client, do
        self.waiting = client.answers[self.number] = queue.Queue()
        client.process.stdin.write(json.dumps({"id": self.number, "do": do, "with": words, **more}) + "\n")
        client.process.stdin.flush()

    def answer(self):
        """The answer, whether it is a value or an error."""
        try:
            return self.waiting.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"no answer to {self.do}: {''.join(self.client.errors[-20:])}") from None

    def value(self):
        answer = self.answer()
        assert "error" not in answer or answer["error"] is None, f"{self.do}: {answer['error']}"
        return answer["value"]

    def error(self):
        answer = self.answer()
        assert answer.get("error"), f"{self.do} was no error: {answer}"
        return answer["error"]


class Session:
    def __init__(self, client, place, answer):
        self.client = client
        connected = client.ask("connect", command=[str(place.server)], mode=client.mode, answer=answer)
        self.version, self.open = connected.value()["version"], True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.open:
            self.leave()

    def leave(self):
        """As the library leaves: it closes the pipe, and becomes impatient after a while."""
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
    """What a tool answered. For clients that know no structure, its text says the same."""
    assert called.get("isError", False) is is_error, called
    structured = called["structuredContent"]
    assert json.loads(called["content"][0]["text"]) == structured, called
    return structured

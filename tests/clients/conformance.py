"""Runs every scenario of the conformance suite, and holds what came of it against the list. Started by `conformance`."""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from pathlib import Path

from place import HERE, PATIENCE, environment, print_table

# Beside the checks of a scenario's own there is this one, of every message that the server sent.
WIRE = "wire-schema-valid"
# What a scenario observed; no verdict.
NEUTRAL = {"INFO"}


class Expected:
    """What the list says of each scenario."""

    def __init__(self, file):
        listed = tomllib.loads(file.read_text())
        self.extensions = set(listed["extensions"]["scenarios"])
        self.protocols = list(listed["green"])
        self.green = {(name, protocol) for protocol, names in listed["green"].items() for name in names}
        self.in_part = {}
        for name, part in listed["in_part"].items():
            open_checks = {check: what["verdict"] for check, what in part["open"].items()}
            self.in_part.update({(name, protocol): open_checks for protocol in part["protocols"]})
        self.left_out = {(name, protocol): group.get("verdict", "red")
                         for group in listed["left_out"] for name in group["scenarios"]
                         for protocol in group["protocols"]}

    def word(self, scenario):
        """The one word that the list has for it."""
        words = [word for word, there in (("green", self.green), ("in part", self.in_part), ("left out", self.left_out))
                 if scenario in there]
        return words[0] if len(words) == 1 else f"{len(words)} words"

    def scenarios(self):
        return {*self.green, *self.in_part, *self.left_out}


class Suite:
    def __init__(self, node, program):
        self.command = [node, program]

    def run(self, *arguments):
        """Its exit code says whether everything was green, which not everything is; so what it wrote is read."""
        ran = subprocess.run([*self.command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             timeout=5 * PATIENCE)
        assert ran.returncode in (0, 1), ran.stderr
        return ran.stdout

    def scenarios(self):
        """Every scenario for servers, with the protocols that it is for."""
        rows = re.findall(r"^  - (\S+) \[(.*)\]$", self.run("list", "--server"), re.MULTILINE)
        assert len(rows) > 30, "the list of scenarios cannot be read"
        return {name: protocols.split(",") for name, protocols in rows}

    def results(self, url, protocol):
        """The checks of each scenario that there is for this protocol."""
        with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
            self.run("server", "--url", url, "--suite", "all", "--spec-version", protocol, "--output-dir", folder)
            return {re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT.*", file.parent.name)[1]: json.loads(file.read_text())
                    for file in Path(folder).glob("*/checks.json")}


class Outcome:
    """What the checks of one scenario come to."""

    def __init__(self, checks):
        self.messages = sum(check["details"]["messagesValidated"] for check in checks if check["id"] == WIRE)
        self.valid = all(check["status"] == "SUCCESS" for check in checks if check["id"] == WIRE)
        own = [check for check in checks if check["id"] != WIRE and check["status"] not in NEUTRAL]
        self.open = {check["id"]: check["status"] for check in own if check["status"] != "SUCCESS"}
        self.passed = len(own) - len([check for check in own if check["status"] != "SUCCESS"])
        self.verdict = "green" if own and not self.open else "red"


def differences(expected, scenario, outcome):
    """Where an outcome is not what the list says, in words."""
    if not outcome.valid:
        yield "a message is not as the protocol's schema wants it"
    word = expected.word(scenario)
    if word == "green" and outcome.verdict != "green":
        yield f"listed as green: {outcome.open or 'nothing was checked'}"
    if word == "in part" and outcome.open != expected.in_part[scenario]:
        yield f"other checks are open than those that are listed: {outcome.open}"
    if word == "left out" and outcome.verdict != expected.left_out[scenario]:
        yield f"left out as {expected.left_out[scenario]}, but is {outcome.verdict}"


def main(front, node, program):
    expected, suite = Expected(HERE / "conformance.toml"), Suite(node, program)
    known = suite.scenarios()
    exist = {(name, protocol) for name, protocols in known.items() for protocol in protocols
             if protocol in expected.protocols}
    wrong = [f"{name}: an extension that the list does not know, or no extension"
             for name in sorted({name for name in known if known[name] == ["extension"]} ^ expected.extensions)]
    wrong += [f"{name} in {protocol}: the list has {expected.word((name, protocol))} for it"
              for name, protocol in sorted(exist) if expected.word((name, protocol)).endswith("words")]
    wrong += [f"{name} in {protocol}: there is no such scenario"
              for name, protocol in sorted(expected.scenarios() - exist)]

    rows = []
    with tempfile.TemporaryDirectory(prefix="conformance-") as base:
        for folder in ("work", "home"):
            Path(base, folder).mkdir()
        server = subprocess.Popen([front, Path(base, "work")], env=environment(Path(base, "home")), text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            url = server.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), "the front did not start"
            for protocol in expected.protocols:
                outcomes = {(name, protocol): Outcome(checks) for name, checks in suite.results(url, protocol).items()}
                wrong += [f"{name} in {protocol}: was not run"
                          for name, of in sorted(exist - outcomes.keys()) if of == protocol]
                wrong += [f"{scenario[0]} in {protocol}: {difference}" for scenario, outcome in outcomes.items()
                          for difference in differences(expected, scenario, outcome)]
                words = Counter(expected.word(scenario) for scenario in outcomes)
                counted = [outcome for scenario, outcome in outcomes.items() if expected.word(scenario) != "left out"]
                rows.append([protocol, *(str(words[word]) for word in ("green", "in part", "left out")),
                             str(sum(outcome.passed for outcome in counted)),
                             str(sum(outcome.messages for outcome in outcomes.values()))])
            assert server.poll() is None, "the front has ended"
        finally:
            server.terminate()
            server.wait(PATIENCE)

    print_table(["protocol", "green", "in part", "left out", "checks passed", "messages valid"], rows)
    for line in wrong:
        print(line, file=sys.stderr)
    sys.exit(bool(wrong))


main(*sys.argv[1:])

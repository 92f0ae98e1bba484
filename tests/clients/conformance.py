"""Runs every scenario of the conformance suite and compares the results with the list. Started by `conformance`."""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from pathlib import Path

from workspace import HERE, TIMEOUT, environment, print_table

# Every scenario also has this check, of every message that the server sent.
WIRE = "wire-schema-valid"
# A status without a verdict.
NEUTRAL = {"INFO"}


class Expected:
    """The expected result of each scenario."""

    def __init__(self, file):
        listed = tomllib.loads(file.read_text())
        self.extensions = set(listed["extensions"]["scenarios"])
        self.protocols = list(listed["green"])
        self.green = {(name, protocol) for protocol, names in listed["green"].items() for name in names}
        self.in_part = {}
        for name, part in listed["in_part"].items():
            open_checks = {check: entry["verdict"] for check, entry in part["open"].items()}
            self.in_part.update({(name, protocol): open_checks for protocol in part["protocols"]})
        self.left_out = {(name, protocol): group.get("verdict", "red")
                         for group in listed["left_out"] for name in group["scenarios"]
                         for protocol in group["protocols"]}

    def category(self, scenario):
        """Returns the category of a scenario, which must be in exactly one."""
        categories = [category for category, listed in
                      (("green", self.green), ("in part", self.in_part), ("left out", self.left_out)) if scenario in listed]
        return categories[0] if len(categories) == 1 else f"{len(categories)} categories"

    def scenarios(self):
        return {*self.green, *self.in_part, *self.left_out}


class Suite:
    def __init__(self, node, program):
        self.command = [node, program]

    def run(self, *arguments):
        """Runs the suite. Exit code 1 only says that some check failed, which is expected, so the output is evaluated."""
        ran = subprocess.run([*self.command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             timeout=5 * TIMEOUT)
        assert ran.returncode in (0, 1), ran.stderr
        return ran.stdout

    def scenarios(self):
        """Returns every server scenario with its protocol versions."""
        rows = re.findall(r"^  - (\S+) \[(.*)\]$", self.run("list", "--server"), re.MULTILINE)
        assert len(rows) > 30, "the list of scenarios has an unknown format"
        return {name: protocols.split(",") for name, protocols in rows}

    def results(self, url, protocol):
        """Returns the checks of each scenario of this protocol version."""
        with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
            self.run("server", "--url", url, "--suite", "all", "--spec-version", protocol, "--output-dir", folder)
            return {re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT.*", file.parent.name)[1]: json.loads(file.read_text())
                    for file in Path(folder).glob("*/checks.json")}


class Outcome:
    """The result of one scenario's checks."""

    def __init__(self, checks):
        self.messages = sum(check["details"]["messagesValidated"] for check in checks if check["id"] == WIRE)
        self.valid = all(check["status"] == "SUCCESS" for check in checks if check["id"] == WIRE)
        own = [check for check in checks if check["id"] != WIRE and check["status"] not in NEUTRAL]
        self.open = {check["id"]: check["status"] for check in own if check["status"] != "SUCCESS"}
        self.passed = len(own) - len([check for check in own if check["status"] != "SUCCESS"])
        self.verdict = "green" if own and not self.open else "red"


def differences(expected, scenario, outcome):
    """Yields a description of each difference between an outcome and the list."""
    if not outcome.valid:
        yield "a message does not match the protocol's schema"
    category = expected.category(scenario)
    if category == "green" and outcome.verdict != "green":
        yield f"listed as green: {outcome.open or 'no check ran'}"
    if category == "in part" and outcome.open != expected.in_part[scenario]:
        yield f"the failing checks differ from the list: {outcome.open}"
    if category == "left out" and outcome.verdict != expected.left_out[scenario]:
        yield f"left out as {expected.left_out[scenario]}, but is {outcome.verdict}"


def main(front_end, node, program):
    expected, suite = Expected(HERE / "conformance.toml"), Suite(node, program)
    known = suite.scenarios()
    exist = {(name, protocol) for name, protocols in known.items() for protocol in protocols
             if protocol in expected.protocols}
    differences_found = [f"{name}: listed as an extension or is one, but not both"
             for name in sorted({name for name in known if known[name] == ["extension"]} ^ expected.extensions)]
    differences_found += [f"{name} in {protocol}: listed in {expected.category((name, protocol))}"
              for name, protocol in sorted(exist) if expected.category((name, protocol)).endswith("categories")]
    differences_found += [f"{name} in {protocol}: unknown scenario"
              for name, protocol in sorted(expected.scenarios() - exist)]

    rows = []
    with tempfile.TemporaryDirectory(prefix="conformance-") as base:
        for folder in ("work", "home"):
            Path(base, folder).mkdir()
        server = subprocess.Popen([front_end, Path(base, "work")], env=environment(Path(base, "home")), text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            url = server.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), "the HTTP front end did not start"
            for protocol in expected.protocols:
                outcomes = {(name, protocol): Outcome(checks) for name, checks in suite.results(url, protocol).items()}
                differences_found += [f"{name} in {protocol}: was not run"
                          for name, version in sorted(exist - outcomes.keys()) if version == protocol]
                differences_found += [f"{scenario[0]} in {protocol}: {difference}" for scenario, outcome in outcomes.items()
                          for difference in differences(expected, scenario, outcome)]
                counts = Counter(expected.category(scenario) for scenario in outcomes)
                counted = [outcome for scenario, outcome in outcomes.items() if expected.category(scenario) != "left out"]
                rows.append([protocol, *(str(counts[category]) for category in ("green", "in part", "left out")),
                             str(sum(outcome.passed for outcome in counted)),
                             str(sum(outcome.messages for outcome in outcomes.values()))])
            assert server.poll() is None, "the HTTP front end has exited"
        finally:
            server.terminate()
            server.wait(TIMEOUT)

    print_table(["protocol", "green", "in part", "left out", "checks passed", "messages valid"], rows)
    for difference in differences_found:
        print(difference, file=sys.stderr)
    sys.exit(bool(differences_found))


main(*sys.argv[1:])

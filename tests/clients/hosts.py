"""Puts `setup` and the server to the test in the real programs of two hosts. Started by `hosts`, which installs them."""

import json
import subprocess
import sys
import time
import traceback
from pathlib import Path

from model import Model
from place import PATIENCE, Place, environment, print_table

SCRIPT = [
    ("provision", {"name": "memory", "provider": "supermemory", "spend_cap_usd": 80}),
    ("provision", {"name": "memory", "provider": "supermemory", "spend_cap_usd": 5}),
    ("rotate_key", {"name": "memory"}),
    ("list_projects", {}),
    ("teardown", {"name": "memory"}),
]


class ClaudeCode:
    """It asks whether to trust the servers of a project; a person's settings can say so beforehand."""

    name, setup = "Claude Code 2.1.197", "claude-code"
    before = """\
{
  "mcpServers": {
    "other": {"command": "false", "args": []}
  }
}
"""

    def __init__(self, installed, place):
        self.place, self.config = place, place.folder / ".mcp.json"
        self.program = ["node", installed / "@anthropic-ai" / "claude-code" / "cli-wrapper.cjs"]
        settings = place.home / ".claude" / "settings.json"
        settings.parent.mkdir()
        settings.write_text(json.dumps({"enabledMcpjsonServers": ["stripe-projects"]}))

    def servers(self):
        """What it lists, each with what it says of it; it starts those that are trusted."""
        lines = [line.partition(": ") for line in self.run("mcp", "list").splitlines() if " - " in line]
        return {name: said.rpartition(" ")[2] for name, _, said in lines}

    def follow(self, model):
        self.run("-p", PROMPT, "--allowedTools", "mcp__stripe-projects", ANTHROPIC_BASE_URL=model.base,
                 ANTHROPIC_API_KEY="none")

    def run(self, *words, **more):
        return run(self, words, {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", **more})


class Codex:
    """It has no command that starts a server: whether it can is seen when it tells the model of our tools."""

    name, setup = "Codex 0.169.0", "codex"
    before = """\
# mine
model = "scripted"
model_provider = "scripted"   # on the loopback
check_for_update_on_startup = false

[analytics]
enabled = false

[mcp_servers.other]
command = "false"
enabled = false
"""

    def __init__(self, installed, place):
        self.place, self.config = place, place.home / ".codex" / "config.toml"
        self.config.parent.mkdir()
        self.program = ["node", installed / "@openai" / "codex" / "bin" / "codex.js"]

    def servers(self):
        listed = json.loads(self.run("mcp", "list", "--json", *self.provider("http://127.0.0.1:9")))
        return {server["name"]: "enabled" if server["enabled"] else "disabled" for server in listed}

    def follow(self, model):
        # As a person would say it who lets the agent call what changes something; reading needs no word.
        approve = ["-c", 'mcp_servers.stripe-projects.default_tools_approval_mode="approve"']
        self.run("exec", "--skip-git-repo-check", *self.provider(model.base), *approve, PROMPT)

    def run(self, *words):
        return run(self, words, {})

    @staticmethod
    def provider(base):
        return ["-c", f'model_providers.scripted={{name="scripted",base_url="{base}/v1",wire_api="responses"}}']


def run(host, words, more):
    ran = subprocess.run([*host.program, *words], cwd=host.place.folder, env={**environment(host.place.home), **more},
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE * 2)
    assert ran.returncode == 0, f"{host.name} {words}: exit {ran.returncode}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"
    (host.place.kept / f"said-{time.monotonic_ns()}").write_text(ran.stdout + ran.stderr)
    return ran.stdout


def sets_up(host):
    """Before `setup` the host knows one server, and after it two."""
    host.config.write_text(host.before)
    assert list(host.servers()) == ["other"], host.servers()
    host.place.run("setup", host.setup, "--yes")
    servers = host.servers()
    assert sorted(servers) == ["other", "stripe-projects"], servers
    return servers["stripe-projects"]


def uses(host):
    """A scripted model finds the four tools and calls them through the host; a human's yes is nobody's to give here."""
    place = host.place
    model = Model(SCRIPT, look=lambda: place.variable("SUPERMEMORY_API_KEY"))
    try:
        host.follow(model)
    finally:
        model.close()
        (place.kept / "model").write_bytes(b"\n".join(model.heard))
    assert sorted(model.tools) == sorted({tool for tool, _ in SCRIPT}), model.tools
    results = [json.loads(result[result.index("{"):result.rindex("}") + 1]) for result in model.results]
    above, made, rotated, listed, gone = results
    assert above["code"].startswith("approval_"), above
    assert (made["status"], made["spend_cap_usd"], rotated["key_version"]) == ("active", 5, 2), (made, rotated)
    assert listed["live_count"] == 1 and gone["status"] == "torn_down", (listed, gone)
    assert len(place.secrets) == 2, "the first key and the second"
    place.healthy()
    return f"✓ (`{above['code']}`)"


def keeps_quiet(host):
    """No full key in what the model was told, nor in the transcripts that the host keeps, as `scan` finds as well."""
    searched = host.place.search()
    assert host.place.run("scan", str(host.place.home), str(host.place.kept))["findings"] == []
    return f"0 of {len(host.place.secrets)} in {searched >> 10} KiB"


def takes_back(host):
    """`setup --remove` leaves the file as it was, to the byte."""
    host.place.run("setup", host.setup, "--remove", "--yes")
    assert host.config.read_text() == host.before, host.config.read_text()
    assert list(host.servers()) == ["other"], host.servers()
    return "✓"


CHECKS = {"`setup`": sets_up, "a model uses the tools": uses, "keys seen": keeps_quiet, "`setup --remove`": takes_back}
PROMPT = "Get me a memory, and take it away again."


def main(installed, binary):
    rows, failures = [], []
    for kind in (ClaudeCode, Codex):
        cells, place = [], Place(binary, gated=False)
        host = kind(installed, place)
        for name, check in CHECKS.items():
            try:
                cells.append(check(host))
            except Exception:
                cells.append("**failed**")
                failures.append(f"{host.name}: {name}\n{traceback.format_exc()}")
        place.close()
        rows.append([host.name, *cells])
    print_table(["host", *CHECKS], rows)
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    print(f"\n{len(rows) * len(CHECKS) - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

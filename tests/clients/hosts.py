"""Tests `setup` and the server in two real MCP hosts. Started by `hosts`, which installs them."""

import json
import subprocess
import sys
import time
import traceback
from pathlib import Path

from model import Model
from workspace import TIMEOUT, Workspace, environment, print_table

SCRIPT = [
    ("provision", {"name": "memory", "provider": "supermemory", "spend_cap_usd": 80}),
    ("provision", {"name": "memory", "provider": "supermemory", "spend_cap_usd": 5}),
    ("rotate_key", {"name": "memory"}),
    ("list_projects", {}),
    ("teardown", {"name": "memory"}),
]


class ClaudeCode:
    """Claude Code; user settings approve the project's servers beforehand, so that it does not ask."""

    name, setup = "Claude Code 2.1.332", "claude-code"
    before = """\
{
  "mcpServers": {
    "other": {"command": "false", "args": []}
  }
}
"""

    def __init__(self, node, installed, workspace):
        self.workspace, self.config = workspace, workspace.folder / ".mcp.json"
        self.program = [node, installed / "@anthropic-ai" / "claude-code" / "cli-wrapper.cjs"]
        settings = workspace.home / ".claude" / "settings.json"
        settings.parent.mkdir()
        settings.write_text(json.dumps({"enabledMcpjsonServers": ["stripe-projects"]}))

    def servers(self):
        """Returns each listed server with its status; the command starts the approved ones."""
        lines = [line.partition(": ") for line in self.run("mcp", "list").splitlines() if " - " in line]
        return {name: status.rpartition(" ")[2] for name, _, status in lines}

    def follow(self, model):
        self.run("-p", PROMPT, "--allowedTools", "mcp__stripe-projects", ANTHROPIC_BASE_URL=model.base,
                 ANTHROPIC_API_KEY="none")

    def run(self, *arguments, **variables):
        # The script calls the tools directly, so Claude Code must connect first and not hide them behind a tool search.
        settings = {"ENABLE_TOOL_SEARCH": "false", "MCP_CONNECTION_NONBLOCKING": "false"}
        return run(self, arguments, {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", **settings, **variables})


class Codex:
    """Codex; it has no command that starts a server, so `uses` shows whether it can: it lists our tools for the model."""

    name, setup = "Codex 0.171.0", "codex"
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

    def __init__(self, node, installed, workspace):
        self.workspace, self.config = workspace, workspace.home / ".codex" / "config.toml"
        self.config.parent.mkdir()
        self.program = [node, installed / "@openai" / "codex" / "bin" / "codex.js"]

    def servers(self):
        listed = json.loads(self.run("mcp", "list", "--json", *self.provider("http://127.0.0.1:9")))
        return {server["name"]: "enabled" if server["enabled"] else "disabled" for server in listed}

    def follow(self, model):
        # Allows tools that change something; tools that only read need no approval.
        approve = ["-c", 'mcp_servers.stripe-projects.default_tools_approval_mode="approve"']
        self.run("exec", "--skip-git-repo-check", *self.provider(model.base), *approve, PROMPT)

    def run(self, *arguments):
        return run(self, arguments, {})

    @staticmethod
    def provider(base):
        return ["-c", f'model_providers.scripted={{name="scripted",base_url="{base}/v1",wire_api="responses"}}']


def run(host, arguments, variables):
    ran = subprocess.run([*host.program, *arguments], cwd=host.workspace.folder, env={**environment(host.workspace.home), **variables},
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT * 2)
    assert ran.returncode == 0, f"{host.name} {arguments}: exit {ran.returncode}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"
    (host.workspace.records / f"host-output-{time.monotonic_ns()}").write_text(ran.stdout + ran.stderr)
    return ran.stdout


def sets_up(host):
    """Before `setup` the host lists one server, and afterwards two."""
    host.config.write_text(host.before)
    assert list(host.servers()) == ["other"], host.servers()
    host.workspace.run("setup", host.setup, "--yes")
    servers = host.servers()
    assert sorted(servers) == ["other", "stripe-projects"], servers
    return servers["stripe-projects"]


def uses(host):
    """A scripted model finds the four tools and calls them through the host; requests for approval stay undecided."""
    workspace = host.workspace
    model = Model(SCRIPT, on_request=lambda: workspace.variable("SUPERMEMORY_API_KEY"))
    try:
        host.follow(model)
    finally:
        model.close()
        (workspace.records / "model").write_bytes(b"\n".join(model.requests))
    assert sorted(model.tools) == sorted({tool for tool, _ in SCRIPT}), model.tools
    results = [json.loads(result[result.index("{"):result.rindex("}") + 1]) for result in model.results]
    above_default, provisioned, rotated, listed, removed = results
    assert above_default["code"].startswith("approval_"), above_default
    assert (provisioned["status"], provisioned["spend_cap_usd"]) == ("active", 5), provisioned
    assert rotated["key_version"] == 2, rotated
    assert listed["live_count"] == 1 and removed["status"] == "torn_down", (listed, removed)
    assert len(workspace.secrets) == 2, "one key from provision and one from rotate_key"
    workspace.assert_healthy()
    return f"✓ (`{above_default['code']}`)"


def leaks_no_key(host):
    """No full key is in the model's requests or the host's transcripts; `scan` must agree."""
    searched = host.workspace.search()
    assert host.workspace.run("scan", str(host.workspace.home), str(host.workspace.records))["findings"] == []
    return f"0 of {len(host.workspace.secrets)} in {searched >> 10} KiB"


def removes_entry(host):
    """`setup --remove` restores the file byte for byte."""
    host.workspace.run("setup", host.setup, "--remove", "--yes")
    assert host.config.read_text() == host.before, host.config.read_text()
    assert list(host.servers()) == ["other"], host.servers()
    return "✓"


CHECKS = {"`setup`": sets_up, "a model uses the tools": uses, "keys seen": leaks_no_key, "`setup --remove`": removes_entry}
PROMPT = "Get me a memory, and take it away again."


def main(node, installed, binary):
    rows, failures = [], []
    for kind in (ClaudeCode, Codex):
        cells, workspace = [], Workspace(binary, gated=False)
        host = kind(node, installed, workspace)
        for name, check in CHECKS.items():
            try:
                cells.append(check(host))
            except Exception:
                cells.append("**failed**")
                failures.append(f"{host.name}: {name}\n{traceback.format_exc()}")
        workspace.close()
        rows.append([host.name, *cells])
    print_table(["host", *CHECKS], rows)
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    print(f"\n{len(rows) * len(CHECKS) - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))

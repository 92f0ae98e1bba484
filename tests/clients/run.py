"""Runs every check with every client and prints a table of the results. Started by `run`, which installs the clients."""

import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from checks import CHECKS, GATED, PASTED, NotSupported
from client import Client
from workspace import HERE, Workspace, print_table


class ClientKind:
    """A client in one of the protocol eras that it supports."""

    def __init__(self, name, command, *, mode="", modern=False, can_ask=True, can_cancel=True, kills_at_eof=0):
        self.name, self.command, self.mode = name, command, mode
        self.modern, self.can_ask, self.can_cancel, self.kills_at_eof = modern, can_ask, can_cancel, kills_at_eof


def kinds(installed):
    """Returns the tested clients, those of the short form first."""
    python = lambda venv, driver, *arguments: [installed / venv / "bin" / "python", HERE / "drivers" / driver, *arguments]
    node = lambda driver: ["node", installed / "node" / driver]
    packages = installed / "node" / "node_modules"
    return [
        # It fails when a response arrives while it disconnects, and then kills the server immediately.
        ClientKind("Python `mcp` 1.30.0", python("mcp_1", "mcp_1.py"), kills_at_eof=1),
        ClientKind("Python `mcp` 2.3.0", python("mcp_2", "mcp_2.py", "mcp"), mode="auto", modern=True),
        ClientKind("TypeScript `sdk` 1.32.2", node("sdk_1.mjs")),
        ClientKind("TypeScript `client` 2.4.0", node("client_2.mjs"), mode="auto", modern=True),
        ClientKind("Python `mcp` 2.3.0, legacy", python("mcp_2", "mcp_2.py", "mcp"), mode="legacy"),
        ClientKind("`fastmcp` 4.2.3", python("mcp_2", "mcp_2.py", "fastmcp"), mode="auto", modern=True),
        ClientKind("`fastmcp` 4.2.3, legacy", python("mcp_2", "mcp_2.py", "fastmcp"), mode="legacy"),
        ClientKind("TypeScript `client` 2.4.0, legacy", node("client_2.mjs"), mode="legacy"),
        ClientKind("Inspector 1.0.3, `--cli`", [sys.executable, HERE / "drivers" / "inspector.py", packages],
             can_ask=False, can_cancel=False),
    ]


class Trial:
    """One client with the workspace of its current check."""

    def __init__(self, kind, binary):
        self.binary, self.modern, self.kills_at_eof = binary, kind.modern, kind.kills_at_eof
        self.can_ask, self.can_cancel = kind.can_ask, kind.can_cancel
        self.home = Path(tempfile.mkdtemp(prefix="client-"))
        self.client = Client(kind.command, kind.mode, self.home)
        self.searched = self.keys = 0

    def session(self, answer=None):
        return self.client.session(self.workspace, answer)

    def run(self, check):
        """Runs a check in a new workspace, then asserts clean exits and that no full key leaked."""
        self.workspace = Workspace(self.binary, gated=check in GATED)
        try:
            cell = check(self) or "✓"
            self.workspace.assert_clean_exits(killed=self.kills_at_eof)
            self.searched += self.workspace.search(PASTED)
            self.keys += len(self.workspace.secrets)
            return cell
        finally:
            self.workspace.close()

    def close(self):
        self.client.close()
        shutil.rmtree(self.home)


def main(installed, binary, chosen):
    start, failures, notes, rows, passed, searched = time.monotonic(), [], {}, [], 0, 0
    for kind in filter(chosen, kinds(installed)):
        cells, trial = [], Trial(kind, binary)
        for name, check in CHECKS.items():
            check_start = time.monotonic()
            try:
                cell = trial.run(check)
                passed += 1
            except NotSupported as reason:
                cell = f"n/a ({notes.setdefault(str(reason), len(notes) + 1)})"
            except Exception:
                failures.append(f"{kind.name}: {name}\n{traceback.format_exc()}{''.join(trial.client.errors[-30:])}")
                cell = "**failed**"
            cells.append(cell)
            print(f"{time.monotonic() - check_start:6.1f} s  {kind.name}: {name}: {cell}", file=sys.stderr)
        trial.close()
        searched += trial.searched
        if not trial.keys:
            failures.append(f"{kind.name}: no key was created, so the search for keys proves nothing")
        rows.append([kind.name, *cells, f"0 of {trial.keys}"])
    print_table(["client", *CHECKS, "keys seen"], rows)
    for reason, number in notes.items():
        print(f"\n({number}) {reason}")
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    print(f"\n{len(rows)} clients, {searched >> 20} MiB searched for keys, {time.monotonic() - start:.0f} s\n{passed} passed, {len(failures)} failed")
    return 1 if failures or not rows else 0


if __name__ == "__main__":
    arguments = sys.argv[3:]
    short, names = "--short" in arguments, [argument for argument in arguments if argument != "--short"]
    first = [kind.name for kind in kinds(Path())][:4]
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), lambda kind:
                  (not short or kind.name in first) and (not names or any(name in kind.name for name in names))))

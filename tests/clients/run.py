"""Puts each client through each check and prints what came of it as a table. Started by `run`, which installs them."""

import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from checks import CHECKS, GATED, PASTED, CannotBeTried
from client import Client
from place import HERE, Place, print_table


class Kind:
    """A client, in one of the eras that it speaks."""

    def __init__(self, name, command, *, mode="", modern=False, can_ask=True, can_cancel=True, kills_at_eof=0):
        self.name, self.command, self.mode = name, command, mode
        self.modern, self.can_ask, self.can_cancel, self.kills_at_eof = modern, can_ask, can_cancel, kills_at_eof


def kinds(installed):
    """Those that are tried, the ones of the short form first."""
    python = lambda venv, driver, *words: [installed / venv / "bin" / "python", HERE / "drivers" / driver, *words]
    node = lambda driver: ["node", installed / "node" / driver]
    packages = installed / "node" / "node_modules"
    return [
        # It breaks when an answer comes while it leaves, and then kills the server on the spot.
        Kind("Python `mcp` 1.30.0", python("mcp_1", "mcp_1.py"), kills_at_eof=1),
        Kind("Python `mcp` 2.3.0", python("mcp_2", "mcp_2.py", "mcp"), mode="auto", modern=True),
        Kind("TypeScript `sdk` 1.32.2", node("sdk_1.mjs")),
        Kind("TypeScript `client` 2.4.0", node("client_2.mjs"), mode="auto", modern=True),
        Kind("Python `mcp` 2.3.0, legacy", python("mcp_2", "mcp_2.py", "mcp"), mode="legacy"),
        Kind("`fastmcp` 4.1.2", python("mcp_2", "mcp_2.py", "fastmcp"), mode="auto", modern=True),
        Kind("`fastmcp` 4.1.2, legacy", python("mcp_2", "mcp_2.py", "fastmcp"), mode="legacy"),
        Kind("TypeScript `client` 2.4.0, legacy", node("client_2.mjs"), mode="legacy"),
        Kind("Inspector 0.22.0, `--cli`", [sys.executable, HERE / "drivers" / "inspector.py", packages],
             can_ask=False, can_cancel=False),
    ]


class Trial:
    """One client, in the place where it is being tried."""

    def __init__(self, kind, binary):
        self.binary, self.modern, self.kills_at_eof = binary, kind.modern, kind.kills_at_eof
        self.can_ask, self.can_cancel = kind.can_ask, kind.can_cancel
        self.home = Path(tempfile.mkdtemp(prefix="client-"))
        self.client = Client(kind.command, kind.mode, self.home)
        self.searched = self.keys = 0

    def session(self, answer=None):
        return self.client.session(self.place, answer)

    def undergo(self, check):
        """What the check says; and whatever it was, no full key was seen or left."""
        self.place = Place(self.binary, gated=check in GATED)
        try:
            said = check(self) or "✓"
            self.place.all_ended_well(killed=self.kills_at_eof)
            self.searched += self.place.search(PASTED)
            self.keys += len(self.place.secrets)
            return said
        finally:
            self.place.close()

    def close(self):
        self.client.close()
        shutil.rmtree(self.home)


def main(installed, binary, chosen):
    begun, failures, notes, rows, passed, searched = time.monotonic(), [], {}, [], 0, 0
    for kind in filter(chosen, kinds(installed)):
        cells, trial = [], Trial(kind, binary)
        for name, check in CHECKS.items():
            since = time.monotonic()
            try:
                cell = trial.undergo(check)
                passed += 1
            except CannotBeTried as reason:
                cell = f"n/a ({notes.setdefault(str(reason), len(notes) + 1)})"
            except Exception:
                failures.append(f"{kind.name}: {name}\n{traceback.format_exc()}{''.join(trial.client.errors[-30:])}")
                cell = "**failed**"
            cells.append(cell)
            print(f"{time.monotonic() - since:6.1f} s  {kind.name}: {name}: {cell}", file=sys.stderr)
        trial.close()
        searched += trial.searched
        if not trial.keys:
            failures.append(f"{kind.name}: there was no key to look for")
        rows.append([kind.name, *cells, f"0 of {trial.keys}"])
    print_table(["client", *CHECKS, "keys seen"], rows)
    for reason, number in notes.items():
        print(f"\n({number}) {reason}")
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    print(f"\n{len(rows)} clients, {searched >> 20} MiB searched for keys, {time.monotonic() - begun:.0f} s\n{passed} passed, {len(failures)} failed")
    return 1 if failures or not rows else 0


if __name__ == "__main__":
    words = sys.argv[3:]
    short, words = "--short" in words, [word for word in words if word != "--short"]
    first = [kind.name for kind in kinds(Path())][:4]
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), lambda kind:
                  (not short or kind.name in first) and (not words or any(word in kind.name for word in words))))

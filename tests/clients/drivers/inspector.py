"""The Inspector's command line behind the same lines as the libraries: each request is a run of its own.

It cannot put a question to a person and cannot take a call back, so it is never asked to. Closing kills what still runs.
"""

import json
import subprocess
import sys
import threading
from pathlib import Path

# What `mcp-inspector-cli --cli` starts: killing that one would leave this one, with the server, behind.
INSPECTOR = Path(sys.argv[1]) / "@modelcontextprotocol" / "inspector-cli" / "build" / "index.js"
# It looks for a `package.json` above the folder that it is started in, and without one it does not start.
FOLDER = sys.argv[1]

METHODS = {
    "tools": (["--method", "tools/list"], "tools"),
    "call": (["--method", "tools/call"], None),
    "resources": (["--method", "resources/list"], "resources"),
    "templates": (["--method", "resources/templates/list"], "resourceTemplates"),
    "read": (["--method", "resources/read", "--uri"], "contents"),
    "prompts": (["--method", "prompts/list"], "prompts"),
    "prompt": (["--method", "prompts/get", "--prompt-name"], "messages"),
}


def main():
    command, running = [], []
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "connect":
            command = asked["command"]
            answer(asked["id"], value={"version": None})
        elif asked["do"] == "close":
            for process, thread in running:
                process.kill()
                thread.join()
            running.clear()
            answer(asked["id"], value={})
        else:
            flags, field = METHODS[asked["do"]]
            words = called(*asked["with"]) if asked["do"] == "call" else asked["with"]
            process = subprocess.Popen(["node", INSPECTOR, *command, *flags, *words], cwd=FOLDER, text=True,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            thread = threading.Thread(target=finish, args=(process, asked["id"], field))
            thread.start()
            running.append((process, thread))


def called(tool, arguments):
    pairs = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in arguments.items()]
    return ["--tool-name", tool, *(word for pair in pairs for word in ("--tool-arg", pair))]


def finish(process, number, field):
    said, complaint = process.communicate()
    if process.returncode != 0:
        answer(number, error=complaint.strip())
    else:
        result = json.loads(said)
        answer(number, value=result[field] if field else result)


def answer(number, value=None, error=None):
    said = {"value": value} if error is None else {"error": {"code": code(error), "message": error}}
    print(json.dumps({"id": number, **said}), flush=True)


def code(complaint):
    """Its errors are text, with the protocol's number in it: `MCP error -32602: …`."""
    _, found, rest = complaint.partition("MCP error ")
    number = rest.split(":")[0]
    return int(number) if found and number.removeprefix("-").isdigit() else None


main()

"""Drives the Inspector's command line like the library drivers: each request is its own process.

It supports neither elicitation nor cancellation, so no check uses them with it. `close` kills running processes.
"""

import json
import subprocess
import sys
import threading
from pathlib import Path

# The program that `mcp-inspector-cli --cli` starts; killing only the wrapper would leave it and the server running.
INSPECTOR = Path(sys.argv[1]) / "@modelcontextprotocol" / "inspector-cli" / "build" / "index.js"
# The Inspector needs a `package.json` in its working folder or above it.
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
        request = json.loads(line)
        if request["do"] == "connect":
            command = request["command"]
            answer(request["id"], value={"version": None})
        elif request["do"] == "close":
            for process, thread in running:
                process.kill()
                thread.join()
            running.clear()
            answer(request["id"], value={})
        else:
            flags, field = METHODS[request["do"]]
            arguments = tool_flags(*request["with"]) if request["do"] == "call" else request["with"]
            process = subprocess.Popen(["node", INSPECTOR, *command, *flags, *arguments], cwd=FOLDER, text=True,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            thread = threading.Thread(target=finish, args=(process, request["id"], field))
            thread.start()
            running.append((process, thread))


def tool_flags(tool, arguments):
    pairs = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in arguments.items()]
    return ["--tool-name", tool, *(argument for pair in pairs for argument in ("--tool-arg", pair))]


def finish(process, number, field):
    output, error = process.communicate()
    if process.returncode != 0:
        answer(number, error=error.strip())
    else:
        result = json.loads(output)
        answer(number, value=result[field] if field else result)


def answer(number, value=None, error=None):
    outcome = {"value": value} if error is None else {"error": {"code": code(error), "message": error}}
    print(json.dumps({"id": number, **outcome}), flush=True)


def code(text):
    """Returns the protocol's error code, which the Inspector prints as `MCP error -32602: …`."""
    _, prefix, rest = text.partition("MCP error ")
    number = rest.split(":")[0]
    return int(number) if prefix and number.removeprefix("-").isdigit() else None


main()

"""A Python client of MCP, driven from outside: a request is a line of JSON on stdin, its answer one on stdout.

An adapter gives `serve` a way to open a session; what it opens has `version`, `tools`, `call`, `resources`, `templates`,
`read`, `prompts`, `prompt` and `cancel`, which answer as the protocol writes things down.
"""

import asyncio
import json
import sys


class Refused(Exception):
    """The server, or the library, answered with an error of the protocol."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def serve(open_session):
    asyncio.run(_serve(open_session))


async def _serve(open_session):
    requests = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    while line := await requests.readline():
        asked = json.loads(line)
        try:
            await _session(open_session, asked, requests)
        except Exception as error:  # whatever a library raises is for the checks to judge
            _answer(asked["id"], error=error)


async def _session(open_session, connect, requests):
    """From one `connect` to its `close`. The calls in flight belong to nobody's scope: closing cuts them off."""
    calls, questions = {}, []

    def answered_by_person(message):
        questions.append(message)
        return connect["answer"]

    ask = answered_by_person if connect["answer"] else None
    async with open_session(connect["command"], connect["mode"], ask) as session:
        _answer(connect["id"], {"version": session.version})
        while asked := json.loads(await requests.readline()):
            if asked["do"] == "close":
                break
            if asked["do"] == "cancel":
                await session.cancel(calls[asked["of"]])
                _answer(asked["id"], {})
            elif asked["do"] == "questions":
                _answer(asked["id"], questions)
            else:
                calls[asked["id"]] = asyncio.create_task(_one(session, asked))
    for call in calls.values():
        if not call.done():
            call.cancel()
    await asyncio.gather(*calls.values(), return_exceptions=True)
    _answer(asked["id"], {})


async def _one(session, asked):
    try:
        _answer(asked["id"], await getattr(session, asked["do"])(*asked["with"]))
    except asyncio.CancelledError:
        _answer(asked["id"], {"cancelled": True})
    except Exception as error:
        _answer(asked["id"], error=error)


def _answer(number, value=None, error=None):
    answer = {"id": number, "value": value}
    if error is not None:
        answer = {"id": number, "error": {"code": getattr(error, "code", None), "message": repr(error)}}
    print(json.dumps(answer), flush=True)


def wire(result):
    """A library's object, as the protocol writes it down."""
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)

"""Drives a Python MCP client: each request is a line of JSON on stdin, its response a line on stdout.

An adapter passes `serve` a function that opens a session. A session has `version`, `tools`, `call`, `resources`,
`templates`, `read`, `prompts`, `prompt` and `cancel`, which return values in the protocol's JSON form.
"""

import asyncio
import json
import sys


class Refused(Exception):
    """The server or the library returned a protocol error."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def serve(open_session):
    asyncio.run(_serve(open_session))


async def _serve(open_session):
    requests = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    while line := await requests.readline():
        session = _Session(json.loads(line), requests)
        try:
            await session.run(open_session)
        except Exception as error:  # the checks evaluate the errors of a library
            session.failed(error)


class _Session:
    """A session from `connect` to `close`, which cancels the calls in flight."""

    def __init__(self, connect, requests):
        self.request, self.connect, self.requests = connect, connect, requests
        self.calls, self.questions = {}, []

    async def run(self, open_session):
        ask = self.ask_user if self.connect["answer"] else None
        async with open_session(self.connect["command"], self.connect["mode"], ask) as session:
            _answer(self.connect["id"], {"version": session.version})
            await self.until_close(session)
        await self.end_calls()
        _answer(self.request["id"], {})

    async def until_close(self, session):
        while self.request["do"] != "close":
            request = self.request = json.loads(await self.requests.readline())
            if request["do"] == "cancel":
                await session.cancel(self.calls[request["of"]])
                _answer(request["id"], {})
            elif request["do"] == "questions":
                _answer(request["id"], self.questions)
            elif request["do"] != "close":
                self.calls[request["id"]] = asyncio.create_task(_one(session, request))

    def ask_user(self, message):
        self.questions.append(message)
        return self.connect["answer"]

    async def end_calls(self):
        for call in self.calls.values():
            call.cancel()
        await asyncio.gather(*self.calls.values(), return_exceptions=True)

    def failed(self, error):
        """Reports an error of connecting or disconnecting."""
        _answer(self.request["id"], error=error)


async def _one(session, request):
    try:
        _answer(request["id"], await getattr(session, request["do"])(*request["with"]))
    except asyncio.CancelledError:
        _answer(request["id"], {"cancelled": True})
    except Exception as error:
        _answer(request["id"], error=error)


def _answer(number, value=None, error=None):
    answer = {"id": number, "value": value}
    if error is not None:
        answer = {"id": number, "error": {"code": getattr(error, "code", None), "message": repr(error)}}
    print(json.dumps(answer), flush=True)


def wire(result):
    """Returns a library's object in the protocol's JSON form."""
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)

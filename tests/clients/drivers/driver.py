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
        session = _Session(json.loads(line), requests)
        try:
            await session.run(open_session)
        except Exception as error:  # whatever a library raises is for the checks to judge
            session.failed(error)


class _Session:
    """From one `connect` to its `close`. The calls in flight belong to nobody's scope: closing cuts them off."""

    def __init__(self, connect, requests):
        self.asked, self.connect, self.requests = connect, connect, requests
        self.calls, self.questions = {}, []

    async def run(self, open_session):
        ask = self.answered_by_person if self.connect["answer"] else None
        async with open_session(self.connect["command"], self.connect["mode"], ask) as session:
            _answer(self.connect["id"], {"version": session.version})
            await self.until_close(session)
        await self.end_calls()
        _answer(self.asked["id"], {})

    async def until_close(self, session):
        while self.asked["do"] != "close":
            asked = self.asked = json.loads(await self.requests.readline())
            if asked["do"] == "cancel":
                await session.cancel(self.calls[asked["of"]])
                _answer(asked["id"], {})
            elif asked["do"] == "questions":
                _answer(asked["id"], self.questions)
            elif asked["do"] != "close":
                self.calls[asked["id"]] = asyncio.create_task(_one(session, asked))

    def answered_by_person(self, message):
        self.questions.append(message)
        return self.connect["answer"]

    async def end_calls(self):
        for call in self.calls.values():
            call.cancel()
        await asyncio.gather(*self.calls.values(), return_exceptions=True)

    def failed(self, error):
        """To connect, or to leave."""
        _answer(self.asked["id"], error=error)


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

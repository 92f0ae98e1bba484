"""What every client is put through. A check takes a trial, asserts, and says in a word what it saw, if that is news."""

import json

from client import result
from place import CREATE, until

MODERN = "2026-07-28"
VARIABLE = "SUPERMEMORY_API_KEY"
PASTED = "sk_live_51Canary0123456789abcdef"
YES = {"action": "accept", "content": {"approve": True}}
NO = {"action": "decline"}
ABOVE_DEFAULT = {"name": "memory", "provider": "supermemory", "spend_cap_usd": 80}
ROTATE = "/rotate_credentials"


class CannotBeTried(Exception):
    """The client has no means for it; the text says which."""


def lists(trial):
    """Four tools with their schemas and hints."""
    with trial.session() as session:
        tools = session.get("tools")
        version = session.version or greeted(trial.place)
    assert [tool["name"] for tool in tools] == ["list_projects", "provision", "rotate_key", "teardown"], tools
    for tool in tools:
        assert tool["title"] and tool["description"], tool
        assert tool["inputSchema"]["type"] == "object" and tool["outputSchema"]["type"] == "object", tool
        hints = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"]
        assert all(isinstance(tool["annotations"][hint], bool) for hint in hints), tool
    assert (version == MODERN) is trial.modern, f"{version} was agreed on"
    return version


def calls(trial):
    """The life of a project through all four tools, held against the env file and against what the human sees."""
    place = trial.place
    (place.folder / ".env").write_text("MINE=1\n")
    with trial.session() as session:
        made = session.ok("provision", name="memory", provider="supermemory", spend_cap_usd=12.5)
        first = place.variable(VARIABLE)
        assert (made["status"], made["spend_cap_usd"], made["key_version"]) == ("active", 12.5, 1), made
        assert made["api_key_masked"] == masked(first), made
        assert session.ok("list_projects")["projects"] == [made] == place.run("list")["projects"]
        rotated = session.ok("rotate_key", name="memory")
        second = place.variable(VARIABLE)
        assert second != first and rotated["key_version"] == 2, rotated
        assert rotated["api_key_masked"] == masked(second), rotated
        gone = session.ok("teardown", name="memory")
        assert gone["status"] == "torn_down", gone
        assert (place.folder / ".env").read_text() == "MINE=1\n"
        assert session.ok("list_projects", include_torn_down=True)["projects"] == [gone]
        assert session.ok("list_projects")["projects"] == []


def reads(trial):
    """Resources, a template and the prompts."""
    with trial.session() as session:
        made = session.ok("provision", name="memory", provider="supermemory")
        trial.place.variable(VARIABLE)
        listed = session.ok("list_projects")
        uris = [found["uri"] for found in session.get("resources")]
        assert uris == ["stripe-projects://providers", "stripe-projects://projects", "stripe-projects://audit"], uris
        templates = [found["uriTemplate"] for found in session.get("templates")]
        assert templates == ["stripe-projects://projects/{name}"], templates
        read = lambda uri: json.loads(session.get("read", uri)[0]["text"])
        assert read("stripe-projects://providers") == trial.place.run("providers")
        assert read("stripe-projects://projects") == listed
        assert read("stripe-projects://projects/memory") == made
        assert read("stripe-projects://audit")["entries"]
        names = [prompt["name"] for prompt in session.get("prompts")]
        assert names == ["budget", "end-session", "rotate-on-leak"], names
        assert "memory" in session.get("prompt", "budget")[0]["content"]["text"]


def errors(trial):
    """What a model can mend is a result with a code and a hint; what only a programmer can is an error."""
    with trial.session() as session:
        for code, tool, arguments in [
            ("cap_above_maximum", "provision", {"name": "memory", "provider": "supermemory", "spend_cap_usd": 500}),
            ("unknown_provider", "provision", {"name": "memory", "provider": "nobody"}),
            ("invalid_name", "provision", {"name": PASTED, "provider": "supermemory"}),
            ("invalid_arguments", "teardown", {"name": {"key": PASTED}}),
            ("project_not_found", "rotate_key", {"name": "nothing"}),
        ]:
            said = session.refused(tool, **arguments)
            assert said["code"] == code and said["message"] and said["hint"], said
        assert trial.client.ask("call", "sell", {}).error()["code"] == -32602
        missing = -32602 if trial.modern else -32002
        for uri in ["stripe-projects://projects/nothing", "stripe-projects://nothing", "file:///etc/passwd"]:
            assert trial.client.ask("read", uri).error()["code"] == missing, uri
        assert session.ok("list_projects")["projects"] == []
    assert trial.place.variable(VARIABLE) is None


def approves(trial):
    """A yes in the host lets it be provisioned; the question travels as the era wants it."""
    if not trial.can_ask:
        raise CannotBeTried("it cannot put a form: what it asks for is decided at the terminal")
    with trial.session(YES) as session:
        made = session.ok("provision", **ABOVE_DEFAULT)
        assert (made["status"], made["spend_cap_usd"]) == ("active", 80), made
        assert trial.place.variable(VARIABLE)
        question, = session.get("questions")
        assert "80 USD" in question and "memory" in question, question
        said = trial.place.said()
        as_request = [line for line in said if line.get("method") == "elicitation/create"]
        in_answers = [line for line in said if line.get("result", {}).get("inputRequests")]
        assert (len(as_request), len(in_answers)) == ((0, 1) if trial.modern else (1, 0)), question


def declines(trial):
    """A no buys nothing, and is not asked about again."""
    if not trial.can_ask:
        raise CannotBeTried("it cannot put a form: what it asks for is decided at the terminal")
    with trial.session(NO) as session:
        for _ in range(2):
            said = session.refused("provision", **ABOVE_DEFAULT)
            assert said["code"] == "approval_declined", said
        assert len(session.get("questions")) == 1
        assert session.ok("list_projects")["projects"] == []
    assert trial.place.variable(VARIABLE) is None


def at_the_terminal(trial):
    """A client that declares no forms is told what the human has to type; then the same call goes through."""
    with trial.session() as session:
        said = session.refused("provision", **ABOVE_DEFAULT)
        assert said["code"] == "approval_required" and "approve" in said["hint"], said
        waiting, = trial.place.run("approvals")["approvals"]
        trial.place.run("approve", waiting["id"], "--yes")
        assert session.ok("provision", **ABOVE_DEFAULT)["status"] == "active"
    assert trial.place.variable(VARIABLE)


def cancels(trial):
    """What has begun at the backend is finished, whoever has lost interest, and the connection goes on."""
    if not trial.can_cancel:
        raise CannotBeTried("each request is a run of its own, and none can be taken back")
    place = trial.place
    with trial.session() as session:
        with place.gate.hold(CREATE) as held:
            call = session.begin("provision", name="memory", provider="supermemory")
            held.wait()
            trial.client.ask("cancel", of=call.number).value()
            assert call.answer()["value"] == {"cancelled": True}
            assert len(session.get("tools")) == 4, "the connection goes on"
        listed = lambda: [project for project in session.ok("list_projects")["projects"] if project["status"] == "active"]
        made, = until("the project", listed)
    settled(place, made)


def ends_at_eof(trial):
    """The client leaves in the middle of a rotation. The next one finds it finished, or finishes it by calling again."""
    place = trial.place
    with trial.session() as session:
        session.ok("provision", name="memory", provider="supermemory")
        before = place.variable(VARIABLE)
        with place.gate.hold(ROTATE) as held:
            session.begin("rotate_key", name="memory")
            held.wait()
            session.leave()
            place.all_ended_well(killed=trial.kills_at_eof)
            assert place.variable(VARIABLE) in (None, before), "nothing new has come yet"
    with trial.session() as session:
        rotated = session.ok("rotate_key", name="memory")
    assert place.variable(VARIABLE) != before
    settled(place, rotated)


def ends_at_sigterm(trial):
    """The server is told to end in the middle of a creation: the client hears so, and calling again settles it."""
    place = trial.place
    wanted = {"name": "memory", "provider": "supermemory"}
    with trial.session() as session:
        with place.gate.hold(CREATE) as held:
            call = session.begin("provision", **wanted)
            held.wait()
            place.signal()
            answer = call.answer()
            place.all_ended_well()
        said = answer.get("value")
        assert said and said.get("isError") and said["structuredContent"]["code"] == "stopping", answer
        assert place.variable(VARIABLE) is None
    with trial.session() as session:
        again = session.begin("provision", **wanted).value()
        # Whether this call has settled it, or the server on its own just before.
        found = again["structuredContent"]
        made = found["project"] if found.get("code") == "already_exists" else result(again, False)
    settled(place, made)


# Each has a place of its own; the last three have one whose backend can be held in the middle of a request.
CHECKS = {
    "list": lists,
    "tools": calls,
    "resources": reads,
    "errors": errors,
    "yes": approves,
    "no": declines,
    "terminal": at_the_terminal,
    "cancel": cancels,
    "EOF": ends_at_eof,
    "SIGTERM": ends_at_sigterm,
}
GATED = [cancels, ends_at_eof, ends_at_sigterm]


def settled(place, project):
    """There is one project, created once and delivered: the env file has the key that opens it. Nothing is left open."""
    key = place.variable(VARIABLE)
    assert project["status"] == "active" and project["api_key_masked"] == masked(key), project
    assert place.run("list")["projects"] == [project]
    assert list(place.gate.keys()) == [key], f"{len(place.gate.created)} were created"
    place.healthy()


def greeted(place):
    """The version of a client that does not tell: what the server has answered to it."""
    return next(line["result"]["protocolVersion"] for line in place.said() if "protocolVersion" in line.get("result", {}))


def masked(key):
    return f"sk_proj_sim_…{key[-4:]}"

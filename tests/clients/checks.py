"""The checks for every client. A check takes a trial, asserts, and may return a short text for the result table."""

import json

from client import result
from workspace import CREATE, until

MODERN = "2026-07-28"
VARIABLE = "SUPERMEMORY_API_KEY"
PASTED = "sk_live_51Canary0123456789abcdef"
YES = {"action": "accept", "content": {"approve": True}}
NO = {"action": "decline"}
ABOVE_DEFAULT = {"name": "memory", "provider": "supermemory", "spend_cap_usd": 80}
ROTATE = "/rotate_credentials"


class NotSupported(Exception):
    """The client lacks a feature that the check needs; the text names it."""


def lists(trial):
    """Four tools with their schemas and hints."""
    with trial.session() as session:
        tools = session.get("tools")
        version = session.version or negotiated_version(trial.workspace)
    assert [tool["name"] for tool in tools] == ["list_projects", "provision", "rotate_key", "teardown"], tools
    for tool in tools:
        assert tool["title"] and tool["description"], tool
        assert tool["inputSchema"]["type"] == "object" and tool["outputSchema"]["type"] == "object", tool
        hints = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"]
        assert all(isinstance(tool["annotations"][hint], bool) for hint in hints), tool
    assert (version == MODERN) is trial.modern, f"{version} was negotiated"
    return version


def calls(trial):
    """A project's life cycle through all four tools, compared with the env file and the CLI's output."""
    workspace = trial.workspace
    (workspace.folder / ".env").write_text("MINE=1\n")
    with trial.session() as session:
        created = session.ok("provision", name="memory", provider="supermemory", spend_cap_usd=12.5)
        first = workspace.variable(VARIABLE)
        assert (created["status"], created["spend_cap_usd"], created["key_version"]) == ("active", 12.5, 1), created
        assert created["api_key_masked"] == masked(first), created
        assert session.ok("list_projects")["projects"] == [created] == workspace.run("list")["projects"]
        rotated = session.ok("rotate_key", name="memory")
        second = workspace.variable(VARIABLE)
        assert second != first and rotated["key_version"] == 2, rotated
        assert rotated["api_key_masked"] == masked(second), rotated
        removed = session.ok("teardown", name="memory")
        assert removed["status"] == "torn_down", removed
        assert (workspace.folder / ".env").read_text() == "MINE=1\n"
        assert session.ok("list_projects", include_torn_down=True)["projects"] == [removed]
        assert session.ok("list_projects")["projects"] == []


def reads(trial):
    """Resources, a template and the prompts."""
    with trial.session() as session:
        created = session.ok("provision", name="memory", provider="supermemory")
        trial.workspace.variable(VARIABLE)
        listed = session.ok("list_projects")
        uris = [resource["uri"] for resource in session.get("resources")]
        assert uris == ["stripe-projects://providers", "stripe-projects://projects", "stripe-projects://audit"], uris
        templates = [template["uriTemplate"] for template in session.get("templates")]
        assert templates == ["stripe-projects://projects/{name}"], templates
        read = lambda uri: json.loads(session.get("read", uri)[0]["text"])
        assert read("stripe-projects://providers") == trial.workspace.run("providers")
        assert read("stripe-projects://projects") == listed
        assert read("stripe-projects://projects/memory") == created
        assert read("stripe-projects://audit")["entries"]
        names = [prompt["name"] for prompt in session.get("prompts")]
        assert names == ["budget", "end-session", "rotate-on-leak"], names
        assert "memory" in session.get("prompt", "budget")[0]["content"]["text"]


def errors(trial):
    """Errors that a model can correct are results with a code and a hint; others are protocol errors."""
    with trial.session() as session:
        for code, tool, arguments in [
            ("cap_above_maximum", "provision", {"name": "memory", "provider": "supermemory", "spend_cap_usd": 500}),
            ("unknown_provider", "provision", {"name": "memory", "provider": "unknown"}),
            ("invalid_name", "provision", {"name": PASTED, "provider": "supermemory"}),
            ("invalid_arguments", "teardown", {"name": {"key": PASTED}}),
            ("project_not_found", "rotate_key", {"name": "nothing"}),
        ]:
            error = session.refused(tool, **arguments)
            assert error["code"] == code and error["message"] and error["hint"], error
        assert trial.client.ask("call", "sell", {}).error()["code"] == -32602
        missing = -32602 if trial.modern else -32002
        for uri in ["stripe-projects://projects/nothing", "stripe-projects://nothing", "file:///etc/passwd"]:
            assert trial.client.ask("read", uri).error()["code"] == missing, uri
        assert session.ok("list_projects")["projects"] == []
    assert trial.workspace.variable(VARIABLE) is None


def approves(trial):
    """An approval in the host allows the call; the question uses the mechanism of the protocol era."""
    if not trial.can_ask:
        raise NotSupported("no elicitation: approval requests are decided at the terminal")
    with trial.session(YES) as session:
        created = session.ok("provision", **ABOVE_DEFAULT)
        assert (created["status"], created["spend_cap_usd"]) == ("active", 80), created
        assert trial.workspace.variable(VARIABLE)
        question, = session.get("questions")
        assert "80.00 USD" in question and "memory" in question, question
        messages = trial.workspace.messages()
        as_request = [line for line in messages if line.get("method") == "elicitation/create"]
        in_results = [line for line in messages if line.get("result", {}).get("inputRequests")]
        assert (len(as_request), len(in_results)) == ((0, 1) if trial.modern else (1, 0)), question


def declines(trial):
    """After a denial nothing is bought, and no form follows: an answer within a second is not a person's."""
    if not trial.can_ask:
        raise NotSupported("no elicitation: approval requests are decided at the terminal")
    with trial.session(NO) as session:
        for code in ("approval_declined", "approval_required"):
            error = session.refused("provision", **ABOVE_DEFAULT)
            assert error["code"] == code, error
        assert len(session.get("questions")) == 1
        assert session.ok("list_projects")["projects"] == []
    assert trial.workspace.variable(VARIABLE) is None


def at_the_terminal(trial):
    """Without elicitation, the error names the command for the user; after it, the same call succeeds."""
    with trial.session() as session:
        error = session.refused("provision", **ABOVE_DEFAULT)
        assert error["code"] == "approval_required" and "approve" in error["hint"], error
        pending, = trial.workspace.run("approvals")["approvals"]
        trial.workspace.run("approve", pending["id"], "--yes")
        assert session.ok("provision", **ABOVE_DEFAULT)["status"] == "active"
    assert trial.workspace.variable(VARIABLE)


def cancels(trial):
    """After a cancellation, a started backend call still finishes, and the connection stays usable."""
    if not trial.can_cancel:
        raise NotSupported("each request is its own process, so none can be cancelled")
    workspace = trial.workspace
    with trial.session() as session:
        with workspace.gate.hold(CREATE) as held:
            call = session.begin("provision", name="memory", provider="supermemory")
            held.wait()
            trial.client.ask("cancel", of=call.number).value()
            assert call.answer()["value"] == {"cancelled": True}
            assert len(session.get("tools")) == 4, "the connection is not usable after a cancellation"
        listed = lambda: [project for project in session.ok("list_projects")["projects"] if project["status"] == "active"]
        created, = until("the project", listed)
    assert_consistent(workspace, created)


def ends_at_eof(trial):
    """The client disconnects during a rotation; the next client finds it finished, or finishes it by calling again."""
    workspace = trial.workspace
    with trial.session() as session:
        session.ok("provision", name="memory", provider="supermemory")
        before = workspace.variable(VARIABLE)
        with workspace.gate.hold(ROTATE) as held:
            session.begin("rotate_key", name="memory")
            held.wait()
            session.disconnect()
            workspace.assert_clean_exits(killed=trial.kills_at_eof)
            assert workspace.variable(VARIABLE) in (None, before), "a new key was delivered before the backend responded"
    with trial.session() as session:
        rotated = session.ok("rotate_key", name="memory")
    assert workspace.variable(VARIABLE) != before
    assert_consistent(workspace, rotated)


def ends_at_sigterm(trial):
    """SIGTERM during a creation: the call fails with `stopping`, and calling again completes it."""
    workspace = trial.workspace
    arguments = {"name": "memory", "provider": "supermemory"}
    with trial.session() as session:
        with workspace.gate.hold(CREATE) as held:
            call = session.begin("provision", **arguments)
            held.wait()
            workspace.signal()
            response = call.answer()
            workspace.assert_clean_exits()
        result_value = response.get("value")
        assert result_value and result_value.get("isError"), response
        assert result_value["structuredContent"]["code"] == "stopping", response
        assert workspace.variable(VARIABLE) is None
    with trial.session() as session:
        again = session.begin("provision", **arguments).value()
        # Either this call completed it, or the server's recovery did just before.
        content = again["structuredContent"]
        created = content["project"] if content.get("code") == "already_exists" else result(again, False)
    assert_consistent(workspace, created)


# Each check has its own workspace; the last three use a backend whose requests can be held in flight.
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


def assert_consistent(workspace, project):
    """There is one project, created once, and the env file has its current key. No operation is unfinished."""
    key = workspace.variable(VARIABLE)
    assert project["status"] == "active" and project["api_key_masked"] == masked(key), project
    assert workspace.run("list")["projects"] == [project]
    assert list(workspace.gate.keys()) == [key], f"{len(workspace.gate.created)} were created"
    workspace.assert_healthy()


def negotiated_version(workspace):
    """Returns the version in the server's response, for clients that do not expose it."""
    results = (line.get("result", {}) for line in workspace.messages())
    return next(result["protocolVersion"] for result in results if "protocolVersion" in result)


def masked(key):
    return f"sk_proj_sim_…{key[-4:]}"

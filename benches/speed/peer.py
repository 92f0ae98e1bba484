"""A reference server: the same four tools on PyPI's `mcp` package, in memory, without durability or checks."""

from mcp.server.fastmcp import FastMCP

server = FastMCP("peer", log_level="ERROR")
projects = {}


@server.tool()
def provision(name: str, provider: str, spend_cap_usd: int = 10) -> dict:
    """Provision a project."""
    projects[name] = {"name": name, "provider": provider, "spend_cap_usd": spend_cap_usd, "key_version": 1}
    return projects[name]


@server.tool()
def list_projects() -> dict:
    """List the projects."""
    return {"projects": list(projects.values())}


@server.tool()
def rotate_key(name: str) -> dict:
    """Rotate a project's key."""
    projects[name]["key_version"] += 1
    return projects[name]


@server.tool()
def teardown(name: str) -> dict:
    """Tear a project down."""
    return projects.pop(name)


server.run()

"""Adapter for Python `mcp` 2.x and `fastmcp` 4.x, selected by the first argument: both protocol eras."""

import contextlib
import sys

import driver
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import ElicitResult


class Session:
    """A session of either library; fastmcp adds `_mcp` to the names of methods that return protocol objects."""

    def __init__(self, client, version, suffix):
        self.client, self.version, self.suffix = client, version, suffix

    async def tools(self):
        return (await self._get("list_tools"))["tools"]

    async def call(self, tool, arguments):
        return await self._get("call_tool", tool, arguments)

    async def resources(self):
        return (await self._get("list_resources"))["resources"]

    async def templates(self):
        return (await self._get("list_resource_templates"))["resourceTemplates"]

    async def read(self, uri):
        return (await self._get("read_resource", uri))["contents"]

    async def prompts(self):
        return (await self._get("list_prompts"))["prompts"]

    async def prompt(self, name):
        return (await self._get("get_prompt", name))["messages"]

    async def cancel(self, call):
        call.cancel()

    async def _get(self, method, *arguments):
        try:
            return driver.wire(await getattr(self.client, method + self.suffix)(*arguments))
        except MCPError as error:
            raise driver.Refused(error.error.code, error.error.message) from error


@contextlib.asynccontextmanager
async def open_mcp(command, mode, ask):
    async def elicited(_context, params):
        return ElicitResult(**ask(params.message))

    server = StdioServerParameters(command=command[0], args=command[1:])
    async with Client(server, mode=mode, elicitation_callback=elicited if ask else None) as client:
        yield Session(client, client.protocol_version, "")


@contextlib.asynccontextmanager
async def open_fastmcp(command, mode, ask):
    from fastmcp import Client as FastClient
    from fastmcp.client.transports import StdioTransport

    async def elicited(message, _type, _params, _context):
        return ElicitResult(**ask(message))

    transport = StdioTransport(command[0], command[1:], keep_alive=False)
    async with FastClient(transport, mode=mode, elicitation_handler=elicited if ask else None) as client:
        yield Session(client, client.session.protocol_version, "_mcp")


driver.serve({"mcp": open_mcp, "fastmcp": open_fastmcp}[sys.argv[1]])

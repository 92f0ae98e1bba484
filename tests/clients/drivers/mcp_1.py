"""Adapter for Python `mcp` 1.x: the legacy era."""

import contextlib

import anyio
import driver
from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.stdio import stdio_client


class Session:
    def __init__(self, session, version):
        self.session, self.version = session, version

    async def tools(self):
        return driver.wire(await self._get(self.session.list_tools()))["tools"]

    async def call(self, tool, arguments):
        return driver.wire(await self._get(self.session.call_tool(tool, arguments)))

    async def resources(self):
        return driver.wire(await self._get(self.session.list_resources()))["resources"]

    async def templates(self):
        return driver.wire(await self._get(self.session.list_resource_templates()))["resourceTemplates"]

    async def read(self, uri):
        return driver.wire(await self._get(self.session.read_resource(uri)))["contents"]

    async def prompts(self):
        return driver.wire(await self._get(self.session.list_prompts()))["prompts"]

    async def prompt(self, name):
        return driver.wire(await self._get(self.session.get_prompt(name)))["messages"]

    async def cancel(self, call):
        """Sends the notification that the library does not send, with the id of the newest request."""
        params = types.CancelledNotificationParams(requestId=self.session._request_id - 1, reason="cancelled by the check")
        await self.session.send_notification(
            types.ClientNotification(types.CancelledNotification(method="notifications/cancelled", params=params))
        )
        call.cancel()

    @staticmethod
    async def _get(request):
        try:
            return await request
        except McpError as error:
            raise driver.Refused(error.error.code, error.error.message) from error


@contextlib.asynccontextmanager
async def open_session(command, _mode, ask):
    async def elicited(_context, params):
        return types.ElicitResult(**ask(params.message))

    server = StdioServerParameters(command=command[0], args=command[1:])
    try:
        async with stdio_client(server) as streams:
            async with ClientSession(*streams, elicitation_callback=elicited if ask else None) as session:
                initialized = await session.initialize()
                yield Session(session, initialized.protocolVersion)
    except* anyio.BrokenResourceError:
        pass  # raised by the library when a response arrives while it disconnects


driver.serve(open_session)

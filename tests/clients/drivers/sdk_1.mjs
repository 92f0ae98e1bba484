// Adapter for `@modelcontextprotocol/sdk` 1.x: the legacy era.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { serve } from "./driver.mjs";

// Maps the method names of version 2 to those of version 1.
class Legacy extends Client {
  callTool(params, options) {
    return super.callTool(params, undefined, options);
  }

  getNegotiatedProtocolVersion() {
    return this.transport.negotiated;
  }
}

// The library passes the negotiated version only to its transport.
class Transport extends StdioClientTransport {
  setProtocolVersion(version) {
    this.negotiated = version;
  }
}

await serve(async ([command, ...args], _mode, ask) => {
  const client = new Legacy({ name: "sdk", version: "1" }, { capabilities: ask ? { elicitation: {} } : {} });
  if (ask) client.setRequestHandler(ElicitRequestSchema, async (request) => ask(request.params.message));
  await client.connect(new Transport({ command, args }));
  return client;
});

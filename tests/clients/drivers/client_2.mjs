// Adapter for `@modelcontextprotocol/client` 2.x: both protocol eras.

import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { serve } from "./driver.mjs";

await serve(async ([command, ...args], mode, ask) => {
  const capabilities = ask ? { elicitation: {} } : {};
  const client = new Client({ name: "client", version: "2" }, { capabilities, versionNegotiation: { mode } });
  if (ask) client.setRequestHandler("elicitation/create", async (request) => ask(request.params.message));
  await client.connect(new StdioClientTransport({ command, args }));
  return client;
});

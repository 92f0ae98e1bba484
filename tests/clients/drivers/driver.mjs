// Drives a TypeScript MCP client: each request is a line of JSON on stdin, its response a line on stdout.
//
// An adapter passes `serve` a function `open(command, mode, ask)`, which returns a connected client of its library with the
// method names of version 2; `ask` returns the user's reply to an elicitation.

import { createInterface } from "node:readline";

export async function serve(open) {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const request = JSON.parse(line.value);
    await session(open, request, lines).catch((error) => answer(request.id, undefined, error));
  }
}

// Runs a session from `connect` to `close`, which aborts the calls in flight.
async function session(open, connect, lines) {
  const [calls, questions] = [new Map(), []];
  const ask = (message) => {
    questions.push(message);
    return connect.answer;
  };
  const client = await open(connect.command, connect.mode, connect.answer ? ask : undefined);
  answer(connect.id, { version: client.getNegotiatedProtocolVersion() });
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const request = JSON.parse(line.value);
    if (request.do === "close") {
      await client.close();
      await Promise.all([...calls.values()].map((call) => call.done));
      return answer(request.id, {});
    }
    if (request.do === "cancel") {
      calls.get(request.of).stop.abort("cancelled by the check");
      answer(request.id, {});
    } else if (request.do === "questions") {
      answer(request.id, questions);
    } else {
      const stop = new AbortController();
      const done = VERBS[request.do](client, { signal: stop.signal }, ...request.with);
      const failed = (error) => (stop.signal.aborted ? answer(request.id, { cancelled: true }) : answer(request.id, undefined, error));
      calls.set(request.id, { stop, done: done.then((value) => answer(request.id, value), failed) });
    }
  }
}

const VERBS = {
  tools: async (client, options) => (await client.listTools(undefined, options)).tools,
  call: (client, options, name, args) => client.callTool({ name, arguments: args }, options),
  resources: async (client, options) => (await client.listResources(undefined, options)).resources,
  templates: async (client, options) => (await client.listResourceTemplates(undefined, options)).resourceTemplates,
  read: async (client, options, uri) => (await client.readResource({ uri }, options)).contents,
  prompts: async (client, options) => (await client.listPrompts(undefined, options)).prompts,
  prompt: async (client, options, name) => (await client.getPrompt({ name }, options)).messages,
};

function answer(id, value, error) {
  const outcome = error === undefined ? { value } : { error: { code: error.code ?? null, message: String(error) } };
  process.stdout.write(JSON.stringify({ id, ...outcome }) + "\n");
}

// A TypeScript client of MCP, driven from outside: a request is a line of JSON on stdin, its answer one on stdout.
//
// An adapter gives `serve` a way to open a session: `open(command, mode, ask)` answers with a connected client of its
// library, in the words of the second generation; `ask` is what the person answers to a question.

import { createInterface } from "node:readline";

export async function serve(open) {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const asked = JSON.parse(line.value);
    await session(open, asked, lines).catch((error) => answer(asked.id, undefined, error));
  }
}

// From one `connect` to its `close`. The calls in flight are cut off by closing.
async function session(open, connect, lines) {
  const [calls, questions] = [new Map(), []];
  const ask = (message) => {
    questions.push(message);
    return connect.answer;
  };
  const client = await open(connect.command, connect.mode, connect.answer ? ask : undefined);
  answer(connect.id, { version: client.getNegotiatedProtocolVersion() });
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const asked = JSON.parse(line.value);
    if (asked.do === "close") {
      await client.close();
      await Promise.all([...calls.values()].map((call) => call.done));
      return answer(asked.id, {});
    }
    if (asked.do === "cancel") {
      calls.get(asked.of).stop.abort("enough");
      answer(asked.id, {});
    } else if (asked.do === "questions") {
      answer(asked.id, questions);
    } else {
      const stop = new AbortController();
      const done = VERBS[asked.do](client, { signal: stop.signal }, ...asked.with);
      const told = (error) => (stop.signal.aborted ? answer(asked.id, { cancelled: true }) : answer(asked.id, undefined, error));
      calls.set(asked.id, { stop, done: done.then((value) => answer(asked.id, value), told) });
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
  const said = error === undefined ? { value } : { error: { code: error.code ?? null, message: String(error) } };
  process.stdout.write(JSON.stringify({ id, ...said }) + "\n");
}

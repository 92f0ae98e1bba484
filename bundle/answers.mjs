// Starts an unpacked bundle as a host does, with nothing configured but the folder, and asks it for its tools. The variables
// of the manifest are resolved by mcpb's own code; `bundle/pack` puts this file beside it.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { sep } from "node:path";
import { createInterface } from "node:readline";
import { getMcpConfigForManifest } from "@anthropic-ai/mcpb";

const [extensionPath, folder] = process.argv.slice(2);
const manifest = JSON.parse(readFileSync(`${extensionPath}/manifest.json`, "utf8"));
const { command, args, env } = await getMcpConfigForManifest({
  manifest,
  extensionPath,
  systemDirs: {},
  userConfig: { folder },
  pathSeparator: sep,
});
const left = [command, ...args, ...Object.values(env)].filter((word) => word.includes("${"));
if (left.length) throw new Error(`nobody fills in ${left}`);

const server = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "inherit"] });
server.on("error", (error) => {
  throw error;
});
const patience = setTimeout(() => {
  server.kill();
  throw new Error("no answer within 10 seconds");
}, 10_000);
const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
const say = (message) => server.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const ask = async (id, method, params) => {
  say({ id, method, params });
  const { value } = await lines.next();
  const answer = JSON.parse(value);
  if (answer.id !== id || answer.error) throw new Error(value);
  return answer.result;
};

const clientInfo = { name: "bundle", version: "1" };
const { serverInfo } = await ask(1, "initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
say({ method: "notifications/initialized" });
const { tools } = await ask(2, "tools/list", {});
server.stdin.end();
const code = await new Promise((ended) => server.on("exit", ended));
clearTimeout(patience);

const names = (list) => list.map((tool) => tool.name).sort().join(", ");
if (serverInfo.version !== manifest.version) throw new Error(`version ${serverInfo.version} in a bundle of ${manifest.version}`);
if (names(tools) !== names(manifest.tools)) throw new Error(`the manifest promises ${names(manifest.tools)}; there are ${names(tools)}`);
if (code !== 0) throw new Error(`exit code ${code}`);
console.log(`${serverInfo.name} ${serverInfo.version} answers: ${names(tools)}`);

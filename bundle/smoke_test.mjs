// Starts an unpacked bundle as a host does, with only the folder configured, and lists its tools. mcpb's own code resolves
// the variables of the manifest; `bundle/pack` copies this file next to its packages.
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
const unresolved = [command, ...args, ...Object.values(env)].filter((value) => value.includes("${"));
if (unresolved.length) throw new Error(`unresolved variables: ${unresolved}`);

const server = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "inherit"] });
server.on("error", (error) => {
  throw error;
});
const timeout = setTimeout(() => {
  server.kill();
  throw new Error("no response within 10 seconds");
}, 10_000);
const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
const send = (message) => server.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const request = async (id, method, params) => {
  send({ id, method, params });
  const { value } = await lines.next();
  const response = JSON.parse(value);
  if (response.id !== id || response.error) throw new Error(value);
  return response.result;
};

const clientInfo = { name: "bundle", version: "1" };
const { serverInfo } = await request(1, "initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
send({ method: "notifications/initialized" });
const { tools } = await request(2, "tools/list", {});
server.stdin.end();
const code = await new Promise((resolve) => server.on("exit", resolve));
clearTimeout(timeout);

const names = (list) => list.map((tool) => tool.name).sort().join(", ");
if (serverInfo.version !== manifest.version) throw new Error(`server version ${serverInfo.version}, manifest version ${manifest.version}`);
if (names(tools) !== names(manifest.tools)) throw new Error(`the manifest lists ${names(manifest.tools)}; the server has ${names(tools)}`);
if (code !== 0) throw new Error(`exit code ${code}`);
console.log(`${serverInfo.name} ${serverInfo.version} works: ${names(tools)}`);

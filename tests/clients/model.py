"""A model that follows a script: it speaks as much of two vendors' APIs as their hosts need, and calls the tools it is told.

`Model([(tool, arguments), …], look)` listens on the loopback and looks at each request; `results` are what the host has brought back, `heard` all bytes
that a host has ever sent to it, which is what a real model's vendor would have received.
"""

import http.server
import json
import threading


class Model:
    def __init__(self, script, look):
        self.script, self.heard, self.results, self.tools = script, [], [], []
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                model.heard.append(data)
                look()
                asked = json.loads(data)
                if "/messages" in self.path and "count_tokens" not in self.path:
                    events = model.anthropic(asked)
                elif self.path.endswith("/responses"):
                    events = model.openai(asked)
                else:
                    return self.send_error(404)
                text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                self.send_error(404)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def anthropic(self, asked):
        """Claude's Messages API, streamed."""
        ours = "mcp__stripe-projects__"
        tools = [tool["name"].removeprefix(ours) for tool in asked.get("tools", []) if tool["name"].startswith(ours)]
        blocks = [block for message in asked["messages"] for block in message["content"] if isinstance(block, dict)]
        call = self.next(tools, [text(block["content"]) for block in blocks if block["type"] == "tool_result"])
        block, delta, reason = {"type": "text", "text": ""}, {"type": "text_delta", "text": "Done."}, "end_turn"
        if call:
            block = {"type": "tool_use", "id": f"toolu_{len(self.results)}", "name": ours + call[0], "input": {}}
            delta, reason = {"type": "input_json_delta", "partial_json": json.dumps(call[1])}, "tool_use"
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "content": [],
                   "stop_reason": None, "stop_sequence": None, "usage": usage}
        return [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]

    def openai(self, asked):
        """OpenAI's Responses API, streamed."""
        spaces = [space for space in asked.get("tools", []) if space.get("name") == "mcp__stripe_projects"]
        tools = [tool["name"] for space in spaces for tool in space["tools"]]
        call = self.next(tools, [text(item["output"]) for item in asked["input"] if item["type"] == "function_call_output"])
        item = {"type": "message", "role": "assistant", "id": "msg_1", "content": [{"type": "output_text", "text": "Done."}]}
        if call:
            item = {"type": "function_call", "id": f"fc_{len(self.results)}", "call_id": f"call_{len(self.results)}",
                    "namespace": "mcp__stripe_projects", "name": call[0], "arguments": json.dumps(call[1])}
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        return [
            {"type": "response.created", "response": {"id": "resp_1"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": {"id": "resp_1", "usage": usage}},
        ]

    def next(self, tools, results):
        """The next call of the script, if the host offers our tools: it also asks for other things, such as a title."""
        if not tools:
            return None
        self.tools, self.results = tools, results
        return self.script[len(results)] if len(results) < len(self.script) else None

    def close(self):
        self.server.shutdown()


def text(content):
    """The text of a tool's result, in whichever way it is wrapped."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)

"""A scripted model that implements the parts of two vendors' APIs that their hosts use, and calls the tools of its script.

`Model([(tool, arguments), …], on_request)` listens on the loopback and calls `on_request` for each request. `results` are
the tool results that the host sent; `requests` are all request bodies, which a real vendor would have received.
"""

import http.server
import json
import threading


class Model:
    def __init__(self, script, on_request):
        self.script, self.requests, self.results, self.tools = script, [], [], []
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                model.requests.append(data)
                on_request()
                request = json.loads(data)
                if "/messages" in self.path and "count_tokens" not in self.path:
                    events = model.anthropic(request)
                elif self.path.endswith("/responses"):
                    events = model.openai(request)
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

    def anthropic(self, request):
        """Claude's Messages API, streamed."""
        prefix = "mcp__stripe-projects__"
        tools = [tool["name"].removeprefix(prefix) for tool in request.get("tools", []) if tool["name"].startswith(prefix)]
        blocks = [block for message in request["messages"] for block in message["content"] if isinstance(block, dict)]
        call = self.next(tools, [text(block["content"]) for block in blocks if block["type"] == "tool_result"])
        block, delta, reason = {"type": "text", "text": ""}, {"type": "text_delta", "text": "Done."}, "end_turn"
        if call:
            block = {"type": "tool_use", "id": f"toolu_{len(self.results)}", "name": prefix + call[0], "input": {}}
            delta, reason = {"type": "input_json_delta", "partial_json": json.dumps(call[1])}, "tool_use"
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": request["model"], "content": [],
                   "stop_reason": None, "stop_sequence": None, "usage": usage}
        return [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]

    def openai(self, request):
        """OpenAI's Responses API, streamed."""
        spaces = [space for space in request.get("tools", []) if space.get("name") == "mcp__stripe_projects"]
        tools = [tool["name"] for space in spaces for tool in space["tools"]]
        call = self.next(tools, [text(item["output"]) for item in request["input"] if item["type"] == "function_call_output"])
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
        """Returns the next call of the script if the host offers our tools; it also sends other requests, e.g. for a title."""
        if not tools:
            return None
        self.tools, self.results = tools, results
        return self.script[len(results)] if len(results) < len(self.script) else None

    def close(self):
        self.server.shutdown()


def text(content):
    """Returns the text of a tool's result, a string or a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)

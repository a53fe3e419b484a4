"""An OpenAI-compatible server for the tests: answers with what the last user message asks for.

"say X": streams X in words. "call N X": calls the first tool with the arguments X, in pieces, N times; then says what it gave. "raw LIST": sends each text of
a JSON list as it is, and pauses for each number of seconds in it. "fail 500", "cut": an error status; a stream that breaks off. Anything else: echoes the
system prompt's first line. Prints its port on the first line of standard output.
"""
import http.server, json, sys, time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        messages = body["messages"]
        text = messages[-1]["content"]
        system = messages[0]["content"] if messages[0]["role"] == "system" else ""
        if text == "fail 500":
            answer = b'{"error":{"message":"out of order"}}'
            self.send_response(500)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        asked = [message["content"] for message in messages if message["role"] == "user"][-1]
        if asked.startswith("call "):
            times, arguments = asked[5:].split(" ", 1)
            results = [message["content"] for message in messages if message["role"] == "tool"]
            if len(results) < int(times) and body.get("tool_choice") != "none":
                return self.call(body["tools"][0]["function"]["name"], f"c{len(results)}", arguments)
            text = "say " + " | ".join(results)
        if asked.startswith("raw "):
            for step in json.loads(asked[4:]):
                if isinstance(step, str):
                    self.wfile.write(step.encode("utf-8", "surrogatepass"))
                    self.wfile.flush()
                else:
                    time.sleep(step)
            self.close_connection = True
            return
        words = text[4:].split(" ") if text.startswith("say ") else [system.split("\n")[0]]
        for i, word in enumerate(words):
            self.event({"choices": [{"index": 0, "delta": {"content": (" " if i else "") + word}, "finish_reason": None}], "model": "scripted"})
            if text == "say cut":
                self.close_connection = True
                return
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "model": "scripted"})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def call(self, name, id, arguments):
        def piece(**call):
            self.event({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, **call}]}, "finish_reason": None}], "model": "scripted"})
        piece(id=id, type="function", function={"name": name, "arguments": ""})
        for start in range(0, len(arguments), 5):
            piece(function={"arguments": arguments[start:start + 5]})
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], "model": "scripted"})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def do_GET(self):
        answer = b'{"object":"list","data":[{"id":"m"},{"id":"n"}]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def event(self, value):
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
        self.wfile.flush()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()

"""A server in the shape of Ollama's: /api/chat in lines of JSON, streamed or whole, /api/tags, and its errors.

"say X": X in words. "cut": the stream breaks off. "fail later": the status stays 200, and the last line is an error.
Anything else: what the body says of itself, as JSON: {"num_ctx", "roles", "format"}. Only the model "m" is there.
Prints its port on the first line of standard output.
"""
import http.server, json, sys

MODEL = {
    "model": "m", "name": "m", "modified_at": "2026-01-01T00:00:00Z", "size": 1, "digest": "0",
    "details": {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "1B", "quantization_level": "Q4_0"},
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def whole(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/api/tags":
            self.whole(200, {"models": [MODEL]})
        else:
            self.whole(404, {"error": "404 page not found"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/api/chat":
            return self.whole(404, {"error": "404 page not found"})
        if body["model"] != "m":
            return self.whole(404, {"error": f"model '{body['model']}' not found"})
        text = body["messages"][-1]["content"]
        if text.startswith("say "):
            words = text[4:].split(" ")
        elif text in ("cut", "fail later"):
            words = ["Half", "of"]
        else:
            roles = [message["role"] for message in body["messages"]]
            words = [json.dumps({"num_ctx": body.get("options", {}).get("num_ctx"), "roles": roles, "format": body.get("format")})]
        end = {
            "model": "m", "created_at": "2026-01-01T00:00:01Z", "message": {"role": "assistant", "content": ""}, "done": True,
            "done_reason": "stop", "total_duration": 5, "load_duration": 1, "prompt_eval_count": 26, "prompt_eval_duration": 1,
            "eval_count": len(words), "eval_duration": 3,
        }
        if not body.get("stream", True):
            end["message"]["content"] = " ".join(words)
            return self.whole(200, end)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for i, word in enumerate(words):
            message = {"role": "assistant", "content": (" " if i else "") + word}
            self.chunk({"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": False})
        if text == "cut":
            self.close_connection = True
            return
        self.chunk({"error": "the runner has stopped"} if text == "fail later" else end)
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, value):
        line = json.dumps(value).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()

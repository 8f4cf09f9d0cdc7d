# SPDX-License-Identifier: Apache-2.0
"""A language model's server that says nothing, but on time, and writes down when.

It speaks OpenAI chat completions, Anthropic messages and Ollama chat, streaming. The first token
comes `first` seconds after the request, each other `gap` seconds after the one before; the answer
has as many tokens as were asked for. `log` holds, for each request in order, its body and the
monotonic times of its arrival and of each token. Known models misbehave: "cut" ends without its last
event, "silent" brings no token, "broken" tells of an error within the stream, "thinking" reasons
first, "untold" does not tell how many tokens there were.
"""
import http.server
import json
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def piece(self, text):
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, value, name=None):
        text = value if isinstance(value, str) else json.dumps(value)
        self.piece((f"event: {name}\n" if name else "") + f"data: {text}\n\n")

    def tokens(self, count, entry):
        """Waits for each token's time and writes down when it is let go."""
        due = entry["at"] + self.server.first
        for i in range(count):
            time.sleep(max(0, due - time.monotonic()))
            entry["tokens"].append(time.monotonic())
            yield i, f"t{i} "
            due += self.server.gap

    def do_POST(self):  # pylint: disable=invalid-name
        at = time.monotonic()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        entry = {"at": at, "body": body, "tokens": [], "headers": dict(self.headers),
                 "path": self.path}
        with self.server.lock:
            self.server.log.append(entry)
        speak = {"/v1/chat/completions": self.openai, "/v1/messages": self.anthropic,
                 "/api/chat": self.ollama}.get(self.path)
        if speak is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson" if speak == self.ollama
                         else "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        model = body["model"]
        count = 0 if model == "silent" else (
            body.get("max_tokens") or body.get("options", {}).get("num_predict") or 16)
        words = sum(len(str(message["content"]).split()) for message in body["messages"])
        speak(entry, model, count, words)
        self.wfile.write(b"0\r\n\r\n")

    def openai(self, entry, model, count, words):
        def chunk(**fields):
            return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model,
                    **fields}

        def choice(delta, reason=None):
            return [{"index": 0, "delta": delta, "finish_reason": reason}]
        self.event(chunk(choices=choice({"role": "assistant", "content": ""})))
        for i, token in self.tokens(count, entry):
            if model == "broken" and i == 2:
                self.event({"error": {"message": "out of memory"}})
                return
            name = "reasoning_content" if model == "thinking" and i < count // 2 else "content"
            self.event(chunk(choices=choice({name: token})))
        if model == "cut":
            return
        self.event(chunk(choices=choice({}, "stop")))
        if entry["body"].get("stream_options", {}).get("include_usage") and model != "untold":
            self.event(chunk(choices=[], usage={
                "prompt_tokens": words, "completion_tokens": count, "total_tokens": words + count,
                "prompt_tokens_details": {"cached_tokens": words // 2}}))
        self.event("[DONE]")

    def anthropic(self, entry, model, count, words):
        self.event({"type": "message_start", "message": {
            "id": "m", "type": "message", "role": "assistant", "model": model, "content": [],
            "stop_reason": None, "stop_sequence": None,
            "usage": {"input_tokens": words, "cache_read_input_tokens": 10,
                      "cache_creation_input_tokens": 0, "output_tokens": 1}}}, "message_start")
        self.event({"type": "content_block_start", "index": 0,
                    "content_block": {"type": "text", "text": ""}}, "content_block_start")
        self.event({"type": "ping"}, "ping")
        for _, token in self.tokens(count, entry):
            self.event({"type": "content_block_delta", "index": 0,
                        "delta": {"type": "text_delta", "text": token}}, "content_block_delta")
        self.event({"type": "content_block_stop", "index": 0}, "content_block_stop")
        self.event({"type": "message_delta",
                    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                    "usage": {"output_tokens": count}}, "message_delta")
        self.event({"type": "message_stop"}, "message_stop")

    def ollama(self, entry, model, count, words):
        def line(**fields):
            self.piece(json.dumps({"model": model, "created_at": "2026-01-01T00:00:00Z",
                                   **fields}) + "\n")
        for _, token in self.tokens(count, entry):
            line(message={"role": "assistant", "content": token}, done=False)
        line(message={"role": "assistant", "content": ""}, done=True, done_reason="stop",
             prompt_eval_count=words, eval_count=count)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, *_):
        pass


class Upstream:
    def __init__(self, first=0.05, gap=0.01):
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.first, self.server.gap = first, gap
        self.server.log, self.server.lock = [], threading.Lock()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def log(self):
        return self.server.log

    def url(self, path=""):
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

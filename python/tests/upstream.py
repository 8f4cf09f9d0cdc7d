# SPDX-License-Identifier: Apache-2.0
"""A server on loopback that speaks the wire formats of OpenAI and Anthropic, whole and streamed,
and answers anything else with what it was asked. What a request wants is in its model's name:

    "…-broken"   the stream breaks off        "…-refused"   400
    "…-busy"     429 once, then an answer     "…-slow"      50 ms to the first token
"""
import http.server
import json
import threading
import time

CHAT_USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
              "prompt_tokens_details": {"cached_tokens": 3}}
RESPONSE_USAGE = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18,
                  "input_tokens_details": {"cached_tokens": 3},
                  "output_tokens_details": {"reasoning_tokens": 0}}
MESSAGE_USAGE = {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 3,
                 "cache_creation_input_tokens": 2}


def chat(body):
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-real",
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": "Hello"}}],
            "usage": CHAT_USAGE}


def chat_chunks(body):
    def chunk(delta, reason=None):
        return {"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1,
                "model": "gpt-real",
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    yield None, chunk({"role": "assistant", "content": ""})
    if body["model"].endswith("-slow"):
        time.sleep(0.05)
    yield None, chunk({"content": "Hel"})
    yield None, chunk({"content": "lo"})
    if body["model"].endswith("-broken"):
        raise ConnectionError
    yield None, chunk({}, "stop")
    if (body.get("stream_options") or {}).get("include_usage"):
        yield None, {**chunk({}), "choices": [], "usage": CHAT_USAGE}
    yield None, "[DONE]"


def response(body):
    return {"id": "resp-1", "object": "response", "created_at": 1, "model": "gpt-real",
            "status": "completed", "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "output": [{"id": "msg-1", "type": "message", "role": "assistant",
                        "status": "completed",
                        "content": [{"type": "output_text", "text": "Hello", "annotations": []}]}],
            "usage": RESPONSE_USAGE}


def response_events(body):
    running = {**response(body), "status": "in_progress", "output": [], "usage": None}
    part = {"type": "response.output_text.delta", "item_id": "msg-1", "output_index": 0,
            "content_index": 0, "logprobs": []}
    for number, event in enumerate((
            {"type": "response.created", "response": running}, {**part, "delta": "Hel"},
            {**part, "delta": "lo"}, {"type": "response.completed", "response": response(body)})):
        yield event["type"], {**event, "sequence_number": number}


def embeddings(body):
    return {"object": "list", "model": "embed-real",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
            "usage": {"prompt_tokens": 4, "total_tokens": 4}}


def message(body):
    return {"id": "msg-1", "type": "message", "role": "assistant", "model": "claude-real",
            "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn",
            "stop_sequence": None, "usage": {**MESSAGE_USAGE, "output_tokens": 7}}


def message_events(body):
    yield "message_start", {"type": "message_start", "message": {
        **message(body), "content": [], "stop_reason": None, "usage": MESSAGE_USAGE}}
    yield "content_block_start", {"type": "content_block_start", "index": 0,
                                  "content_block": {"type": "text", "text": ""}}
    yield "ping", {"type": "ping"}
    for text in ("Hel", "lo"):
        yield "content_block_delta", {"type": "content_block_delta", "index": 0,
                                      "delta": {"type": "text_delta", "text": text}}
    if body["model"].endswith("-broken"):
        yield "error", {"type": "error", "error": {"type": "overloaded_error",
                                                   "message": "Overloaded"}}
        return
    yield "content_block_stop", {"type": "content_block_stop", "index": 0}
    yield "message_delta", {"type": "message_delta",
                            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                            "usage": {"output_tokens": 7}}
    yield "message_stop", {"type": "message_stop"}


ROUTES = {"/v1/chat/completions": (chat, chat_chunks), "/v1/responses": (response, response_events),
          "/v1/embeddings": (embeddings, None), "/v1/messages": (message, message_events)}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, content, headers=()):
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (("content-type", "application/json"),
                            ("content-length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def stream(self, events):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for name, data in events:
            text = data if isinstance(data, str) else json.dumps(data)
            block = (f"event: {name}\n" if name else "") + f"data: {text}\n\n"
            self.wfile.write(f"{len(block):x}\r\n{block}\r\n".encode())
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        self.server.seen.append({key.lower(): value for key, value in self.headers.items()})
        route = ROUTES.get(self.path)
        if route is None:
            return self.do_GET()
        model = body["model"]
        if model.endswith("-refused"):
            return self.answer(400, {"error": {"message": "as meant", "type": "bad"}})
        if model.endswith("-busy") and self.headers.get("x-stainless-retry-count") == "0":
            return self.answer(429, {"error": {"message": "busy"}}, [("retry-after-ms", "1")])
        if body.get("stream"):
            try:
                return self.stream(route[1](body))
            except ConnectionError:
                self.close_connection = True
                return None
        return self.answer(200, route[0](body), [("openai-processing-ms", "1")])

    def do_GET(self):
        if self.command == "GET":
            self.server.seen.append({key.lower(): value for key, value in self.headers.items()})
        if self.path == "/hop":
            return self.answer(302, {}, [("location", "/end")])
        return self.answer(404 if self.path.startswith("/missing") else 200, {"path": self.path})

    def log_message(self, *_):
        pass


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # A client that hangs up in the midst, as some stories want it.


class Upstream:
    def __enter__(self):
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.seen = self.seen = []  # The headers of each request.
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

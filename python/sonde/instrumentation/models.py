# SPDX-License-Identifier: Apache-2.0
"""The openai and anthropic clients: a span "chat gpt-4o" for each call, with tokens, time to the
first token, retries and what went wrong, for answers that come whole or as a stream, sync or async.

Calls are met where both clients send every request, `request(cast_to, options)` of their base
client. A stream keeps its identity and gets a class derived from its own, which sees what passes.
Nothing is asked for that the host did not ask for: an OpenAI stream tells its tokens only with
stream_options={"include_usage": True}, and what it does not tell is not known. """
from __future__ import annotations

import functools
import sys
import weakref
from typing import Any, AsyncIterator, Callable, Dict, Iterator, Optional

from ..llm import LlmCall, _under_way
from .http_clients import observe_httpx
from .patching import Patches, profiler_now, quietly

# The end of the address tells what is done.
_OPERATIONS = (
    ("/chat/completions", "chat"),
    ("/responses", "chat"),
    ("/messages", "chat"),
    ("/embeddings", "embeddings"),
    ("/completions", "text_completion"),
    ("/complete", "text_completion"),
    ("/images/generations", "generate_content"),
)
_HOSTS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
}
# Parameters of a request that are told: name there, name as attribute.
_PARAMETERS = (
    ("temperature", "gen_ai.request.temperature"),
    ("top_p", "gen_ai.request.top_p"),
    ("max_tokens", "gen_ai.request.max_tokens"),
    ("max_completion_tokens", "gen_ai.request.max_tokens"),
    ("max_output_tokens", "gen_ai.request.max_tokens"),
)


def _get(thing: Any, name: str) -> Any:
    """Of an object or a dict; None when it is not there."""
    return thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)


# ---- What is asked. ----

def _operation(url: str) -> Optional[str]:
    path = str(url).partition("?")[0].rstrip("/")
    for end, operation in _OPERATIONS:
        if path.endswith(end):
            return operation
    return None


def _provider(client: Any, usual: str) -> str:
    kind = type(client).__name__
    for word, provider in (("Azure", "azure.ai.openai"), ("Bedrock", "aws.bedrock"),
                           ("Vertex", "gcp.vertex_ai"), ("Foundry", "azure.ai.inference")):
        if word in kind:
            return provider
    host = getattr(client.base_url, "host", "")
    return _HOSTS.get(host, usual)


def _begin(client: Any, usual: str, options: Any) -> Optional[LlmCall]:
    """A call under way; None for a request that is none, such as a list of models."""
    body = options.json_data
    operation = _operation(options.url)
    if operation is None or not isinstance(body, dict) or str(options.method).lower() != "post":
        return None
    call = LlmCall(profiler_now(), provider=_provider(client, usual),
                   model=str(body.get("model") or "unknown"), operation=operation)
    call.streamed = bool(body.get("stream"))
    call.start()
    for name, attribute in _PARAMETERS:
        value = body.get(name)
        if isinstance(value, (int, float)):
            call.set(attribute, value)
    call.set("server.address", getattr(client.base_url, "host", None))
    call.set("server.port", getattr(client.base_url, "port", None))
    return call


# ---- What is answered. ----

def _read_usage(call: LlmCall, usage: Any) -> None:
    """Of either kind. OpenAI counts cached tokens within the input; Anthropic beside it."""
    if usage is None:
        return
    given = {name: _get(usage, name) for name in (
        "prompt_tokens", "completion_tokens", "input_tokens", "output_tokens",
        "cache_read_input_tokens", "cache_creation_input_tokens")}
    details = _get(usage, "prompt_tokens_details") or _get(usage, "input_tokens_details")
    read, made = given["cache_read_input_tokens"], given["cache_creation_input_tokens"]
    taken = given["prompt_tokens"] if given["prompt_tokens"] is not None else given["input_tokens"]
    if taken is not None:
        call.input_tokens = taken + (read or 0) + (made or 0)
    if given["completion_tokens"] is not None:
        call.output_tokens = given["completion_tokens"]
    elif given["output_tokens"] is not None:
        call.output_tokens = given["output_tokens"]
    cached = _get(details, "cached_tokens") if details is not None else None
    if read is not None or cached is not None:
        call.cache_read_tokens = read if read is not None else cached
    if made is not None:
        call.cache_creation_tokens = made


def _read_answer(call: LlmCall, answer: Any) -> None:
    """An answer that came whole."""
    call.call_id = _text(_get(answer, "id")) or call.call_id
    call.response_model = _text(_get(answer, "model")) or call.response_model
    choices = _get(answer, "choices")
    reason = _get(choices[0], "finish_reason") if choices else (
        _get(answer, "stop_reason") or _get(answer, "status"))
    call.finish_reason = _text(reason) or call.finish_reason
    _read_usage(call, _get(answer, "usage"))


def _text(value: Any) -> Optional[str]:
    return value if isinstance(value, str) and value else None


def _has_content(delta: Any) -> bool:
    """Whether a chunk of OpenAI's chat brings anything of the answer."""
    return any(_get(delta, name) for name in (
        "content", "tool_calls", "function_call", "refusal", "reasoning_content", "reasoning"))


class _AnthropicUsage:
    """Anthropic tells the input at the start of a stream and the output, so far, at each step."""

    def __init__(self) -> None:
        self.told: Dict[str, Any] = {}

    def add(self, call: LlmCall, usage: Any) -> None:
        for name in ("input_tokens", "output_tokens", "cache_read_input_tokens",
                     "cache_creation_input_tokens"):
            value = _get(usage, name)
            if value is not None:
                self.told[name] = value
        _read_usage(call, self.told)


def _event_reader(call: LlmCall) -> Callable[[Any], None]:
    """A function that is shown each event of a stream, of whichever kind it is."""
    usage = _AnthropicUsage()

    def read(event: Any) -> None:
        kind = _get(event, "type")
        if kind is None:  # A chunk of OpenAI's chat.
            choices = _get(event, "choices")
            if choices:
                delta = _get(choices[0], "delta")
                if _get(choices[0], "text") or (delta is not None and _has_content(delta)):
                    call.first_token()
            _read_answer(call, event)
        elif kind == "message_start":
            message = _get(event, "message")
            _read_answer(call, message)
            usage.add(call, _get(message, "usage"))
        elif kind == "message_delta":
            call.finish_reason = (_text(_get(_get(event, "delta"), "stop_reason"))
                                  or call.finish_reason)
            usage.add(call, _get(event, "usage"))
        elif kind == "content_block_delta" or (isinstance(kind, str) and kind.endswith(".delta")):
            call.first_token()
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            _read_answer(call, _get(event, "response"))
            if kind == "response.failed":
                call.mark_failure("response.failed")

    return read


# ---- Streams. ----

@functools.lru_cache(maxsize=None)
def _watched_type(base: type) -> type:
    """A stream that shows what passes to self._sonde, and ends the call when it ends."""

    class Watched(base):  # type: ignore[misc,valid-type]
        def __next__(self) -> Any:
            with self._sonde:
                return self._sonde.seen(super().__next__())

        def __iter__(self) -> Any:
            items = super().__iter__()
            with self._sonde:
                for item in items:
                    yield self._sonde.seen(item)
            self._sonde.end()

        def close(self) -> Any:
            try:
                return super().close()
            finally:
                self._sonde.end()

        def __exit__(self, *error: Any) -> Any:
            try:
                return super().__exit__(*error)
            finally:
                self._sonde.end()

    class AsyncWatched(base):  # type: ignore[misc,valid-type]
        async def __anext__(self) -> Any:
            with self._sonde:
                return self._sonde.seen(await super().__anext__())

        async def __aiter__(self) -> Any:
            items = super().__aiter__()
            with self._sonde:
                async for item in items:
                    yield self._sonde.seen(item)
            self._sonde.end()

        async def close(self) -> Any:
            try:
                return await super().close()
            finally:
                self._sonde.end()

        async def __aexit__(self, *error: Any) -> Any:
            try:
                return await super().__aexit__(*error)
            finally:
                self._sonde.end()

    made = AsyncWatched if hasattr(base, "__anext__") else Watched
    made.__name__, made.__qualname__, made.__module__ = (base.__name__, base.__qualname__,
                                                         base.__module__)
    return made


def _follow_iterator(stream: Any, watch: "_Watch") -> None:
    """For streams of a metaclass of their own, to which a derived class is no stream (anthropic of
    before 1.0): what they read from is replaced, and close()."""
    inner = stream._iterator
    itself = weakref.ref(stream)  # No cycle: a stream that is dropped closes at once.

    def watched() -> Iterator[Any]:
        with watch:
            for item in inner:
                yield watch.seen(item)
        watch.end()

    async def async_watched() -> AsyncIterator[Any]:
        with watch:
            async for item in inner:
                yield watch.seen(item)
        watch.end()

    def close(kind: Any = type(stream)) -> Any:
        watch.end()
        return kind.close(itself())

    stream._iterator = async_watched() if hasattr(stream, "__anext__") else watched()
    stream.close = close


class _Watch:
    """The call of a stream: with it, an exception is its end, and a failure unless the stream is
    over. A `with` that is left without one, between two items, ends nothing."""

    def __init__(self, call: LlmCall) -> None:
        self.call = call
        self.read = _event_reader(call)

    def seen(self, item: Any) -> Any:
        quietly(self.read, item)
        return item

    def end(self, error: Optional[BaseException] = None) -> None:
        quietly(self.call.end, error)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Optional[BaseException], trace: Any) -> None:
        if isinstance(error, (StopIteration, StopAsyncIteration, GeneratorExit)):
            self.end()
        elif error is not None:
            self.end(error)


def _is_stream(result: Any) -> bool:
    return hasattr(result, "response") and (hasattr(result, "__next__")
                                            or hasattr(result, "__anext__"))


def _follow(call: LlmCall, result: Any) -> None:
    """The call ends now, or with the stream."""
    if not _is_stream(result):
        raw = getattr(result, "http_response", None)  # Of with_raw_response.
        if raw is None:
            _read_answer(call, result)
        elif not call.streamed and hasattr(raw, "_content"):
            _read_answer(call, raw.json())
        call.end()
        return
    call.streamed = True
    watch = _Watch(call)
    try:
        kind: Any = type(result)
        if type(kind) is type:
            result._sonde = watch
            result.__class__ = _watched_type(kind)
        else:
            _follow_iterator(result, watch)
    except (AttributeError, TypeError):
        call.end()  # A stream that cannot be followed: its beginning is what is known.
        return
    dropped: Any = weakref.finalize(result, watch.end)  # In the midst.
    dropped.atexit = False


# ---- The patches. ----

def _begin_quietly(patches: Patches, client: Any, usual: str, args: tuple,
                   kwargs: dict) -> Optional[LlmCall]:
    if not patches.is_on:
        return None
    options = args[1] if len(args) > 1 else kwargs.get("options")
    return quietly(_begin, client, usual, options)


def _follow_quietly(call: LlmCall, result: Any) -> None:
    try:
        _follow(call, result)
    except Exception:
        quietly(call.end)


def _patch(patches: Patches, module: Any, sync_name: str, async_name: str, usual: str) -> None:
    def sync(original: Any) -> Any:
        @functools.wraps(original)
        def request(self: Any, *args: Any, **kwargs: Any) -> Any:
            call = _begin_quietly(patches, self, usual, args, kwargs)
            if call is None:
                return original(self, *args, **kwargs)
            call.resume()
            try:
                result = original(self, *args, **kwargs)
            except BaseException as error:
                call.suspend()
                quietly(call.end, error)
                raise
            call.suspend()
            _follow_quietly(call, result)
            return result
        return request

    def asynchronous(original: Any) -> Any:
        @functools.wraps(original)
        async def request(self: Any, *args: Any, **kwargs: Any) -> Any:
            call = _begin_quietly(patches, self, usual, args, kwargs)
            if call is None:
                return await original(self, *args, **kwargs)
            call.resume()
            try:
                result = await original(self, *args, **kwargs)
            except BaseException as error:
                call.suspend()
                quietly(call.end, error)
                raise
            call.suspend()
            _follow_quietly(call, result)
            return result
        return request

    for name, make in ((sync_name, sync), (async_name, asynchronous)):
        owner = next(base for base in getattr(module, name).__mro__ if "request" in vars(base))
        patches.replace(owner, "request", make)
    for name in ("httpx", "httpx2"):  # Whichever it is made with.
        if name in sys.modules:
            quietly(observe_httpx, sys.modules[name], patches, _tell_call)


def _tell_call(request: Any, response: Any, elapsed_ms: float) -> None:
    """What the headers of a call's request say: how often it was tried, and where the time went."""
    call = _under_way.get()
    if call is None:
        return
    retries = request.headers.get("x-stainless-retry-count")
    if retries is not None and retries.isdigit():
        call.retries = int(retries)
    headers = response.headers
    spent = headers.get("openai-processing-ms") or headers.get("x-envoy-upstream-service-time")
    if spent is not None:
        call.processing_ms = float(spent)
        call.network_ms = max(0.0, elapsed_ms - call.processing_ms)


def patch_openai(patches: Patches) -> None:
    _patch(patches, sys.modules["openai"], "OpenAI", "AsyncOpenAI", "openai")


def patch_anthropic(patches: Patches) -> None:
    _patch(patches, sys.modules["anthropic"], "Anthropic", "AsyncAnthropic", "anthropic")

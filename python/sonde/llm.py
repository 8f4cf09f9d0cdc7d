# SPDX-License-Identifier: Apache-2.0
"""Calls of language models: what they took, token by token and dollar by dollar.

    with profiler.profile_llm_operation(provider="openai", model="gpt-4o") as call:
        answer = client.chat.completions.create(model="gpt-4o", messages=messages)
        call.input_tokens = answer.usage.prompt_tokens

A call is a span under OpenTelemetry's GenAI names. What is not set is not known, which is not the
same as zero. sonde.instrument() does this for the openai and anthropic clients by itself.
"""
from __future__ import annotations

import contextlib
import contextvars
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Iterator, Optional, Type, TypeVar

from . import _native

if TYPE_CHECKING:
    from .profiler import PerformanceProfiler

_Function = TypeVar("_Function", bound=Callable[..., Any])

_session: "contextvars.ContextVar[Optional[str]]" = contextvars.ContextVar("sonde_session",
                                                                           default=None)
# The call that is under way in this task, for who learns more of it further down.
_under_way: "contextvars.ContextVar[Optional[LlmCall]]" = contextvars.ContextVar(
    "sonde_llm_call", default=None)


@contextlib.contextmanager
def llm_session(session_id: str) -> Iterator[None]:
    """Model calls within belong to this conversation, unless they name another."""
    token = _session.set(session_id)
    try:
        yield
    finally:
        _session.reset(token)


class LlmCall:
    """One call, or each call of a function that it decorates."""

    FIELDS = ("operation", "call_id", "session_id", "provider", "model", "response_model",
              "finish_reason", "error_type", "network_ms", "processing_ms",
              "time_to_first_token_ms", "input_tokens", "output_tokens", "cache_read_tokens",
              "cache_creation_tokens", "cost_usd", "retries", "streamed", "circuit_open")

    operation: str
    provider: str
    model: str
    call_id: Optional[str] = None
    session_id: Optional[str] = None
    response_model: Optional[str] = None
    finish_reason: Optional[str] = None
    error_type: Optional[str] = None
    network_ms: Optional[float] = None
    processing_ms: Optional[float] = None
    time_to_first_token_ms: Optional[float] = None
    input_tokens: Optional[int] = None
    """Those from the cache included."""
    output_tokens: Optional[int] = None
    cache_read_tokens: Optional[int] = None
    cache_creation_tokens: Optional[int] = None
    cost_usd: Optional[float] = None
    retries: Optional[int] = None
    streamed: bool = False
    circuit_open: bool = False

    def __init__(self, profiler: "PerformanceProfiler", provider: str, model: str,
                 operation: str = "chat", **fields: Any) -> None:
        unknown = sorted(set(fields) - set(self.FIELDS))
        if unknown:
            raise TypeError(f"a model call has no field {unknown[0]!r}")
        self._profiler = profiler
        self._given = {"provider": provider, "model": model, "operation": operation, **fields}
        for name, value in self._given.items():
            setattr(self, name, value)
        self._span: Optional[_native.Span] = None
        self._token: Optional[contextvars.Token] = None
        self._began = 0.0

    # ---- Its life. ----

    def start(self) -> "LlmCall":
        """Begins, where no with statement fits; end() ends it."""
        self._span = self._profiler.span(f"{self.operation} {self.model or 'unknown'}", "client")
        self._span.start()
        self._began = time.perf_counter()
        if self.session_id is None:
            self.session_id = _session.get()
        return self

    def end(self, error: Optional[BaseException] = None) -> None:
        """Ends, once: as a failure when there is an error."""
        span, self._span = self._span, None
        if span is None:
            return
        if error is not None and not isinstance(error, GeneratorExit):
            if self.error_type is None:
                self.error_type = type(error).__name__
            span.record_exception(error)
        try:
            span._note_llm({name: getattr(self, name) for name in self.FIELDS})
        finally:
            span.end()

    def __enter__(self) -> "LlmCall":
        self.start()
        assert self._span is not None
        self._span.resume()
        self._token = _under_way.set(self)
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self._leave()
        self.end(value)

    def _leave(self) -> None:
        """Nobody works for this call any longer, though it may go on, as a stream does."""
        if self._span is not None:
            self._span.suspend()
        token, self._token = self._token, None
        if token is not None:
            try:
                _under_way.reset(token)
            except ValueError:
                pass  # Ended elsewhere than it was entered; there is nothing to put back.

    def __call__(self, function: _Function) -> _Function:
        from .profiler import _decorate

        def another() -> "LlmCall":
            return LlmCall(self._profiler, **self._given)

        return _decorate(another, (), function)  # type: ignore[return-value]

    # ---- What becomes known on the way. ----

    @property
    def context(self) -> Optional[_native.Context]:
        """Its place in the trace; None when it is not under way."""
        return None if self._span is None else self._span.context

    def first_token(self) -> None:
        """The answer begins now; the first time counts."""
        if self.time_to_first_token_ms is None and self._span is not None:
            self.streamed = True
            self.time_to_first_token_ms = (time.perf_counter() - self._began) * 1e3

    def mark_failure(self, error_type: str = "failure") -> None:
        """Ends as a failure of this kind, though no exception passes."""
        self.error_type = error_type
        if self._span is not None:
            self._span.mark_failure(error_type)

    def set(self, key: str, value: Any) -> None:
        """An attribute beyond the fields."""
        if self._span is not None:
            self._span.set(key, value)

    def event(self, name: str, attributes: Optional[dict] = None) -> None:
        """Something that happens now."""
        if self._span is not None:
            self._span.event(name, attributes or {})

    # Of a generator that it decorates: see profiler._Steps.
    def resume(self) -> None:
        if self._span is not None:
            self._span.resume()
            self._token = _under_way.set(self)

    def suspend(self) -> None:
        self._leave()

# SPDX-License-Identifier: Apache-2.0
"""Spans hang together over functions, tasks, threads and requests, and arrive as they were
meant."""
import asyncio
import concurrent.futures
import threading
import sys
import unittest
import unittest.mock

import sonde
from otlp_sink import Sink
from sonde import Context, PerformanceProfiler

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Story(unittest.TestCase):
    def setUp(self):
        sink = Sink()
        self.sink = sink.__enter__()
        self.addCleanup(sink.__exit__)
        self.profiler = PerformanceProfiler(service_name="story", endpoint=self.sink.url)

    def spans(self):
        return self.sink.spans(self.profiler)

    def by_name(self):
        return {span.name: span for span in self.spans()}


class Spans(Story):
    def test_what_is_said_of_a_span_arrives(self):
        with self.profiler.span("work", "producer", {"a": 1, "b": "two", "none": None}) as span:
            span.set("ratio", 0.5)
            span.set("flag", True)
            span.set("big", 2 ** 70)
            span.set("thing", [1, 2])
            span.event("cache miss", {"key": "docs", "size": 3})
        one, = self.spans()
        self.assertEqual((one.name, one.kind, one.failed), ("work", 4, False))
        self.assertEqual(one.attributes, {"a": 1, "b": "two", "ratio": 0.5, "flag": True,
                                          "big": str(2 ** 70), "thing": "[1, 2]"})
        self.assertEqual(one.events, [("cache miss", {"key": "docs", "size": "3"})])
        self.assertGreater(span.duration_ms, 0)
        self.assertAlmostEqual(one.duration_ms, span.duration_ms, places=3)
        self.assertEqual(span.context.span_id, one.span_id)

    def test_they_nest_and_are_timers_too(self):
        with self.profiler.span("outer"):
            with self.profiler.span("inner"):
                pass
            with self.profiler.span("second"):
                pass
        self.assertIsNone(sonde.current_context())
        found = self.by_name()
        self.assertEqual(found["outer"].parent_id, "")
        for name in ("inner", "second"):
            self.assertEqual(found[name].parent_id, found["outer"].span_id)
            self.assertEqual(found[name].trace_id, found["outer"].trace_id)
        self.assertEqual(self.profiler.get_operation_stats("inner")["count"], 1)

    def test_an_exception_fails_it_and_passes_on_unchanged(self):
        error = KeyError("the key")
        with self.assertRaises(KeyError) as caught:
            with self.profiler.span("work"):
                raise error
        self.assertIs(caught.exception, error)
        one, = self.spans()
        self.assertTrue(one.failed)
        self.assertEqual(one.message, "'the key'")
        self.assertEqual(one.attributes["error.type"], "KeyError")
        self.assertEqual(one.events[0], ("exception", {"exception.type": "KeyError",
                                                       "exception.message": "'the key'"}))
        self.assertIsNone(sonde.current_context())

    def test_an_exception_without_words_is_one_all_the_same(self):
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError("no words")

        with self.assertRaises(Mute):
            with self.profiler.span("work"):
                raise Mute
        self.assertTrue(self.spans()[0].failed)

    def test_it_can_fail_without_an_exception_and_change_its_name(self):
        with self.profiler.span("early") as span:
            span.rename("late")
            span.mark_failure("nothing found")
        one, = self.spans()
        self.assertEqual((one.name, one.failed, one.message), ("late", True, "nothing found"))

    def test_a_parent_from_outside(self):
        context = Context(PARENT, "vendor=1", "user=7")
        with self.profiler.span("work", parent=context) as span:
            self.assertEqual(span.context.trace_state, "vendor=1")
            self.assertEqual(sonde.get_baggage(), {"user": "7"})
        one, = self.spans()
        self.assertEqual(one.trace_id, context.trace_id)
        self.assertEqual(one.parent_id, context.span_id)

    def test_functions_of_every_kind(self):
        profiler = self.profiler

        @profiler.span("leaf")
        def leaf():
            return 1

        @profiler.span("plain")
        def plain():
            return leaf()

        @profiler.span("coroutine")
        async def coroutine():
            await asyncio.sleep(0)
            return leaf()

        @profiler.span("generator")
        def generator():
            received = yield leaf()
            return received

        @profiler.span("stream")
        async def stream():
            yield leaf()
            yield leaf()

        async def main():
            await coroutine()
            async for _ in stream():
                self.assertIsNone(sonde.current_context())

        plain()
        asyncio.run(main())
        steps = generator()
        self.assertEqual(next(steps), 1)
        self.assertIsNone(sonde.current_context())  # It is at work only within its steps.
        with self.assertRaises(StopIteration) as end:
            steps.send("sent")
        self.assertEqual(end.exception.value, "sent")
        spans = self.spans()
        ids = {span.span_id: span.name for span in spans}
        self.assertEqual([ids.get(span.parent_id) for span in spans if span.name == "leaf"],
                         ["plain", "coroutine", "stream", "stream", "generator"])

    def test_a_generator_that_fails_or_is_left(self):
        @self.profiler.span("failing")
        def failing():
            yield 1
            raise ValueError("as meant")

        @self.profiler.span("left")
        def left():
            try:
                yield 1
            finally:
                closed.append(True)

        closed = []
        with self.assertRaisesRegex(ValueError, "as meant"):
            list(failing())
        steps = left()
        next(steps)
        steps.close()
        self.assertEqual(closed, [True])
        found = self.by_name()
        self.assertTrue(found["failing"].failed)
        self.assertFalse(found["left"].failed)

    def test_it_begins_once_and_ends_once(self):
        span = self.profiler.span("work").start()
        with self.assertRaises(RuntimeError):
            span.start()
        self.assertTrue(span.is_running)
        self.assertGreater(span.end(), 0)
        self.assertFalse(span.is_running)
        span.end()
        self.assertEqual(len(self.spans()), 1)

    def test_what_is_wrong_is_said(self):
        for arguments, error in (((1,), TypeError), (("x", "sideways"), ValueError),
                                 (("x", "client", [1]), TypeError)):
            with self.assertRaises(error):
                self.profiler.span(*arguments)
        with self.assertRaises(TypeError):
            self.profiler.span("x", parent="00-")
        with self.assertRaises(ValueError):
            Context("00-nonsense")
        with self.assertRaises(ValueError):
            PerformanceProfiler(sample_ratio=2)
        with self.assertRaises(TypeError):
            with self.profiler.span("x", attributes={1: 2}):
                pass
        self.assertIsNone(sonde.current_context())

    def test_half_a_surrogate_harms_nobody(self):
        with self.profiler.span("work") as span:
            span.set("text", "\ud800")
        self.assertEqual(self.spans()[0].attributes, {"text": ""})

    def test_disabled_it_passes_contexts_on(self):
        profiler = PerformanceProfiler(level="disabled")
        with sonde.use_context(Context(PARENT)):
            with profiler.span("x") as span:
                self.assertEqual(span.context.traceparent, PARENT)
        self.assertEqual(profiler.get_all_stats()["operations"], {})


class Contexts(Story):
    def test_tasks_inherit_and_do_not_disturb_each_other(self):
        async def child(number):
            with self.profiler.span(f"child {number}"):
                await asyncio.sleep(0.001 * (5 - number))
                with self.profiler.span(f"grandchild {number}"):
                    await asyncio.sleep(0)

        async def main():
            with self.profiler.span("main"):
                await asyncio.gather(*(child(i) for i in range(5)))

        asyncio.run(main())
        found = self.by_name()
        for i in range(5):
            self.assertEqual(found[f"child {i}"].parent_id, found["main"].span_id)
            self.assertEqual(found[f"grandchild {i}"].parent_id, found[f"child {i}"].span_id)

    def test_carried_into_threads(self):
        def work(number):
            with self.profiler.span(f"work {number}"):
                return number

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            with self.profiler.span("main"):
                self.assertEqual(pool.submit(sonde.carry(work), 1).result(), 1)
                self.assertEqual(list(pool.map(sonde.carry(work), [2, 3])), [2, 3])
                thread = threading.Thread(target=sonde.carry(work), args=(4,))
                thread.start()
                thread.join()
            pool.submit(work, 5).result()
        found = self.by_name()
        for i in range(1, 5):
            self.assertEqual(found[f"work {i}"].parent_id, found["main"].span_id)
        self.assertEqual(found["work 5"].parent_id, "")

    def test_an_executor_carries_by_itself_when_instrumented(self):
        sonde.instrument("threads", profiler=self.profiler)
        try:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                with self.profiler.span("main"):
                    pool.submit(self.profiler.span("work")(lambda: None)).result()

                async def main():
                    with self.profiler.span("loop"):
                        await asyncio.get_running_loop().run_in_executor(
                            None, self.profiler.span("in executor")(lambda: None))

                asyncio.run(main())
        finally:
            sonde.uninstrument("threads")
        found = self.by_name()
        self.assertEqual(found["work"].parent_id, found["main"].span_id)
        self.assertEqual(found["in executor"].parent_id, found["loop"].span_id)

    def test_headers_out_and_in(self):
        headers = {}
        sonde.inject(headers)
        self.assertEqual(headers, {})
        with sonde.use_context(Context(PARENT, "vendor=1", "user=7")):
            sonde.inject(headers)
        self.assertEqual(headers, {"traceparent": PARENT, "tracestate": "vendor=1",
                                   "baggage": "user=7"})
        context = sonde.extract([(b"Traceparent", PARENT.encode()), (b"tracestate", b"vendor=1"),
                                 (b"baggage", b"user=7")])
        self.assertEqual((context.traceparent, context.trace_state, context.baggage),
                         (PARENT, "vendor=1", "user=7"))
        self.assertEqual((context.trace_id, context.span_id, context.is_sampled),
                         (PARENT[3:35], PARENT[36:52], True))
        for bad in ({}, {"traceparent": "00-1-2-3"}, {"traceparent": PARENT[:-1] + "g"}):
            self.assertIsNone(sonde.extract(bad))

    def test_baggage(self):
        with sonde.baggage(user="jörg ö", plan="a,b"):
            headers = {}
            sonde.inject(headers)
            self.assertNotIn("traceparent", headers)
            self.assertEqual(sonde.get_baggage(sonde.extract(headers)),
                             {"user": "jörg ö", "plan": "a,b"})
            with self.profiler.span("work"), sonde.baggage(more="1"):
                self.assertEqual(len(sonde.get_baggage()), 3)
                self.assertNotEqual(sonde.current_context().trace_id, "")
        self.assertEqual(sonde.get_baggage(), {})
        with self.assertRaises(ValueError):
            with sonde.baggage(much="x" * 9000):
                pass

    def test_b3_when_asked_for(self):
        self.addCleanup(sonde.set_propagators, "tracecontext", "baggage")
        single = {"b3": f"{PARENT[3:35]}-{PARENT[36:52]}-1"}
        multi = {"X-B3-TraceId": PARENT[3:35], "X-B3-SpanId": PARENT[36:52], "X-B3-Sampled": "1"}
        self.assertIsNone(sonde.extract(single))
        sonde.set_propagators("tracecontext", "b3", "b3multi")
        for headers in (single, multi):
            self.assertEqual(sonde.extract(headers).traceparent, PARENT)
        self.assertEqual(sonde.extract({"b3": "a3ce929d0e0e4736-00f067aa0ba902b7-0"}).traceparent,
                         "00-0000000000000000a3ce929d0e0e4736-00f067aa0ba902b7-00")
        for bad in ({"b3": "0"}, {"x-b3-traceid": "zz", "x-b3-spanid": "yy"}):
            self.assertIsNone(sonde.extract(bad))
        out = {}
        with sonde.use_context(Context(PARENT)):
            sonde.inject(out)
        self.assertEqual(out, {"traceparent": PARENT, **single, **multi})
        with self.assertRaises(ValueError):
            sonde.set_propagators("pigeon")


class ModelCalls(Story):
    def test_all_fields_arrive(self):
        self.profiler.record_llm_call(
            operation="chat", call_id="c1", session_id="s1", provider="openai", model="gpt-4o",
            response_model="gpt-4o-mini", finish_reason="stop", start_time=1700000000,
            duration_ms=1500, network_ms=100, processing_ms=1400, time_to_first_token_ms=300,
            input_tokens=10, output_tokens=20, cache_read_tokens=4, cache_creation_tokens=2,
            cost_usd=0.0125, retries=2, streamed=True, circuit_open=True)
        one, = self.spans()
        self.assertEqual((one.name, one.kind, one.failed), ("chat gpt-4o", 3, False))
        self.assertAlmostEqual(one.duration_ms, 1500)
        expected = {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-mini",
            "gen_ai.response.id": "c1", "gen_ai.conversation.id": "s1",
            "gen_ai.response.finish_reasons": "stop", "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 4,
            "gen_ai.usage.cache_creation.input_tokens": 2, "gen_ai.usage.cost": 0.0125,
            "gen_ai.response.time_to_first_chunk": 0.3, "sonde.llm.network_s": 0.1,
            "sonde.llm.processing_s": 1.4, "sonde.llm.retries": 2, "gen_ai.request.stream": True,
            "sonde.llm.circuit_open": True, "thread.id": threading.get_native_id()}
        self.assertEqual(one.attributes, expected)

    def test_what_is_not_known_is_not_told(self):
        self.profiler.record_llm_call(model="m", duration_ms=1)
        one, = self.spans()
        self.assertEqual(set(one.attributes),
                         {"gen_ai.operation.name", "gen_ai.request.model", "thread.id"})

    def test_fields_are_checked(self):
        for fields, error in (({"colour": "red"}, TypeError), ({"input_tokens": -1}, ValueError),
                              ({"model": 4}, TypeError), ({"cost_usd": "free"}, TypeError),
                              ({"retries": float("nan")}, ValueError)):
            with self.assertRaises(error):
                self.profiler.record_llm_call(**fields)
        with self.assertRaises(TypeError):
            self.profiler.profile_llm_operation("openai", "m", colour="red")

    def test_a_call_under_way(self):
        with sonde.llm_session("talk"):
            with self.profiler.profile_llm_operation(provider="anthropic", model="claude") as call:
                with self.profiler.span("inside"):
                    pass
                call.first_token()
                call.input_tokens, call.output_tokens, call.cost_usd = 5, 7, 0.001
                call.event("tool", {"name": "search"})
                call.set("gen_ai.request.temperature", 0.2)
        found = self.by_name()
        call = found["chat claude"]
        self.assertEqual(found["inside"].parent_id, call.span_id)
        self.assertEqual(call.attributes["gen_ai.conversation.id"], "talk")
        self.assertEqual(call.attributes["gen_ai.usage.output_tokens"], 7)
        self.assertGreater(call.attributes["gen_ai.response.time_to_first_chunk"], 0)
        self.assertEqual(call.events[0][0], "tool")

    def test_it_decorates(self):
        @self.profiler.profile_llm_operation(provider="openai", model="m", operation="embeddings")
        async def embed(text):
            if not text:
                raise TimeoutError("slow")
            return [1.0]

        self.assertEqual(asyncio.run(embed("x")), [1.0])
        with self.assertRaises(TimeoutError):
            asyncio.run(embed(""))
        good, bad = self.spans()
        self.assertEqual((good.name, good.failed, bad.failed), ("embeddings m", False, True))
        self.assertEqual(bad.attributes["error.type"], "TimeoutError")

    def test_a_refusal_of_the_circuit_breaker(self):
        with self.profiler.profile_llm_operation("openai", "m") as call:
            call.circuit_open = True
            call.mark_failure("circuit_open")
        one, = self.spans()
        self.assertTrue(one.failed and one.attributes["sonde.llm.circuit_open"])

    def test_transformations(self):
        with self.profiler.profile_transformation(technique="few_shot"):
            pass
        self.assertEqual(self.spans()[0].attributes, {"technique": "few_shot"})
        with sonde.profile_transformation(technique="x"), sonde.profile_llm_operation("a", "b"):
            pass
        self.assertLessEqual({"transformation x", "chat b"},
                             set(sonde.default_profiler().get_all_stats()["operations"]))


class Numbers(Story):
    def test_counters_gauges_and_collectors(self):
        called = threading.Event()

        @self.profiler.add_collector
        def collect():
            self.profiler.gauge("queue.depth", 4)
            called.set()

        @self.profiler.add_collector
        def broken():
            raise ValueError("told to sys.unraisablehook, and no more")

        hook, before = unittest.mock.Mock(), sys.unraisablehook
        sys.unraisablehook = hook
        try:
            self.assertEqual(self.profiler.count("answers", 3), 3)
            self.assertTrue(called.wait(10))
            called.clear()
            self.assertTrue(called.wait(10))
        finally:
            sys.unraisablehook = before
        self.assertTrue(hook.called)
        self.profiler.flush(10000)
        point = self.sink.metrics["answers"].sum.data_points[0]
        self.assertEqual(point.as_int, 3)
        self.assertEqual(self.sink.metrics["queue.depth"].gauge.data_points[0].as_double, 4)
        with self.assertRaises(TypeError):
            self.profiler.add_collector(3)

    def test_a_profiler_with_collectors_can_be_let_go(self):
        import gc
        import weakref
        profiler = PerformanceProfiler()
        profiler.add_collector(lambda: profiler.gauge("x", 1))  # A cycle.
        gone = weakref.ref(profiler)
        del profiler
        gc.collect()
        self.assertIsNone(gone())

    def test_how_sending_goes(self):
        with self.profiler.span("work"):
            pass
        self.assertTrue(self.profiler.flush(10000))
        self.assertEqual(self.profiler.delivery()["spans_sent"], 1)
        away = PerformanceProfiler(endpoint="http://127.0.0.1:9")
        away.record("x", 1)
        self.assertFalse(away.flush(2000))
        told = away.delivery()
        self.assertTrue(told["is_away"] and told["has_endpoint"])
        self.assertNotEqual(told["last_error"], "")
        alone = PerformanceProfiler(endpoint="")
        self.assertFalse(alone.flush() or alone.delivery()["has_endpoint"])

    def test_the_end_of_the_program_sends_what_is_left(self):
        import subprocess
        import sys
        program = ("import sonde\n"
                   f"profiler = sonde.PerformanceProfiler('ending', endpoint={self.sink.url!r})\n"
                   "profiler.add_collector(lambda: profiler.gauge('g', 1))\n"
                   "with profiler.span('last words'):\n    pass\n")
        done = subprocess.run([sys.executable, "-X", "dev", "-c", program], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual([span.name for span in self.sink.all], ["last words"])


if __name__ == "__main__":
    unittest.main()

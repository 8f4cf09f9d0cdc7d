# SPDX-License-Identifier: Apache-2.0
"""Requests under their route's template; nothing a stranger types becomes a name."""
import asyncio
import collections.abc
import contextlib
import gc
import traceback
import unittest
import warnings

import sonde
from sonde import PerformanceMiddleware, PerformanceProfiler, integrate_performance_profiling

try:
    from fastapi import APIRouter, FastAPI, WebSocket, WebSocketDisconnect
    from fastapi.testclient import TestClient
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Mount, Route
except ImportError as error:
    raise unittest.SkipTest(f"{error.name} is not here") from error


class Story(unittest.TestCase):
    def setUp(self):
        self.profiler = PerformanceProfiler(service_name="web")

    def counts(self):
        return {name: stats["count"]
                for name, stats in self.profiler.get_all_stats()["operations"].items()}

    def failures(self):
        return {name: stats["failures"]
                for name, stats in self.profiler.get_all_stats()["operations"].items()
                if stats["failures"]}


class FastApi(Story):
    def setUp(self):
        super().setUp()
        self.app = FastAPI()
        router = APIRouter(prefix="/shop")

        @self.app.get("/items/{item_id}")
        def item(item_id: int):
            return item_id

        @self.app.get("/broken")
        def broken():
            raise ValueError("as meant")

        @self.app.get("/away", status_code=503)
        def away():
            return None

        @router.post("/{name}/orders")
        async def orders(name: str):
            return name

        @self.app.get("/stream")
        def stream():
            def words():
                yield "one"
                yield "two"
            return StreamingResponse(words())

        @self.app.websocket("/chat/{room}")
        async def chat(room: str, socket: WebSocket):
            await socket.accept()
            with contextlib.suppress(WebSocketDisconnect):
                while True:
                    await socket.send_text(room + await socket.receive_text())

        self.app.include_router(router)
        inner = FastAPI()

        @inner.get("/parts/{part}")
        def part(part: str):
            return part

        self.app.mount("/inner", inner)
        self.assertIs(integrate_performance_profiling(self.app, self.profiler), self.profiler)
        self.client = TestClient(self.app, raise_server_exceptions=False)

    def test_names_are_templates(self):
        for number in range(30):
            self.assertEqual(self.client.get(f"/items/{number}").json(), number)
            self.client.post(f"/shop/{number}/orders")
            self.client.get(f"/inner/parts/{number}")
        self.assertEqual(self.counts(), {"GET /items/{item_id}": 30,
                                         "POST /shop/{name}/orders": 30,
                                         "GET /inner/parts/{part}": 30})
        self.assertEqual(self.failures(), {})

    def test_what_no_route_takes_has_one_name(self):
        for number in range(50):
            self.assertEqual(self.client.get(f"/nothing/{number}").status_code, 404)
        self.client.request("BREW", "/pot")
        self.assertEqual(self.counts(), {"GET unmatched": 50, "OTHER unmatched": 1})

    def test_a_mistake_of_the_client_is_no_failure_of_ours(self):
        self.assertEqual(self.client.get("/items/seven").status_code, 422)
        self.assertEqual(self.failures(), {})

    def test_exceptions_and_5xx_are_failures(self):
        self.assertEqual(self.client.get("/broken").status_code, 500)
        self.assertEqual(self.client.get("/away").status_code, 503)
        self.assertEqual(self.failures(), {"GET /broken": 1, "GET /away": 1})

    def test_the_exception_passes_on_unchanged(self):
        with self.assertRaisesRegex(ValueError, "as meant"):
            TestClient(self.app).get("/broken")

    def test_a_stream_ends_with_its_last_byte(self):
        self.assertEqual(self.client.get("/stream").text, "onetwo")
        self.assertEqual(self.counts(), {"GET /stream": 1})

    def test_websocket_messages(self):
        with self.client.websocket_connect("/chat/blue") as socket:
            for i in range(5):
                socket.send_text(str(i))
                self.assertEqual(socket.receive_text(), f"blue{i}")
        self.assertEqual(self.counts(), {"WEBSOCKET /chat/{room}": 5})

    def test_messages_that_nobody_answers_count_too(self):
        @self.app.websocket("/feed/{name}")
        async def feed(name: str, socket: WebSocket):
            await socket.accept()
            while await socket.receive_text() != "end":
                await asyncio.sleep(0.01)
            await socket.close()

        with self.client.websocket_connect("/feed/one") as socket:
            for text in ("a", "b", "end"):
                socket.send_text(text)
            self.assertEqual(socket.receive()["type"], "websocket.close")
        self.assertEqual(self.counts(), {"WEBSOCKET /feed/{name}": 3})
        stats = self.profiler.get_operation_stats("WEBSOCKET /feed/{name}")
        self.assertEqual(stats["failures"], 0)
        self.assertGreaterEqual(stats["p50_ms"], 9.5)  # Not the wait for the next.

    def test_its_own_routes(self):
        self.client.get("/items/1")
        stats = self.client.get("/profiling/stats").json()
        self.assertEqual(stats["operations"]["GET /items/{item_id}"]["count"], 1)
        self.assertIn("GET /items/{item_id}", self.client.get("/profiling/report").text)
        told = self.client.get("/profiling/reports").json()["reports"]
        self.assertEqual([form["form"] for form in told],
                         ["console", "json", "markdown", "html", "csv"])
        for form in told:
            answer = self.client.get(form["address"])
            self.assertIn("GET /items/{item", answer.text)
        self.assertEqual(answer.headers["content-type"], "text/csv; charset=utf-8")
        refused = self.client.get("/profiling/reports/papyrus")
        self.assertEqual(refused.status_code, 404)
        self.assertIn("there are console, json", refused.json()["error"])
        self.assertEqual(self.client.get("/profiling/sla").json(),
                         {"kept": True, "violations": []})
        names = self.client.get("/profiling/stats").json()["operations"]
        self.assertLessEqual({"GET /profiling/sla", "GET /profiling/reports/{form}"}, set(names))

    def test_its_own_routes_may_stand_at_the_root(self):
        app = FastAPI()
        integrate_performance_profiling(app, PerformanceProfiler(endpoint=""), path="/")
        app.get("/later")(lambda: "here")
        with TestClient(app) as client:
            self.assertEqual(client.get("/later").json(), "here")
            self.assertEqual(client.get("/reports").json()["reports"][0]["address"],
                             "/reports/console")
            self.assertIn("GET /later", client.get("/stats").json()["operations"])

    def test_lifespan_passes_through(self):
        seen = []

        @contextlib.asynccontextmanager
        async def lifespan(app):
            seen.append("start")
            yield {"ready": True}
            seen.append("stop")

        app = FastAPI(lifespan=lifespan)
        integrate_performance_profiling(app, self.profiler, path=None)

        @app.get("/")
        def root():
            return "ok"

        with TestClient(app) as client:
            self.assertEqual(client.get("/").status_code, 200)
            self.assertEqual(client.get("/profiling/stats").status_code, 404)
        self.assertEqual(seen, ["start", "stop"])
        self.assertEqual(self.counts(), {"GET /": 1, "GET unmatched": 1})

    def test_a_root_path_is_not_a_mount(self):
        client = TestClient(self.app, root_path="/api")
        client.get("/api/items/3")
        client.get("/api/inner/parts/3")
        self.assertEqual(self.counts(), {"GET /items/{item_id}": 1, "GET /inner/parts/{part}": 1})

    def test_what_is_mounted_but_takes_nothing_has_one_name(self):
        for number in range(20):
            self.client.get(f"/inner/nothing/{number}")
        self.assertEqual(self.counts(), {"GET /inner/*": 20})


class StarletteAlone(Story):
    def test_names_are_templates_here_too(self):
        async def user(request):
            return PlainTextResponse(request.path_params["name"])

        class Item:
            async def __call__(self, scope, receive, send):
                await PlainTextResponse("item")(scope, receive, send)

        app = Starlette(routes=[
            Route("/users/{name}", user),
            Mount("/tenants/{tenant}", routes=[Route("/users/{name}/mail", user)]),
            Route("/old/{name}", user),
            Mount("/raw", app=Item()),
        ])
        integrate_performance_profiling(app, self.profiler)
        client = TestClient(app)
        for i in range(10):
            client.get(f"/users/{i}")
            client.get(f"/old/{i}")
            client.get(f"/tenants/t{i}/users/{i}/mail")
            client.get(f"/raw/{i}")
        self.assertEqual(self.counts(), {
            "GET /users/{name}": 10, "GET /old/{name}": 10, "GET /raw/*": 10,
            "GET /tenants/{tenant}/users/{name}/mail": 10})


class Bare(Story):
    def call(self, app, scope):
        sent = []

        async def send(message):
            sent.append(message)

        asyncio.run(PerformanceMiddleware(app, self.profiler)(scope, None, send))
        return sent

    def test_any_application_can_be_wrapped(self):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"x"})

        sent = self.call(app, {"type": "http", "method": "GET", "path": "/a"})
        self.assertEqual(len(sent), 2)
        self.assertEqual(self.counts(), {"GET unmatched": 1})

    def test_who_does_not_answer_failed(self):
        async def app(scope, receive, send):
            pass

        self.call(app, {"type": "http", "method": "GET", "path": "/a"})
        self.assertEqual(self.failures(), {"GET unmatched": 1})


    def native(self, app):
        """What FastAPI's stack gets: the middleware without a coroutine function around it."""
        return PerformanceMiddleware(app, self.profiler)._native

    def scope(self, **more):
        return {"type": "http", "method": "GET", "path": "/a", "headers": [], **more}

    def test_its_request_is_a_coroutine_to_everybody(self):
        async def app(scope, receive, send):
            await asyncio.sleep(0)
            await send({"type": "http.response.start", "status": 200})
            return "done"

        async def send(message):
            await asyncio.sleep(0)

        async def main():
            middleware = self.native(app)
            request = middleware(self.scope(), None, send)
            self.assertIsInstance(request, collections.abc.Coroutine)
            self.assertEqual((request.__name__, request.cr_running), ("app", False))
            self.assertEqual(await request, "done")
            task = asyncio.create_task(middleware(self.scope(), None, send))
            self.assertEqual(await task, "done")
            waited = asyncio.wait_for(middleware(self.scope(), None, send), 5)
            self.assertEqual(await waited, "done")
            self.assertEqual(await asyncio.gather(*(middleware(self.scope(), None, send)
                                                    for _ in range(200))), ["done"] * 200)
            with self.assertRaisesRegex(RuntimeError, "already awaited"):
                await request

        asyncio.run(main())
        self.assertEqual(self.counts(), {"GET unmatched": 203})
        self.assertEqual(self.failures(), {})

    def test_cancelled_and_timed_out(self):
        async def app(scope, receive, send):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cleaned.append(True)
                raise

        async def main():
            task = asyncio.create_task(self.native(app)(self.scope(), None, None))
            await asyncio.sleep(0.01)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(self.native(app)(self.scope(), None, None), 0.01)

        cleaned = []
        asyncio.run(main())
        self.assertEqual(cleaned, [True, True])
        self.assertEqual(self.failures(), {"GET unmatched": 2})

    def test_an_application_may_catch_what_is_thrown_into_it(self):
        async def app(scope, receive, send):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await send({"type": "http.response.start", "status": 204})
            return "saved"

        async def send(message):
            pass

        async def main():
            task = asyncio.create_task(self.native(app)(self.scope(), None, send))
            await asyncio.sleep(0.01)
            task.cancel()
            return await task

        self.assertEqual(asyncio.run(main()), "saved")
        self.assertEqual(self.failures(), {})

    def test_closed_by_hand_dropped_or_never_awaited(self):
        async def app(scope, receive, send):
            try:
                await receive()
            finally:
                closed.append(True)

        closed = []
        future = asyncio.Future
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)

        def receive():
            return future(loop=loop)

        for end in ("close", "drop"):
            request = self.native(app)(self.scope(), receive, None)
            request.send(None)
            if end == "close":
                request.close()
            del request
            gc.collect()
        self.assertEqual(closed, [True, True])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            self.native(app)(self.scope(), receive, None)
            gc.collect()
        self.assertTrue(any("never awaited" in str(one.message) for one in told))

    def test_an_exception_is_the_same_object(self):
        error = LookupError("as meant")

        async def app(scope, receive, send):
            raise error

        async def main():
            await self.native(app)(self.scope(), None, None)

        try:
            asyncio.run(main())
        except LookupError as caught:
            self.assertIs(caught, error)
            names = [frame.name for frame in traceback.extract_tb(caught.__traceback__)]
        self.assertEqual(names[-2:], ["main", "app"])  # We stand in no traceback.

    def test_strange_scopes_and_messages(self):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": "twohundred"})
            await send({"type": b"bytes"})
            await send({})
            await send(None)

        async def send(message):
            sent.append(message)

        sent = []
        for scope in (self.scope(method=3), self.scope(headers=None), {"type": "http"},
                      self.scope(headers=[(b"traceparent",), 1, (b"traceparent", b"junk"),
                                          ["traceparent", "text"]]),
                      self.scope(route=3, app=4, root_path=5), self.scope(endpoint=object())):
            asyncio.run(self.drive(self.native(app), scope, send))
        self.assertEqual(len(sent), 24)
        self.assertEqual(sum(self.failures().values()), 6)
        with self.assertRaises(TypeError):
            self.native(app)({"type": "http"})
        with self.assertRaises(TypeError):
            asyncio.run(self.drive(self.native(lambda *_: 3), self.scope(), send))

    async def drive(self, app, scope, send):
        await app(scope, None, send)

    def test_other_kinds_of_scope_pass_through(self):
        async def app(scope, receive, send):
            seen.append(scope["type"])

        seen = []
        for kind in ("lifespan", "websocket", "something.new"):
            asyncio.run(self.drive(self.native(app), {"type": kind, "headers": []}, None))
        self.assertEqual(seen, ["lifespan", "websocket", "something.new"])

    def test_many_routes_fill_the_table_and_still_have_names(self):
        def endpoint():
            return lambda request: PlainTextResponse("x")

        app = Starlette(routes=[Route(f"/r{number}", endpoint()) for number in range(700)])
        integrate_performance_profiling(app, self.profiler, path=None)

        async def main():
            async def send(message):
                pass

            for _ in range(2):
                for number in range(700):
                    await app({"type": "http", "method": "GET", "path": f"/r{number}",
                               "headers": [], "query_string": b"", "root_path": ""}, None, send)

        asyncio.run(main())
        counts = self.counts()
        self.assertEqual((len(counts), set(counts.values())), (700, {2}))

    def test_nothing_is_left_behind(self):
        async def app(scope, receive, send):
            await send({"type": "http.response.start", "status": 200})

        async def send(message):
            pass

        async def main(count):
            for _ in range(count):
                await middleware(self.scope(endpoint=app), None, send)

        middleware = self.native(app)
        asyncio.run(main(100))
        gc.collect()
        before = len(gc.get_objects())
        asyncio.run(main(2000))
        gc.collect()
        self.assertLess(len(gc.get_objects()) - before, 100)


class Traces(unittest.TestCase):
    """With a daemon each request is a span."""

    def setUp(self):
        from otlp_sink import Sink
        sink = Sink()
        self.sink = sink.__enter__()
        self.addCleanup(sink.__exit__)
        self.profiler = PerformanceProfiler(service_name="web", endpoint=self.sink.url)
        self.app = FastAPI()
        integrate_performance_profiling(self.app, self.profiler)

        @self.app.get("/items/{item_id}")
        async def item(item_id: int):
            with self.profiler.span("look up"):
                return sonde.current_context().trace_state

        @self.app.get("/broken")
        def broken():
            raise ValueError("as meant")

        @self.app.get("/thread")
        def thread():
            with self.profiler.span("in a thread"):
                return sonde.get_baggage()

        self.client = TestClient(self.app, raise_server_exceptions=False)

    def by_name(self):
        return {span.name: span for span in self.sink.spans(self.profiler)}

    def test_it_hangs_from_who_asked_and_all_below_from_it(self):
        headers = {"traceparent": "00-" + 32 * "1" + "-" + 16 * "2" + "-01",
                   "tracestate": "vendor=1", "baggage": "user=7"}
        self.assertEqual(self.client.get("/items/3", headers=headers).json(), "vendor=1")
        self.assertEqual(self.client.get("/thread", headers=headers).json(), {"user": "7"})
        found = self.by_name()
        request = found["GET /items/{item_id}"]
        self.assertEqual((request.trace_id, request.parent_id), (32 * "1", 16 * "2"))
        self.assertEqual(found["look up"].parent_id, request.span_id)
        self.assertEqual(found["in a thread"].parent_id, found["GET /thread"].span_id)
        self.assertEqual((request.kind, request.failed), (2, False))
        self.assertEqual(request.attributes, {
            "http.request.method": "GET", "http.route": "/items/{item_id}",
            "url.path": "/items/3", "http.response.status_code": 200})
        self.assertIsNone(sonde.current_context())

    def test_an_exception_is_told(self):
        self.assertEqual(self.client.get("/broken").status_code, 500)
        broken = self.by_name()["GET /broken"]
        self.assertTrue(broken.failed)
        self.assertEqual(broken.attributes["error.type"], "ValueError")
        self.assertEqual(broken.message, "as meant")

    def test_without_a_daemon_what_came_in_is_passed_on(self):
        app = FastAPI()
        integrate_performance_profiling(app, PerformanceProfiler(endpoint=""), path=None)

        @app.get("/")
        async def root():
            out = {}
            sonde.inject(out)
            return out

        headers = {"traceparent": "00-" + 32 * "1" + "-" + 16 * "2" + "-01"}
        self.assertEqual(TestClient(app).get("/", headers=headers).json(), headers)
        self.assertEqual(TestClient(app).get("/").json(), {})

    def test_b3_when_asked_for(self):
        self.addCleanup(sonde.set_propagators, "tracecontext", "baggage")
        sonde.set_propagators("tracecontext", "b3")
        self.client.get("/items/3", headers={"b3": 32 * "1" + "-" + 16 * "2" + "-1"})
        self.assertEqual(self.by_name()["look up"].trace_id, 32 * "1")

    def test_the_end_of_the_application_sends_what_is_left(self):
        with TestClient(self.app) as client:
            client.get("/items/3")
        self.assertIn("GET /items/{item_id}", [span.name for span in self.sink.all])

    def test_websockets_hang_from_who_asked(self):
        @self.app.websocket("/chat")
        async def chat(socket: WebSocket):
            await socket.accept()
            await socket.receive_text()
            await socket.send_text(sonde.current_context().traceparent)

        parent = "00-" + 32 * "1" + "-" + 16 * "2" + "-01"
        with self.client.websocket_connect("/chat", headers={"traceparent": parent}) as socket:
            socket.send_text("hi")
            self.assertEqual(socket.receive_text(), parent)


if __name__ == "__main__":
    unittest.main()

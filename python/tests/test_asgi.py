# SPDX-License-Identifier: Apache-2.0
"""Requests under their route's template; nothing a stranger types becomes a name."""
import asyncio
import contextlib
import unittest

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

    def test_its_own_routes(self):
        self.client.get("/items/1")
        stats = self.client.get("/profiling/stats").json()
        self.assertEqual(stats["operations"]["GET /items/{item_id}"]["count"], 1)
        self.assertIn("GET /items/{item_id}", self.client.get("/profiling/report").text)
        self.assertEqual(self.client.get("/profiling/sla").json(),
                         {"kept": True, "violations": []})

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


if __name__ == "__main__":
    unittest.main()

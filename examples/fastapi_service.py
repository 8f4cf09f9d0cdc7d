# SPDX-License-Identifier: Apache-2.0
"""A service with two more lines than it would have without sonde.

    pip install fastapi uvicorn ./python
    uvicorn --app-dir examples fastapi_service:app
    curl localhost:8000/items/7; curl localhost:8000/profiling/stats

Its numbers are under /profiling/stats, /profiling/report and /profiling/sla; with
$SONDE_ENDPOINT=http://127.0.0.1:7070 also in the daemon's dashboard. WebSockets want
`pip install 'uvicorn[standard]'`.
"""
import asyncio
import random
from typing import AsyncIterator

from fastapi import FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

import sonde

app = FastAPI(title="A shop")
profiler = sonde.integrate_performance_profiling(app, sonde.PerformanceProfiler(
    service_name="shop", sla=sonde.SLAConfig(
        max_p95_latency_ms=250, min_success_rate=0.99,
        operations={"GET /items/{item_id}": sonde.SLAConfig(max_p95_latency_ms=20)})))

sonde.instrument(profiler=profiler)  # Whatever clients the service comes to use.


@app.get("/")
async def root() -> dict:
    return {"hello": "world"}


@app.get("/items/{item_id}")
async def item(item_id: int) -> dict:
    with profiler.span("look up", attributes={"item": item_id}):
        await asyncio.sleep(random.uniform(0.001, 0.004))
    if item_id > 1000:
        raise HTTPException(404, "no such item")
    return {"item": item_id}


@app.post("/answers")
async def answers(question: str) -> dict:
    """A model is asked; the call is simulated."""
    with profiler.profile_llm_operation(provider="example", model="example-small") as call:
        await asyncio.sleep(0.01)
        call.first_token()
        await asyncio.sleep(0.02)
        call.input_tokens, call.output_tokens = len(question.split()), 24
    return {"answer": f"You asked: {question}"}


@app.get("/words")
async def words() -> StreamingResponse:
    async def stream() -> AsyncIterator[str]:
        for word in ("one ", "two ", "three\n"):
            await asyncio.sleep(0.005)
            yield word

    return StreamingResponse(stream(), media_type="text/plain")


@app.get("/broken")
async def broken() -> None:
    raise RuntimeError("as meant")


@app.websocket("/chat/{room}")
async def chat(socket: WebSocket, room: str) -> None:
    await socket.accept()
    try:
        while True:
            text = await socket.receive_text()
            await socket.send_text(f"{room}: {text}")
    except WebSocketDisconnect:
        pass

# SPDX-License-Identifier: Apache-2.0
"""Run by bench_python.py inside the package's environment: FastAPI's hello world under uvicorn,
whose middleware is put in by GET /bench/sonde and taken out by GET /bench/plain. So both are
measured in one process, for two alike ones differ by more than the middleware costs.

usage: python_web.py PORT
"""
import sys

import uvicorn
from fastapi import FastAPI

from sonde import integrate_performance_profiling

app = FastAPI()


@app.get("/")
async def hello():
    return {"hello": "world"}


@app.get("/bench/{kind}")
async def choose(kind: str):
    app.middleware_stack = stacks[kind]
    return kind


stacks = {"plain": app.build_middleware_stack()}
integrate_performance_profiling(app)
stacks["sonde"] = app.build_middleware_stack()
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)

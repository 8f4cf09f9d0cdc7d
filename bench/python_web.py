# SPDX-License-Identifier: Apache-2.0
"""Run by bench_python.py inside the package's environment: FastAPI's hello world under uvicorn.

usage: python_web.py PORT plain|sonde
"""
import sys

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def hello():
    return {"hello": "world"}


if sys.argv[2] == "sonde":
    from sonde import integrate_performance_profiling
    integrate_performance_profiling(app)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)

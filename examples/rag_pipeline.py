#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A pipeline that answers questions from documents, measured step by step: embedding, retrieval,
reranking, generation. The work is simulated, the measuring is real.

usage: rag_pipeline.py [--questions 40] [--speed 1] [--report report.html]

Prints the table, and the promises that were broken; ends with 1 when there are any. With
$SONDE_ENDPOINT=http://127.0.0.1:7070 the traces are in the daemon's dashboard.
"""
import argparse
import random
import sys
import time

import sonde

PROMISES = sonde.SLAConfig(
    max_p95_latency_ms=900, min_success_rate=0.95,
    operations={
        "retrieval": sonde.SLAConfig(max_p95_latency_ms=40),
        "reranking": sonde.SLAConfig(max_p95_latency_ms=60),
        "chat example-large": sonde.SLAConfig(max_p99_latency_ms=1200, min_success_rate=0.97),
    })

profiler = sonde.PerformanceProfiler(service_name="rag", sla=PROMISES)
speed = 1.0


def work(milliseconds: float, spread: float = 0.25) -> None:
    """Takes about that long, sometimes much longer, as things do."""
    time.sleep(milliseconds / 1e3 * random.lognormvariate(0, spread) / speed)


@profiler.span("embedding")
def embed(question: str) -> list:
    work(6)
    return [len(question) % 7 / 7] * 8


def retrieve(vector: list) -> list:
    with profiler.span("retrieval", attributes={"index": "docs", "top_k": 8}) as span:
        work(22, 0.5)
        documents = [f"document {number}" for number in range(random.randint(0, 8))]
        span.set("documents", len(documents))
        if not documents:
            span.event("nothing found")
        return documents


@profiler.span("reranking")
def rerank(documents: list) -> list:
    work(1.5 * len(documents))
    return documents[:3]


def generate(question: str, documents: list) -> str:
    with profiler.profile_llm_operation(provider="example", model="example-large") as call:
        call.input_tokens = 40 + 200 * len(documents)
        work(60)
        call.first_token()
        if random.random() < 0.02:
            raise TimeoutError("the model did not go on")
        call.output_tokens = random.randint(40, 160)
        work(1.2 * call.output_tokens, 0.1)
        call.cost_usd = call.input_tokens * 2.5e-6 + call.output_tokens * 1e-5
        return f"An answer from {len(documents)} documents."


@profiler.span("answer")
def answer(question: str) -> str:
    return generate(question, rerank(retrieve(embed(question))))


def main() -> int:
    global speed
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--speed", type=float, default=1, help="this many times faster")
    parser.add_argument("--report", help="also a file: .html, .md, .json, .csv")
    options = parser.parse_args()
    speed = options.speed

    with sonde.llm_session("example session"):
        for number in range(options.questions):
            try:
                answer(f"question {number}")
            except TimeoutError:
                pass  # Counted as a failure of each step that it passed through.

    reporter = sonde.PerformanceReporter(profiler)
    reporter.print()
    if options.report:
        reporter.save(options.report)
    return 1 if profiler.check_sla() else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Not every trace is worth its place: some are kept for a reason, of the rest a share."""

import json
import random
import time
import unittest

from sonde import Sonde, wait_for

JSON = {"Content-Type": "application/json"}
ATTRIBUTES = {True: "boolValue", False: "stringValue"}


def trace_id(number):
    """Ids as a sender's: their lower seven bytes decide about the share."""
    return f"{random.Random(number).getrandbits(128):032x}"


def span(trace, number, duration_ms=5, parent=None, error=False, name="GET /", **attributes):
    now = time.time_ns()
    made = {"traceId": trace, "spanId": f"{number:016x}", "name": name, "kind": 1 if parent else 2,
            "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + int(duration_ms * 1e6)),
            "attributes": [{"key": key.replace("_", "."), "value": {"stringValue": value}}
                           for key, value in attributes.items()]}
    if parent:
        made["parentSpanId"] = f"{parent:016x}"
    if error:
        made["status"] = {"code": 2}
    return made


class Sampled(Sonde):
    def __init__(self, *arguments, ratio="0%", rare=0, wait="1s"):
        super().__init__("--no-otlp-enabled", "--sampling-ratio", ratio, "--sampling-rare",
                         str(rare), "--sampling-wait", wait, *arguments)

    def send(self, *spans):
        body = {"resourceSpans": [{"resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [{"spans": list(spans)}]}]}
        answer = self.post("/v1/traces", json.dumps(body).encode(), JSON)
        assert (answer.status, answer.json()) == (200, {}), answer.body

    def spans_of(self, trace):
        answer = self.get(f"/api/v1/traces/{trace}")
        return len(answer.json()["spans"]) if answer.status == 200 else 0

    def wait_until_gone(self, *traces):
        wait_for(lambda: all(self.spans_of(trace) == 0 for trace in traces), "the verdicts", 30)

    def told(self, name, **labels):
        selector = ",".join(f'{key}="{value}"' for key, value in labels.items())
        return self.value(f"sum({name}{{{selector}}})")


class SomeTracesStayForAReason(unittest.TestCase):
    def test_errors_slow_ones_and_those_asked_for_stay_whole_and_metrics_count_all(self):
        with Sampled("--sampling-keep", "customer.tier=gold,debug", wait="4s") as sonde:
            plain = [trace_id(number) for number in range(300)]
            sonde.send(*[span(trace, 1) for trace in plain])
            failed, slow, gold, debug = (trace_id(number) for number in range(1000, 1004))
            sonde.send(span(failed, 1), span(gold, 1), span(gold, 2, parent=1, customer_tier="gold"),
                       span(debug, 1, debug="anything"))
            sonde.send(span(failed, 2, parent=1, error=True), span(slow, 1, duration_ms=900),
                       span(slow, 2, parent=1))
            # Nothing is decided yet: everything that was acknowledged can be found.
            self.assertEqual(sum(sonde.spans_of(trace) for trace in plain[:20]), 20)
            sonde.wait_until_gone(*plain)
            self.assertEqual([sonde.spans_of(trace) for trace in (failed, slow, gold, debug)],
                             [2, 2, 2, 1])
            calls = 'sum(traces_span_metrics_calls_total{service="shop"})'
            wait_for(lambda: sonde.value(calls) == 307, "the metrics of spans", 30)
            wait_for(lambda: sonde.told("sonde_sampling_traces_total", verdict="dropped") == 300,
                     "the sampler's own numbers")
            for verdict, count in (("error", 1), ("slow", 1), ("attribute", 2), ("rare", 0)):
                self.assertEqual(sonde.told("sonde_sampling_traces_total", verdict=verdict), count)
            wait_for(lambda: sonde.told("sonde_sampling_spans_total", fate="kept") == 7,
                     "the last verdicts")

    def test_what_is_rare_stays_while_what_is_common_is_thinned(self):
        with Sampled(rare=3) as sonde:
            common = [trace_id(number) for number in range(50)]
            sonde.send(*[span(trace, 1) for trace in common])
            rare = trace_id(99)
            sonde.send(span(rare, 1, name="POST /yearly-report"))
            wait_for(lambda: sum(sonde.spans_of(trace) for trace in common) <= 6, "the verdicts", 30)
            # Two minutes at most have passed, with three traces each.
            self.assertGreaterEqual(sum(sonde.spans_of(trace) for trace in common), 3)
            self.assertEqual(sonde.spans_of(rare), 1)

    def test_of_the_rest_a_share_stays(self):
        with Sampled(ratio="50%") as sonde:
            traces = [trace_id(number) for number in range(400)]
            for at in range(0, 400, 100):
                sonde.send(*[span(trace, number, parent=None if number == 1 else 1)
                             for trace in traces[at:at + 100] for number in (1, 2)])
            dropped = [trace for trace in traces if int(trace[-14:], 16) < 1 << 55]
            self.assertTrue(150 < len(dropped) < 250)
            sonde.wait_until_gone(*dropped)
            kept = [trace for trace in traces if trace not in dropped]
            self.assertEqual({sonde.spans_of(trace) for trace in kept}, {2})

    def test_late_spans_share_the_verdict_of_their_trace(self):
        with Sampled() as sonde:
            failed, plain, later = (trace_id(number) for number in range(3))
            sonde.send(span(failed, 1, error=True), span(plain, 1), span(later, 1))
            sonde.wait_until_gone(plain, later)
            sonde.send(span(failed, 2, parent=1), span(plain, 2, parent=1),
                       span(later, 2, parent=1, error=True))
            self.assertEqual(sonde.spans_of(plain), 1)
            sonde.wait_until_gone(plain)
            self.assertEqual((sonde.spans_of(failed), sonde.spans_of(later)), (2, 1))
            wait_for(lambda: sonde.told("sonde_sampling_late_spans_total") == 3, "late spans")

    def test_a_trace_that_never_ends_is_cut(self):
        with Sampled("--sampling-trace-spans-max", "100", ratio="100%") as sonde:
            endless, other = trace_id(1), trace_id(2)
            for at in range(1, 1001, 250):
                sonde.send(*[span(endless, number) for number in range(at, at + 250)])
            sonde.send(span(other, 1))
            wait_for(lambda: sonde.spans_of(endless) == 100, "the cut", 30)
            self.assertEqual(sonde.spans_of(other), 1)
            wait_for(lambda: sonde.told("sonde_sampling_spans_total", fate="over_trace_limit") == 900,
                     "the sampler's own numbers")


class NothingThatWasAcknowledgedIsLost(unittest.TestCase):
    def test_what_waits_survives_a_kill_and_is_decided_afterwards(self):
        with Sampled(wait="5s") as sonde:
            failed = trace_id(1)
            plain = [trace_id(number) for number in range(10, 60)]
            sonde.send(span(failed, 1))
            sonde.send(*[span(trace, 1) for trace in plain])
            sonde.send(span(failed, 2, parent=1, error=True))
            sonde.kill()
            sonde.start()
            self.assertEqual(sonde.spans_of(failed), 2)
            self.assertEqual({sonde.spans_of(trace) for trace in plain}, {1})
            sonde.wait_until_gone(*plain)
            self.assertEqual(sonde.spans_of(failed), 2)
            sonde.kill()  # The verdicts are as durable as the spans were.
            sonde.start()
            self.assertEqual(sonde.spans_of(failed), 2)
            self.assertEqual({sonde.spans_of(trace) for trace in plain}, {0})

    def test_without_sampling_nothing_that_waited_goes(self):
        with Sampled(wait="1h") as sonde:
            plain = trace_id(1)
            sonde.send(span(plain, 1))
            sonde.stop()
            sonde.arguments = ("--no-otlp-enabled",)
            sonde.start()
            self.assertEqual(sonde.spans_of(plain), 1)
            wait_for(lambda: sonde.json("/api/v1/traces/search", service="shop")["spans"],
                     "the trace")


if __name__ == "__main__":
    unittest.main()

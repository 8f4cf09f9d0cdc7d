# SPDX-License-Identifier: Apache-2.0
"""From a metric of spans to a trace behind it, in the way of Prometheus' exemplars."""

import time
import unittest

from sonde import wait_for
from test_sampling import Sampled, span, trace_id


class AMetricLeadsToItsTraces(unittest.TestCase):
    def test_the_slow_call_behind_a_bucket_is_named(self):
        began = time.time()
        with Sampled(ratio="100%") as sonde:
            quick, slow = [trace_id(number) for number in range(20)], trace_id(100)
            sonde.send(*[span(trace, 1, duration_ms=3) for trace in quick],
                       span(slow, 1, duration_ms=1500), span(slow, 2, parent=1, name="SELECT"))
            bucket = 'traces_span_metrics_duration_seconds_bucket{span_name="GET /"}'
            wait_for(lambda: sonde.value(f"sum({bucket})"), "the metrics of spans", 30)

            def ask(query):
                return sonde.json("/api/v1/query_exemplars", query=query, start=began - 60,
                                  end=time.time() + 60)["data"]

            found = ask(f"histogram_quantile(0.99, sum by (le) (rate({bucket}[5m])))")
            named = {series["seriesLabels"]["le"]: series["exemplars"][0] for series in found}
            self.assertEqual(named["2.048"]["labels"], {"trace_id": slow, "span_id": "0" * 15 + "1"})
            self.assertEqual(named["2.048"]["value"], "1.5")
            self.assertAlmostEqual(named["2.048"]["timestamp"], began, delta=60)
            self.assertTrue(all(series["seriesLabels"]["span_name"] == "GET /" for series in found))
            calls = ask('traces_span_metrics_calls_total{span_name="SELECT"}')
            self.assertEqual([item["labels"]["trace_id"] for item in calls[0]["exemplars"]], [slow])
            self.assertEqual(ask("node_load1"), [])
            self.assertEqual(sonde.get("/api/v1/query_exemplars", query="sum(").status, 400)

    def test_only_traces_that_stayed_are_named(self):
        with Sampled("--sampling-slow", "100%") as sonde:
            dropped, failed = trace_id(1), trace_id(2)
            sonde.send(span(dropped, 1, duration_ms=900), span(failed, 1, error=True))
            sonde.wait_until_gone(dropped)
            calls = "traces_span_metrics_calls_total"
            wait_for(lambda: sonde.value(f"sum({calls})") == 2, "the metrics of spans", 30)
            found = sonde.json("/api/v1/query_exemplars", query=calls)["data"]
            self.assertEqual([item["labels"]["trace_id"] for series in found
                              for item in series["exemplars"]], [failed])


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""From a metric to a trace behind it, in the way of Prometheus' exemplars: a metric of spans, one of
a program's own, one that Prometheus writes."""

import http.server
import threading
import time
import unittest

import test_otlp
from sonde import Sonde, wait_for
from test_export import QUIET
from test_prometheus import Prometheus
from test_sampling import Sampled, span, trace_id


def ask(sonde, query, **more):
    return sonde.json("/api/v1/query_exemplars", query=query, start=time.time() - 600,
                      end=time.time() + 60, **more)["data"]


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


class ProgramsSendExemplarsOfTheirOwn(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        test_otlp.need_sdk()

    def expect(self, sonde, spans, protocol):
        began = time.time()

        def told(query):
            return {one["seriesLabels"].get("le", ""): one["exemplars"] for one in ask(sonde, query)}

        buckets = told("histogram_quantile(0.9, sum by (le) (rate(shop_wait_seconds_bucket[5m])))")
        self.assertEqual(sorted(buckets), ["+Inf", "0.1", "1"])
        for (trace, span_id), (le, value) in zip(spans, (("0.1", "0.05"), ("1", "0.5"),
                                                         ("+Inf", "5"))):
            with self.subTest(le=le):
                one, = buckets[le]
                self.assertEqual(one["labels"], {"trace_id": trace, "span_id": span_id,
                                                 "customer": "acme"})
                self.assertEqual(one["value"], value)
                self.assertAlmostEqual(one["timestamp"], began, delta=120)
        for name, value in (("shop_carts_total", "2"), ("shop_open", "3"), ("shop_heat_ratio", "7"),
                            ("shop_size_bytes", "100")):
            with self.subTest(name=name):
                one, = told(name)[""]
                self.assertEqual((one["labels"]["trace_id"], one["value"]), (spans[2][0], value))
        series = ask(sonde, 'shop_wait_seconds_bucket{le="1"}')[0]["seriesLabels"]
        self.assertEqual(series, {"__name__": "shop_wait_seconds_bucket", "job": f"python-{protocol}",
                                  "instance": "one", "le": "1", "route": "/"})

    def test_of_an_sdk_they_are_answered_and_handed_on(self):
        for protocol in ("grpc", "http"):
            port = test_otlp.free_port()
            listen = ("--otlp-" + protocol, f"127.0.0.1:{port}")
            with self.subTest(protocol=protocol), Sonde(*QUIET) as behind, \
                    Sonde("--collect-off", "all", *listen, "--export-metrics", behind.url) as front:
                sent, complaints = test_otlp.send(protocol, f"127.0.0.1:{port}", "exemplars")
                self.assertEqual(complaints, "")
                self.expect(front, sent["spans"], protocol)
                wait_for(lambda: behind.value("count(shop_size_bytes_count)"), "metrics behind")
                self.expect(behind, sent["spans"], protocol)

    def test_the_newest_of_a_series_stay_and_the_range_counts(self):
        now = (int(time.time()) - 100) * 10**9
        with Sonde(*QUIET) as sonde:
            points = [{"asInt": str(n), "timeUnixNano": str(now + n * 10**9), "exemplars": [
                {"asInt": str(n), "timeUnixNano": str(now + n * 10**9), "traceId": f"{n + 1:032x}"}]}
                for n in range(50)]
            body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [
                {"name": "depth", "gauge": {"dataPoints": points}}]}]}]}
            for _ in range(2):  # Told again they are the same.
                self.assertEqual(sonde.post("/v1/metrics", body, test_otlp.JSON).status, 200)
            values = [one["value"] for one in ask(sonde, "depth")[0]["exemplars"]]
            self.assertEqual(values, [str(n) for n in range(18, 50)])
            some = sonde.json("/api/v1/query_exemplars", query="depth + depth",
                              start=now / 1e9 + 40, end=now / 1e9 + 41.5)["data"]
            self.assertEqual([one["value"] for one in some[0]["exemplars"]], ["40", "41"])
            self.assertEqual(len(some), 1)
            sonde.wait_for_value("sonde_exemplars", 32)


EXPOSITION = """# TYPE calls counter
calls_total{{path="/"}} 17 # {{trace_id="{trace}",user="acme"}} 0.25 {time}
# TYPE took histogram
took_bucket{{le="1"}} 3 # {{trace_id="{trace}",span_id="00f067aa0ba902b7"}} 0.75 {time}
took_bucket{{le="+Inf"}} 4
took_sum 5
took_count 4
# EOF
"""


class PrometheusWritesExemplars(unittest.TestCase):
    def test_with_send_exemplars_they_are_kept(self):
        trace = trace_id(7)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = EXPOSITION.format(trace=trace, time=round(time.time(), 3)).encode()
                self.send_response(200)
                self.send_header("Content-Type",
                                 "application/openmetrics-text; version=1.0.0; charset=utf-8")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=target.serve_forever, daemon=True).start()
        with Sonde(*QUIET) as sonde:
            config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
                      "remote_write": [{"url": f"{sonde.url}/api/v1/write",
                                        "send_exemplars": True}],
                      "scrape_configs": [{"job_name": "shop", "static_configs": [
                          {"targets": [f"127.0.0.1:{target.server_port}"]}]}]}
            with Prometheus(config, "--enable-feature=exemplar-storage"):
                found = wait_for(lambda: ask(sonde, "calls_total") and ask(sonde, "took_bucket"),
                                 "exemplars by remote write", 60)
            self.assertEqual(found[0]["seriesLabels"]["le"], "1")
            self.assertEqual(found[0]["exemplars"][0]["labels"],
                             {"trace_id": trace, "span_id": "00f067aa0ba902b7"})
            self.assertEqual(found[0]["exemplars"][0]["value"], "0.75")
            calls, = ask(sonde, 'calls_total{job="shop"}')
            self.assertEqual(calls["exemplars"][0]["labels"], {"trace_id": trace, "user": "acme"})
        target.shutdown()
        target.server_close()


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Someone with curl, a browser or a tool of Prometheus asks the daemon questions."""

import gzip
import json
import time
import unittest
import urllib.parse

from sonde import Scenario, Sonde, wait_for
from websocket import WebSocket

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Questions(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sonde.wait_for_value("count(node_load1)", 1)

    def test_the_load_is_answered_within_seconds_of_the_start(self):
        value = self.sonde.value("node_load1")
        self.assertGreaterEqual(value, 0)

    def test_a_form_asks_the_same_as_a_query_string(self):
        at = str(int(time.time()))
        asked = self.sonde.json("/api/v1/query", query="node_load1", time=at)
        form = urllib.parse.urlencode({"query": "node_load1", "time": at})
        posted = self.sonde.post("/api/v1/query", form, FORM).json()
        self.assertEqual(asked, posted)

    def test_a_range_has_a_point_for_each_step(self):
        self.sonde.wait_for_value("count_over_time(node_load1[1m]) >= 3")
        end = time.time()
        data = self.sonde.json("/api/v1/query_range", query="node_load1", start=end - 2, end=end,
                               step="1s")["data"]
        self.assertEqual(data["resultType"], "matrix")
        self.assertGreaterEqual(len(data["result"][0]["values"]), 2)

    def test_counters_have_rates(self):
        wait_for(lambda: self.sonde.value("sum(rate(node_cpu_seconds_total[1m]))"), "a rate")
        cores = self.sonde.value('count(node_cpu_seconds_total{mode="idle"})')
        seconds = self.sonde.value("sum(rate(node_cpu_seconds_total[1m]))")
        self.assertLess(seconds, cores * 1.5)

    def test_a_mistake_is_answered_with_its_place(self):
        answer = self.sonde.get("/api/v1/query", query="sum(rate(node_load1[5m])")
        self.assertEqual(answer.status, 400)
        error = answer.json()
        self.assertEqual((error["status"], error["errorType"]), ("error", "bad_data"))
        self.assertIn("parse error", error["error"])
        self.assertIn("position", error)

    def test_errors_are_prometheus_errors(self):
        cases = [
            ("/api/v1/query", {}, 400, "bad_data"),
            ("/api/v1/query", {"query": "up", "time": "soon"}, 400, "bad_data"),
            ("/api/v1/query", {"query": "up", "timeout": "-1s"}, 400, "bad_data"),
            ("/api/v1/query_range", {"query": "up", "start": 1, "end": 0, "step": 1}, 400,
             "bad_data"),
            ("/api/v1/query_range", {"query": "up", "start": 0, "end": 1, "step": 0}, 400,
             "bad_data"),
            ("/api/v1/query_range", {"query": "up", "start": 0, "end": 99999, "step": 1}, 400,
             "bad_data"),
            ("/api/v1/query_range", {"query": "up"}, 400, "bad_data"),
            ("/api/v1/series", {}, 400, "bad_data"),
            ("/api/v1/series", {"match[]": "rate(x[1m])"}, 400, "bad_data"),
            ("/api/v1/label/a-b/values", {}, 400, "bad_data"),
            ("/api/v1/query", {"query": "node_load1 + on(job) group_left() node_cpu_seconds_total"},
             422, "execution"),
        ]
        for path, parameters, status, kind in cases:
            with self.subTest(path=path, parameters=parameters):
                answer = self.sonde.get(path, **parameters)
                self.assertEqual(answer.status, status, answer.body)
                self.assertEqual(answer.json()["errorType"], kind)
                self.assertEqual(answer.json()["status"], "error")

    def test_names_and_meanings_can_be_listed(self):
        labels = self.sonde.json("/api/v1/labels")["data"]
        self.assertEqual(labels, sorted(set(labels)))
        self.assertIn("__name__", labels)
        modes = self.sonde.json("/api/v1/label/mode/values",
                                **{"match[]": "node_cpu_seconds_total"})["data"]
        self.assertIn("idle", modes)
        series = self.sonde.json(
            "/api/v1/series", **{"match[]": ["node_load1", '{__name__="node_load5"}']})["data"]
        self.assertEqual({one["__name__"] for one in series}, {"node_load1", "node_load5"})
        info = self.sonde.json("/api/v1/metadata", metric="node_load1")["data"]["node_load1"][0]
        self.assertEqual(info["type"], "gauge")
        self.assertTrue(info["help"])

    def test_a_limit_cuts_and_says_so(self):
        answer = self.sonde.json("/api/v1/labels", limit=2)
        self.assertEqual(len(answer["data"]), 2)
        self.assertEqual(answer["warnings"], ["results truncated due to limit"])
        answer = self.sonde.json("/api/v1/query", query="node_cpu_seconds_total", limit=3)
        self.assertEqual(len(answer["data"]["result"]), 3)
        self.assertIn("results truncated due to limit", answer["warnings"])

    def test_tools_find_what_they_ask_first(self):
        version = self.sonde.json("/api/v1/status/buildinfo")["data"]["version"]
        self.assertRegex(version, r"^\d+\.\d+\.\d+$")
        self.assertEqual(self.sonde.json("/api/v1/rules")["data"], {"groups": []})
        self.assertEqual(self.sonde.json("/api/v1/alerts")["data"], {"alerts": []})
        for path in ("runtimeinfo", "config", "flags", "tsdb"):
            self.assertEqual(self.sonde.json(f"/api/v1/status/{path}")["status"], "success")
        formatted = self.sonde.json("/api/v1/format_query", query="sum(rate(a[5m]))by(b)")["data"]
        self.assertEqual(formatted, "sum by (b) (rate(a[5m]))")

    def test_an_expression_is_taken_apart(self):
        text = 'sum by (mode) (rate(a{b=~"c"}[5m] offset 1m)) / on (mode) group_left d @ end() > 1'
        tree = self.sonde.json("/api/v1/parse_query", query=text)["data"]
        self.assertEqual((tree["type"], tree["op"], tree["matching"]), ("binaryExpr", ">", None))
        quotient = tree["lhs"]
        self.assertEqual(quotient["matching"]["card"], "many-to-one")
        self.assertEqual((quotient["matching"]["labels"], quotient["matching"]["on"]),
                         (["mode"], True))
        self.assertEqual(quotient["rhs"]["startOrEnd"], "end")
        total = quotient["lhs"]
        self.assertEqual((total["type"], total["op"], total["grouping"]),
                         ("aggregation", "sum", ["mode"]))
        rate = total["expr"]
        self.assertEqual(rate["func"], {"name": "rate", "argTypes": ["matrix"], "variadic": 0,
                                        "returnType": "vector"})
        selector = rate["args"][0]
        self.assertEqual((selector["type"], selector["name"], selector["range"],
                          selector["offset"]), ("matrixSelector", "a", 300000, 60000))
        self.assertIn({"name": "b", "value": "c", "type": "=~"}, selector["matchers"])
        self.assertEqual(text[selector["start"]:selector["end"]], 'a{b=~"c"}[5m] offset 1m')
        self.assertEqual(self.sonde.get("/api/v1/parse_query", query="sum(").status, 400)

    def test_processes_and_status_describe_this_machine(self):
        data = self.sonde.json("/api/v1/processes", sort="pid", limit=0)["data"]
        mine = [row for row in data["processes"] if row["pid"] == self.sonde.process.pid]
        self.assertEqual(len(mine), 1)
        self.assertGreater(mine[0]["rss_bytes"], 1 << 20)
        status = self.sonde.json("/api/v1/status")["data"]
        self.assertTrue(any(source["state"] == "running" for source in status["sources"]))
        self.assertGreater(status["store"]["series"], 100)
        refused = self.sonde.get("/api/v1/processes", sort="colour")
        self.assertEqual(refused.status, 400)
        self.assertIn("hint", refused.json()["error"])

    def test_health_is_said_in_sentences(self):
        health = self.sonde.json("/api/v1/health")
        self.assertIn(health["status"], ("ok", "warning", "critical"))
        for finding in health["findings"]:
            self.assertTrue(finding["claim"].endswith("."), finding)
            self.assertNotIn("{", finding["claim"] + finding["evidence"] + finding["next_step"])
            self.assertTrue(finding["next_step"])
            self.assertEqual(self.sonde.get("/api/v1/query", query=finding["expr"]).status, 200)


class Addresses(Scenario):
    """What users of the older systems know."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sonde.wait_for_value("count(node_load1)", 1)

    def test_figures_now(self):
        for path in ("/profiling/metrics", "/api/v1/performance/metrics/current",
                     "/api/performance/metrics", "/api/performance/system"):
            with self.subTest(path=path):
                metrics = self.sonde.json(path)["metrics"]
                self.assertGreater(metrics["memory_total_bytes"], 0)
                self.assertEqual(metrics["load1"] is not None, True)

    def test_figures_over_time_and_summed_up(self):
        wait_for(lambda: self.sonde.json("/api/v1/performance/metrics/history", kinds="load1",
                                         start=time.time() - 60)["metrics"]["load1"], "a point")
        summary = self.sonde.json("/api/v1/performance/analytics", kinds="load1",
                                  start=time.time() - 60)["metrics"]["load1"]
        self.assertGreater(summary["count"], 0)
        self.assertLessEqual(summary["minimum"], summary["p95"])
        self.assertLessEqual(summary["p95"], summary["maximum"])
        refused = self.sonde.get("/api/v1/performance/metrics/history", kinds="cpu_colour")
        self.assertEqual(refused.status, 400)

    def test_overview_service_and_health(self):
        overview = self.sonde.json("/api/performance/dashboard")
        self.assertIn("busiest", overview)
        self.assertTrue(overview["facts"]["kernel_release"])
        self.assertIn("findings", self.sonde.json("/api/performance/health"))
        group = wait_for(lambda: self.sonde.json("/api/v1/label/groupname/values")["data"],
                         "a group of processes")[0]
        service = self.sonde.json("/api/performance/services/" + urllib.parse.quote(group, safe=""))
        self.assertEqual(service["name"], group)
        self.assertEqual(self.sonde.get("/api/performance/services/no-such-group").status, 404)

    def test_collecting_stops_and_goes_on(self):
        self.assertFalse(self.sonde.post("/profiling/stop").json()["is_collecting"])
        newest = self.sonde.value("max(timestamp(node_load1))")
        wait_for(lambda: self.sonde.value("time()") > newest + 3, "three seconds to pass")
        self.assertLessEqual(self.sonde.value("max(timestamp(node_load1))") or newest, newest + 2)
        self.assertTrue(self.sonde.post("/profiling/start").json()["is_collecting"])
        wait_for(lambda: (self.sonde.value("max(timestamp(node_load1))") or 0) > newest + 2,
                 "a new sample")

    def test_exports_in_three_forms(self):
        wait_for(lambda: self.sonde.value("count_over_time(node_load1[1m]) >= 3"), "samples")
        request = {"exprs": ["node_load1"], "kinds": ["load1"], "start": time.time() - 30,
                   "step": "1s"}
        answer = self.sonde.post("/api/v1/performance/export", {**request, "format": "csv"})
        self.assertEqual(answer.headers["Content-Type"], "text/csv; charset=utf-8")
        rows = answer.text().split("\r\n")
        self.assertEqual(rows[0], "time,time_ms,name,labels,value")
        self.assertGreater(len(rows), 3)
        answer = self.sonde.post("/api/v1/performance/export", {**request, "format": "json"})
        names = {series["name"] for series in answer.json()["series"]}
        self.assertEqual(names, {"node_load1", "load1"})
        answer = self.sonde.post("/api/v1/performance/export", {**request, "format": "prometheus"})
        self.assertIn("# TYPE node_load1", answer.text())
        for body in ('{"format":"pdf"}', '{"format":', '{"colour":1}', '{"exprs":["sum("]}',
                     '{"start":"soon"}', '[]', '{"kinds":["nope"]}'):
            with self.subTest(body=body):
                refused = self.sonde.post("/api/v1/performance/export", body)
                self.assertEqual(refused.status, 400, refused.body)
                self.assertTrue(refused.json()["error"]["message"])

    def test_cleanup_tells_what_went(self):
        answer = self.sonde.post("/api/performance/cleanup").json()
        self.assertEqual(answer["removed_files_count"], 0)
        self.assertGreater(answer["remaining_bytes"], 0)


class Sending(Scenario):
    def test_what_was_pushed_is_there_exactly_once(self):
        at = int(time.time() * 1000) - 5000
        lines = "".join(f'pushed_total{{n="{n}"}} {n} {at}\n' for n in range(100))
        answer = self.sonde.post("/api/v1/import/prometheus",
                                 "# TYPE pushed_total counter\n" + lines)
        self.assertEqual(answer.status, 204, answer.body)
        self.assertEqual(self.sonde.value("count(pushed_total)"), 100)
        self.assertEqual(self.sonde.value("sum(pushed_total)"), sum(range(100)))
        self.assertEqual(self.sonde.value("max(count_over_time(pushed_total[1m]))"), 1)
        # The same again is the same.
        again = self.sonde.post("/api/v1/import/prometheus", lines)
        self.assertIn(again.status, (200, 204), again.body)
        self.assertEqual(self.sonde.value("max(count_over_time(pushed_total[1m]))"), 1)

    def test_compressed_bodies_are_understood(self):
        answer = self.sonde.post("/api/v1/import/prometheus", gzip.compress(b"packed 42\n"),
                                 {"Content-Encoding": "gzip"})
        self.assertEqual(answer.status, 204, answer.body)
        self.assertEqual(self.sonde.value("packed"), 42)

    def test_a_bad_line_is_named(self):
        answer = self.sonde.post("/api/v1/import/prometheus", "good 1\nbad{a= 2\n")
        self.assertEqual(answer.status, 400)
        self.assertRegex(answer.json()["error"]["message"], r"\b2\b")
        self.assertEqual(self.sonde.query("good"), [])

    def test_named_metrics_as_json(self):
        answer = self.sonde.post("/api/v1/performance/metrics", {"metrics": [
            {"name": "build_seconds", "value": 12.5, "labels": {"branch": "main"}},
            {"name": "builds_total", "value": 3, "kind": "counter", "help": "Builds."}]})
        self.assertEqual(answer.json(), {"accepted_count": 2, "rejected_count": 0})
        self.assertEqual(self.sonde.value('build_seconds{branch="main"}'), 12.5)
        for body in ("", "{", "[]", '{"metrics":[]}', '{"metrics":[{"name":"a"}]}',
                     '{"metrics":[{"name":"a","value":"x"}]}', '{"metrics":[{"nam":"a"}]}',
                     '{"metrics":[{"name":"a","value":1,"kind":"colour"}]}'):
            with self.subTest(body=body):
                refused = self.sonde.post("/api/v1/performance/metrics", body)
                self.assertEqual(refused.status, 400, refused.body)
                self.assertEqual(refused.json()["error"]["code"], "invalid")

    def test_remote_write_refuses_what_it_does_not_speak(self):
        answer = self.sonde.post("/api/v1/write", b"\x00\x01not snappy",
                                 {"Content-Encoding": "snappy"})
        self.assertEqual(answer.status, 400)
        answer = self.sonde.post("/api/v1/write", b"", {"Content-Encoding": "zstd"})
        self.assertEqual(answer.status, 400)

    def test_what_was_acknowledged_survives_a_kill(self):
        with Sonde() as sonde:
            answer = sonde.post("/api/v1/import/prometheus", "kept 7\n")
            self.assertEqual(answer.status, 204)
            sonde.kill()
            sonde.start()
            self.assertEqual(sonde.value("max(last_over_time(kept[10m]))"), 7)


class FullDisk(Scenario):
    """A disk with less room than is asked for is as full as any."""

    config = "store:\n  free_min: 900000GiB\n"

    def test_senders_are_asked_to_come_later_and_readers_are_served(self):
        for path, body in (("/api/v1/import/prometheus", "a 1\n"),
                           ("/api/v1/performance/metrics",
                            {"metrics": [{"name": "a", "value": 1}]})):
            answer = self.sonde.post(path, body)
            self.assertEqual(answer.status, 503, answer.body)
            self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
            self.assertEqual(answer.json()["error"]["code"], "full")
        self.assertEqual(self.sonde.get("/api/v1/query", query="up").status, 200)
        self.assertEqual(self.sonde.query("a"), [])


class LabelExplosion(Scenario):
    config = "store:\n  metric_series_max: 1000\n"

    def test_a_label_that_explodes_is_stopped_and_named(self):
        lines = "".join(f'exploding{{id="{n}"}} 1\n' for n in range(3000))
        answer = self.sonde.post("/api/v1/import/prometheus", lines)
        self.assertEqual(answer.status, 200, answer.body)
        account = answer.json()
        self.assertEqual(account["accepted_count"], 1000)
        self.assertEqual(account["rejected_count"], 2000)
        self.assertIn("exploding", account["message"])
        self.assertEqual(self.sonde.value("count(exploding)"), 1000)
        self.assertEqual(self.sonde.post("/api/v1/import/prometheus", "calm 1\n").status, 204)


class Manners(Scenario):
    """HTTP as it is meant."""

    def test_methods(self):
        refused = self.sonde.request("DELETE", "/api/v1/query")
        self.assertEqual(refused.status, 405)
        self.assertEqual(refused.headers["Allow"], "GET, HEAD, POST, OPTIONS")
        self.assertEqual(self.sonde.request("OPTIONS", "/api/v1/query").status, 204)
        head = self.sonde.request("HEAD", "/api/v1/status")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertGreater(int(head.headers["Content-Length"]), 100)

    def test_nothing_there(self):
        answer = self.sonde.get("/api/v1/nonsense")
        self.assertEqual(answer.status, 404)
        self.assertEqual(answer.json()["error"]["code"], "not_found")

    def test_large_answers_are_compressed(self):
        answer = self.sonde.get("/api/openapi.json", headers={"Accept-Encoding": "gzip"})
        self.assertEqual(answer.headers["Content-Encoding"], "gzip")
        self.assertIn("paths", json.loads(gzip.decompress(answer.body)))

    def test_the_page_is_cached_by_its_hash(self):
        page = self.sonde.get("/")
        if page.status == 404:
            self.skipTest("no dashboard is embedded in this build")
        etag = page.headers["ETag"]
        self.assertEqual(page.headers["Cache-Control"], "no-cache")
        again = self.sonde.get("/", headers={"If-None-Match": etag})
        self.assertEqual((again.status, again.body), (304, b""))
        self.assertEqual(self.sonde.get("/processes").body, page.body)
        packed = self.sonde.get("/", headers={"Accept-Encoding": "gzip"})
        self.assertEqual(gzip.decompress(packed.body), page.body)

    def test_browsers_are_told_to_be_careful(self):
        headers = self.sonde.get("/api/v1/status").headers
        self.assertIn("default-src 'self'", headers["Content-Security-Policy"])
        self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"])
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
        self.assertIsNone(headers["Access-Control-Allow-Origin"])

    def test_a_rebound_name_and_a_foreign_page_are_refused(self):
        self.assertEqual(self.sonde.get("/api/v1/status", headers={"Host": "evil.example"}).status,
                         403)
        foreign = {"Origin": "http://evil.example"}
        self.assertEqual(self.sonde.post("/profiling/stop", headers=foreign).status, 403)
        self.assertEqual(self.sonde.post("/api/v1/import/prometheus", "a 1\n", foreign).status, 403)
        with WebSocket("127.0.0.1", self.sonde.port, "/api/v1/live", foreign) as websocket:
            self.assertEqual(websocket.status, 403)
        own = {"Origin": self.sonde.url}
        self.assertEqual(self.sonde.post("/api/v1/import/prometheus", "a 1\n", own).status, 204)

    def test_who_comes_through_a_proxy_needs_a_token(self):
        answer = self.sonde.get("/api/v1/status", headers={"X-Forwarded-For": "192.0.2.1"})
        self.assertEqual(answer.status, 401)
        self.assertIn("Bearer", answer.headers["WWW-Authenticate"])

    def test_small_bodies_where_small_bodies_belong(self):
        answer = self.sonde.post("/api/v1/query", b"query=" + b"1" * (2 << 20), FORM)
        self.assertEqual(answer.status, 413)


class Tokens(unittest.TestCase):
    def test_roles(self):
        tokens = ("viewer-token-123456789 viewer\nwriter-token-123456789 writer\n"
                  "admin-token-1234567890 admin\nother-token-1234567890 writer other\n")
        sonde = Sonde("--loopback-needs-token")
        path = sonde.folder + "/tokens"
        with open(path, "w", encoding="utf-8") as file:
            file.write(tokens)
        sonde.arguments += ("--token-file", path)
        with sonde:
            def ask(method, where, token, body=b""):
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                return sonde.request(method, where, body, headers)

            self.assertEqual(ask("GET", "/healthz", None).status, 200)
            self.assertEqual(ask("GET", "/api/v1/status", None).status, 401)
            self.assertEqual(ask("GET", "/api/v1/status", "wrong-token-1234567890").status, 401)
            self.assertEqual(ask("GET", "/api/v1/status", "viewer-token-123456789").status, 200)
            where = "/api/v1/import/prometheus"
            self.assertEqual(ask("POST", where, "viewer-token-123456789", "a 1\n").status, 403)
            self.assertEqual(ask("POST", where, "writer-token-123456789", "a 1\n").status, 204)
            self.assertEqual(ask("POST", "/profiling/stop", "writer-token-123456789").status, 403)
            self.assertEqual(ask("POST", "/profiling/stop", "admin-token-1234567890").status, 200)
            # A tenant sees its own only.
            self.assertEqual(ask("POST", where, "other-token-1234567890", "b 2\n").status, 204)
            for token, wanted in (("other-token-1234567890", ["b"]),
                                  ("viewer-token-123456789", ["a"])):
                found = ask("GET", "/api/v1/query?query=" + urllib.parse.quote('{__name__=~"a|b"}'),
                            token).json()["data"]["result"]
                self.assertEqual([one["metric"]["__name__"] for one in found], wanted)

    def test_everyone_is_not_let_in_by_accident(self):
        sonde = Sonde()
        command = sonde.command()
        command[command.index("--listen") + 1] = "0.0.0.0:0"
        sonde.command = lambda: command
        with self.assertRaises(AssertionError) as caught:
            sonde.start()
        self.assertIn("token", str(caught.exception))


class Live(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sonde.wait_for_value("count(node_load1)", 1)

    def open(self):
        return WebSocket("127.0.0.1", self.sonde.port, "/api/v1/live")

    def test_points_arrive_as_they_are_committed(self):
        with self.open() as live:
            self.assertEqual(live.status, 101)
            live.send({"subscribe": [{"id": "load", "expr": "node_load1", "step_ms": 1000},
                                     {"id": "one", "expr": "vector(1)"}]})
            times = {"load": [], "one": []}
            while min(len(found) for found in times.values()) < 3:
                message = live.receive()
                times[message["id"]].append(message["time_ms"])
                self.assertEqual(len(message["result"]), 1)
                float(message["result"][0]["value"])
            for found in times.values():
                self.assertEqual(found, sorted(set(found)))
            live.send({"unsubscribe": ["one"]})
            live.send({"subscribe": [{"id": "last", "expr": "time()"}]})
            message = live.receive()
            while message["id"] != "last":
                message = live.receive()
            for _ in range(4):
                self.assertNotEqual(live.receive()["id"], "one")

    def test_mistakes_are_told_under_their_id(self):
        with self.open() as live:
            live.send({"subscribe": [{"id": "bad", "expr": "sum("}]})
            error = live.receive()
            self.assertEqual((error["id"], error["error"]["code"]), ("bad", "invalid"))
            live.send({"subscribe": [{"id": "range", "expr": "node_load1[5m]"}]})
            self.assertIn("hint", live.receive()["error"])
            live.send_text("{not json")
            self.assertEqual(live.receive()["error"]["code"], "invalid")
            live.send({"dance": []})
            self.assertEqual(live.receive()["error"]["code"], "invalid")
            live.send({"subscribe": [{"id": "x", "expr": "vector(2)", "step_ms": 0}]})
            self.assertEqual(live.receive()["error"]["code"], "invalid")

    def test_a_connection_has_so_many_and_no_more(self):
        with self.open() as live:
            live.send({"subscribe": [{"id": f"s{n}", "expr": f"vector({n})", "step_ms": 3600000}
                                     for n in range(70)]})
            refused = 0
            while refused < 6:
                message = live.receive()
                refused += message.get("error", {}).get("code") == "limit"

    def test_a_peer_that_does_not_read_loses_points_and_is_told(self):
        lines = "".join(f'wide{{n="{n}",padding="{"x" * 80}"}} {n}\n' for n in range(900))
        self.assertEqual(self.sonde.post("/api/v1/import/prometheus", lines).status, 204)
        with self.open() as live:
            live.send({"subscribe": [{"id": f"w{n}", "expr": f"wide + {n}"} for n in range(60)]})
            wait_for(lambda: (self.sonde.value("sonde_live_dropped_total") or 0) > 0,
                     "points to be left out", 60)
            message = live.receive()
            while "notice" not in message:
                message = live.receive()
            self.assertEqual(message["notice"]["code"], "slow")
            self.assertGreater(message["notice"]["dropped_count"], 0)

    def test_a_peer_that_vanishes_leaves_nothing(self):
        before = self.sonde.value("sonde_live_subscriptions") or 0
        for _ in range(20):
            live = self.open()
            live.send({"subscribe": [{"id": "a", "expr": "vector(1)"}]})
            live.close()
        wait_for(lambda: (self.sonde.value("sonde_live_subscriptions") or 0) <= before,
                 "the subscriptions to be gone")


if __name__ == "__main__":
    unittest.main()

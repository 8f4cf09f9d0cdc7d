# SPDX-License-Identifier: Apache-2.0
"""Someone looks for a trace in Grafana's language and finds it, or is told where the query is wrong."""
import json
import time
import unittest

import trace_feed
from sonde import Scenario

TRACE = "5b8efff798038103d269b633813fc60c"


def span(identity, parent, name, kind, begin, end, **attributes):
    return {"traceId": TRACE, "spanId": identity, "parentSpanId": parent, "name": name,
            "kind": kind, "startTimeUnixNano": str(begin), "endTimeUnixNano": str(end),
            "attributes": [{"key": key, "value": {"stringValue": value}}
                           for key, value in attributes.items()],
            "status": {"code": 2} if name == "charge" else {}}


def request(now):
    return {"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"spans": [
            span("00000000000000a1", "", "POST /order", 2, now, now + 600_000_000),
            span("00000000000000a2", "00000000000000a1", "charge", 3, now + 1_000_000,
                 now + 500_000_000, **{"peer.service": "bank"}),
        ]}]}]}


class TraceQL(Scenario):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        body = json.dumps(request(time.time_ns() - 5_000_000_000)).encode()
        answer = cls.sonde.request("POST", "/v1/traces", body,
                                   {"Content-Type": "application/json"})
        assert answer.status == 200, answer.body

    def search(self, query):
        return self.sonde.get("/api/v1/traces/search", q=query)

    def test_a_trace_is_found_by_its_structure(self):
        answer = self.search('{ resource.service.name = "shop" } >> { status = error && '
                             '.peer.service =~ "ba.*" } | count() = 1 | select(duration)')
        self.assertEqual(answer.status, 200, answer.body)
        traces = json.loads(answer.body)["traces"]
        self.assertEqual([trace["traceID"] for trace in traces], [TRACE])
        self.assertEqual(traces[0]["rootTraceName"], "POST /order")
        self.assertEqual(traces[0]["spanSets"][0]["spans"][0]["name"], "charge")

    def test_a_trace_of_many_spans_hides_no_other(self):
        feed = trace_feed.Feed(self.sonde)
        now = time.time_ns()
        quiet = [feed.trace_id() for _ in range(3)]
        for number, trace in enumerate(quiet):
            feed.span("crowd", "quiet", trace, None, now - (209 - number) * 10**9, 1000)
        loud = trace_feed.large(feed, 25000, now - 110 * 10**9)
        body = json.loads(self.search("{ status != error && duration < 200s }").body)
        found = [trace["traceID"] for trace in body["traces"] if trace["traceID"] != TRACE]
        self.assertEqual(found, [loud, *reversed(quiet)])  # 25,000 spans are one candidate.

    def test_an_exception_is_found_by_its_type(self):
        feed = trace_feed.Feed(self.sonde, seed=7)
        trace, now = feed.trace_id(), time.time_ns() - 10**9
        feed.span("till", "pay", trace, None, now, 1000, events=[
            (now + 1, "asked", {}), (now + 2, "exception", {"exception.type": "CardDeclined"})])
        feed.send()
        for query in ('{ event.exception.type = "CardDeclined" }',
                      '{ event:name = "exception" && resource.service.name = "till" }',
                      '{ instrumentation:name = "shop" && event:name =~ "ask.*" }'):
            found = json.loads(self.search(query).body)["traces"]
            self.assertEqual([one["traceID"] for one in found], [trace], query)

    def test_what_is_not_there_is_not_found(self):
        answer = self.search('{ name = "refund" }')
        self.assertEqual(json.loads(answer.body)["traces"], [])

    def test_a_mistake_is_told_by_place_with_the_next_step(self):
        answer = self.search("{ name == 1 }")
        self.assertEqual(answer.status, 400)
        error = json.loads(answer.body)["error"]
        self.assertIn("1:8", error["message"])
        self.assertIn("single =", error["hint"])


if __name__ == "__main__":
    unittest.main()

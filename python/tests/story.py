# SPDX-License-Identifier: Apache-2.0
"""What stories of instrumented libraries share: a sink for spans, a server to call, and the patches
taken back at the end."""
import unittest

import sonde
from otlp_sink import Sink
from upstream import Upstream


class Story(unittest.TestCase):
    libraries = ()

    def setUp(self):
        self.sink = self.enter(Sink())
        self.upstream = self.enter(Upstream())
        self.profiler = sonde.PerformanceProfiler(service_name="story", endpoint=self.sink.url)
        sonde.instrument(*self.libraries, profiler=self.profiler)
        self.addCleanup(sonde.uninstrument)

    def enter(self, context):
        entered = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return entered

    def spans(self):
        return self.sink.spans(self.profiler)

    def by_name(self):
        return {span.name: span for span in self.spans()}

# SPDX-License-Identifier: Apache-2.0
"""Timers: as context manager and decorator, where exceptions, threads, tasks and forks meet."""
import asyncio
import inspect
import math
import os
import threading
import time
import unittest

from sonde import PerformanceProfiler


class Story(unittest.TestCase):
    def setUp(self):
        self.profiler = PerformanceProfiler(service_name="test")

    def stats(self, name):
        return self.profiler.get_operation_stats(name)


class ContextManager(Story):
    def test_a_block_is_timed(self):
        with self.profiler.timer("sleep") as timer:
            self.assertIsNone(timer.duration_ms)
            time.sleep(0.01)
        stats = self.stats("sleep")
        self.assertEqual((stats["count"], stats["successes"], stats["failures"]), (1, 1, 0))
        self.assertGreaterEqual(stats["p50_ms"], 10)
        self.assertAlmostEqual(timer.duration_ms, stats["max_ms"], places=6)

    def test_an_exception_marks_failure_and_passes_on_unchanged(self):
        thrown = KeyError("lost")
        with self.assertRaises(KeyError) as caught:
            with self.profiler.timer("work"):
                raise thrown
        self.assertIs(caught.exception, thrown)
        self.assertIsNone(thrown.__cause__)
        self.assertIsNone(thrown.__context__)
        self.assertEqual(self.stats("work")["failures"], 1)

    def test_mark_failure(self):
        for i in range(4):
            with self.profiler.timer("work") as timer:
                if i == 0:
                    timer.mark_failure()
        self.assertEqual(self.stats("work")["success_rate"], 0.75)

    def test_timers_nest(self):
        with self.profiler.timer("outer"):
            for _ in range(3):
                with self.profiler.timer("inner"):
                    time.sleep(0.002)
                with self.profiler.timer("outer"):
                    pass
        self.assertEqual(self.stats("inner")["count"], 3)
        self.assertEqual(self.stats("outer")["count"], 4)
        self.assertGreaterEqual(self.stats("outer")["max_ms"], 6)

    def test_start_and_stop_where_no_block_fits(self):
        timer = self.profiler.timer("early name")
        timer.start()
        timer.stop("late name", True)
        self.assertIsNone(self.stats("early name"))
        self.assertEqual(self.stats("late name")["failures"], 1)

    def test_what_never_ended_was_never_there(self):
        self.profiler.timer("forgotten").__enter__()
        self.assertIsNone(self.stats("forgotten"))

    def test_a_timer_left_in_the_midst_outlives_its_profiler(self):
        timer = PerformanceProfiler().timer("orphan")
        with timer:
            pass
        self.assertIsNotNone(timer.duration_ms)


class Arguments(Story):
    def test_wrong_ones_are_refused(self):
        for wrong in (lambda: self.profiler.timer(), lambda: self.profiler.timer(7),
                      lambda: self.profiler.timer("x", metadata=7),
                      lambda: self.profiler.timer("x", colour={}),
                      lambda: self.profiler.record("x", "y"),
                      lambda: self.profiler.timer("x")(1, 2)):
            self.assertRaises(TypeError, wrong)
        self.assertRaises(ValueError, PerformanceProfiler, level="loud")
        self.assertRaises(ValueError, self.profiler.record, "x", -1.0)

    def test_names_over_the_limit_are_cut_and_counted(self):
        with self.profiler.timer("n" * 1000):
            pass
        self.assertEqual(list(self.profiler.get_all_stats()["operations"]), ["n" * 128])
        self.assertGreaterEqual(self.profiler.dropped()["names_cut"], 1)

    def test_a_letter_is_not_cut_in_two(self):
        with self.profiler.timer("ü" * 1000):
            pass
        self.assertEqual(list(self.profiler.get_all_stats()["operations"]), ["ü" * 64])

    def test_names_without_end_share_one(self):
        for i in range(1100):
            self.profiler.record(f"operation {i}", 1.0)
        self.assertLessEqual(len(self.profiler.get_all_stats()["operations"]), 1024)
        self.assertEqual(self.profiler.get_all_stats()["overall"]["count"], 1100)
        self.assertGreater(self.profiler.dropped()["names_shared"], 0)

    def test_metadata_over_the_limit_is_cut_and_counted(self):
        profiler = PerformanceProfiler(level="detailed")
        with profiler.timer("work", metadata={"index": "docs", "blob": "b" * 1000, "n": 7}):
            pass
        self.assertRegex(profiler.slowest("work")[1], r"^index=docs blob=b{100,190}$")
        self.assertEqual(profiler.dropped()["names_cut"], 2)  # The blob, and what had no room.

    def test_the_slowest_keeps_its_metadata(self):
        profiler = PerformanceProfiler(level="detailed")
        for delay in (0, 0.02, 0):
            with profiler.timer("work", metadata={"delay": delay}):
                time.sleep(delay)
        duration_ms, metadata = profiler.slowest("work")
        self.assertGreaterEqual(duration_ms, 20)
        self.assertEqual(metadata, "delay=0.02")
        self.assertIsNone(profiler.slowest("nothing"))

    def test_disabled_records_nothing(self):
        self.profiler.level = "disabled"
        with self.profiler.timer("work") as timer:
            pass
        self.assertIsNone(self.stats("work"))
        self.assertEqual(timer.duration_ms, 0)
        self.profiler.level = "basic"
        with self.profiler.timer("work"):
            pass
        self.assertEqual(self.stats("work")["count"], 1)

    def test_llm_operations_and_transformations_have_names(self):
        with self.profiler.profile_llm_operation(provider="openai", model="gpt-4o"):
            pass
        with self.profiler.profile_transformation(technique="few_shot"):
            pass
        self.assertEqual(sorted(self.profiler.get_all_stats()["operations"]),
                         ["chat gpt-4o", "transformation few_shot"])

    def test_more_profilers_than_places_one_after_the_other(self):
        for _ in range(300):
            profiler = PerformanceProfiler()
            profiler.itself = profiler  # Only the collector can end this one.
            with profiler.timer("work"):
                pass

    def test_too_many_at_once_are_refused_in_plain_words(self):
        with self.assertRaisesRegex(OSError, "as many profilers as fit"):
            _ = [PerformanceProfiler() for _ in range(100)]


class Decorator(Story):
    def test_a_function_keeps_its_face(self):
        @self.profiler.timer("add", metadata={"a": 1})
        def add(left, right=2):
            """Adds."""
            return left + right

        self.assertEqual(add(1, right=4), 5)
        self.assertEqual((add.__name__, add.__doc__), ("add", "Adds."))
        self.assertEqual(str(inspect.signature(add)), "(left, right=2)")
        self.assertEqual(self.stats("add")["count"], 1)

    def test_recursion_and_failure(self):
        @self.profiler.timer("down")
        def down(n):
            return down(n - 1) if n else 1 // n

        self.assertRaises(ZeroDivisionError, down, 4)
        self.assertEqual(self.stats("down")["failures"], 5)

    def test_a_method(self):
        profiler = self.profiler

        class Shop:
            @profiler.timer("sell")
            def sell(self, what):
                return self, what

            @classmethod
            @profiler.timer("open")
            def open(cls):
                return cls

        shop = Shop()
        self.assertEqual(shop.sell("tea"), (shop, "tea"))
        self.assertIs(Shop.open(), Shop)
        self.assertEqual(self.profiler.get_all_stats()["overall"]["count"], 2)

    def test_a_coroutine(self):
        @self.profiler.timer("fetch")
        async def fetch(fails):
            await asyncio.sleep(0.01)
            if fails:
                raise OSError("gone")
            return 7

        self.assertTrue(inspect.iscoroutinefunction(fetch))
        self.assertEqual(asyncio.run(fetch(False)), 7)
        self.assertRaises(OSError, asyncio.run, fetch(True))
        stats = self.stats("fetch")
        self.assertEqual((stats["count"], stats["failures"]), (2, 1))
        self.assertGreaterEqual(stats["min_ms"], 10)

    def test_a_generator(self):
        @self.profiler.timer("walk")
        def walk():
            got = yield 1
            yield got
            return "end"

        generator = walk()
        self.assertEqual((next(generator), generator.send("hello")), (1, "hello"))
        self.assertIsNone(self.stats("walk"))
        with self.assertRaises(StopIteration) as stop:
            next(generator)
        self.assertEqual(stop.exception.value, "end")
        self.assertEqual(self.stats("walk")["successes"], 1)

    def test_a_generator_left_early_is_no_failure_and_is_closed(self):
        closed = []

        @self.profiler.timer("walk")
        def walk():
            try:
                yield from range(10)
            finally:
                closed.append(True)

        for item in walk():
            if item == 3:
                break
        self.assertEqual(closed, [True])
        self.assertEqual(self.stats("walk")["success_rate"], 1)

    def test_an_async_generator(self):
        @self.profiler.timer("stream")
        async def stream():
            try:
                got = yield 1
            except KeyError:
                got = "caught"
            yield got

        async def meet():
            self.assertEqual([item async for item in stream()], [1, None])
            talker = stream()
            self.assertEqual(await talker.__anext__(), 1)
            self.assertEqual(await talker.asend("hello"), "hello")
            await talker.aclose()
            thrower = stream()
            await thrower.__anext__()
            self.assertEqual(await thrower.athrow(KeyError()), "caught")
            await thrower.aclose()

        self.assertTrue(inspect.isasyncgenfunction(stream))
        asyncio.run(meet())
        self.assertEqual(self.stats("stream")["successes"], 3)

    def test_an_async_generator_left_early_is_closed(self):
        closed = []

        @self.profiler.timer("stream")
        async def stream():
            try:
                while True:
                    yield 1
            finally:
                await asyncio.sleep(0)
                closed.append(True)

        async def meet():
            generator = stream()
            await generator.__anext__()
            await generator.aclose()

        asyncio.run(meet())
        self.assertEqual(closed, [True])
        self.assertEqual(self.stats("stream")["failures"], 0)


class ManyAtOnce(Story):
    def test_threads(self):
        def work():
            for _ in range(2000):
                with self.profiler.timer("work"):
                    pass

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.stats("work")["count"], 16000)

    def test_tasks_do_not_mix(self):
        async def work(delay):
            with self.profiler.timer(f"wait {delay}"):
                await asyncio.sleep(delay)

        async def meet():
            await asyncio.gather(*(work(delay) for delay in (0.5, 0.01, 0.5, 0.01)))

        asyncio.run(meet())
        self.assertEqual(self.stats("wait 0.01")["count"], 2)
        self.assertLess(self.stats("wait 0.01")["min_ms"], self.stats("wait 0.5")["min_ms"])
        self.assertGreaterEqual(self.stats("wait 0.5")["min_ms"], 495)  # Within 1 %.

    def test_a_cancelled_task_failed(self):
        async def work():
            with self.profiler.timer("work"):
                await asyncio.sleep(60)

        async def meet():
            task = asyncio.create_task(work())
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(meet())
        self.assertEqual(self.stats("work")["failures"], 1)

    def test_a_timer_ends_on_another_thread(self):
        timer = self.profiler.timer("handed on")
        timer.start()
        thread = threading.Thread(target=timer.stop)
        thread.start()
        thread.join()
        self.assertEqual(self.stats("handed on")["count"], 1)

    def test_a_child_counts_for_itself(self):
        for _ in range(5):
            self.profiler.record("work", 1.0)
        reader, writer = os.pipe()
        timer = self.profiler.timer("across")
        timer.start()
        child = os.fork()
        if child == 0:
            try:
                before = self.stats("work")
                self.profiler.record("work", 2.0)
                timer.stop()
                after = self.stats("work")["count"]
                os.write(writer, f"{before} {after} {self.stats('across')['count']}".encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as answer:
            self.assertEqual(answer.read(), "None 1 1")
        os.waitpid(child, 0)
        timer.stop()
        self.assertEqual(self.stats("work")["count"], 5)
        self.assertEqual(self.stats("across")["count"], 1)

    def test_reset(self):
        self.profiler.record("work", 5.0, failed=True)
        self.profiler.count("items", 3)
        self.profiler.reset()
        self.assertIsNone(self.stats("work"))
        self.assertEqual(self.profiler.get_all_stats()["operations"], {})
        self.assertEqual(self.profiler.count("items"), 1)
        self.profiler.record("work", 7.0)
        self.assertEqual(self.stats("work")["count"], 1)
        self.assertEqual(self.stats("work")["max_ms"], 7)


class Quantiles(Story):
    def test_of_a_few_calls_too_as_many_as_it_says_are_not_slower(self):
        for milliseconds in range(1, 21):
            self.profiler.record("work", milliseconds)
        stats = self.stats("work")
        for key, exact in (("p50_ms", 10), ("p90_ms", 18), ("p95_ms", 19)):
            self.assertAlmostEqual(stats[key], exact, delta=0.01 * exact)
        self.assertEqual((stats["p99_ms"], stats["p999_ms"]), (20, 20))

    def test_within_one_percent_of_an_exact_sort(self):
        import random
        dice = random.Random(7)
        shapes = {
            "uniform": lambda: dice.uniform(1, 100),
            "exponential": lambda: dice.expovariate(0.1) + 0.01,
            "lognormal": lambda: dice.lognormvariate(2, 1),
            "bimodal": lambda: dice.gauss(5, 0.2) if dice.random() < 0.7 else dice.gauss(80, 3),
            "heavy tail": lambda: dice.paretovariate(1.2),
        }
        for name, draw in shapes.items():
            values = sorted(draw() for _ in range(20000))
            for value in values:
                self.profiler.record(name, value)
            stats = self.stats(name)
            for key, q in (("p50_ms", .5), ("p90_ms", .9), ("p95_ms", .95), ("p99_ms", .99),
                           ("p999_ms", .999)):
                exact = values[math.ceil(q * len(values)) - 1]
                self.assertLessEqual(abs(stats[key] - exact), 0.01 * exact + 1e-6, (name, key))


if __name__ == "__main__":
    unittest.main()

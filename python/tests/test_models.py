# SPDX-License-Identifier: Apache-2.0
"""The real openai and anthropic clients against a server that speaks their wire formats."""
import asyncio
import gc
import unittest

import sonde
from story import Story

try:
    import anthropic
    import openai
except ImportError as error:
    raise unittest.SkipTest(f"{error.name} is not here") from error

MESSAGES = [{"role": "user", "content": "Hi"}]
USAGE = {"gen_ai.usage.input_tokens": 11, "gen_ai.usage.output_tokens": 7,
         "gen_ai.usage.cache_read.input_tokens": 3}
# Anthropic's own input_tokens leave the cache out: 5 + 3 + 2.
MESSAGE_USAGE = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 7,
                 "gen_ai.usage.cache_read.input_tokens": 3,
                 "gen_ai.usage.cache_creation.input_tokens": 2}


class Models(Story):
    libraries = ("openai", "anthropic")

    def only(self):
        one, = self.spans()
        return one

    def has(self, span, attributes):
        self.assertLessEqual(attributes.items(), span.attributes.items())


class OpenAi(Models):
    def client(self, **options):
        return self.enter(openai.OpenAI(api_key="k", base_url=self.upstream.url + "/v1", **options))

    def asynchronous(self, work):
        async def main():
            base = self.upstream.url + "/v1"
            async with openai.AsyncOpenAI(api_key="k", base_url=base) as client:
                return await work(client)

        return asyncio.run(main())

    def test_a_whole_answer(self):
        with sonde.llm_session("talk"):
            answer = self.client().chat.completions.create(model="gpt-4o", messages=MESSAGES,
                                                           temperature=0.5, max_tokens=100)
        self.assertEqual(answer.choices[0].message.content, "Hello")
        span = self.only()
        self.assertEqual((span.name, span.kind, span.failed), ("chat gpt-4o", 3, False))
        self.has(span, USAGE)
        self.has(span, {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-real",
            "gen_ai.response.id": "chatcmpl-1", "gen_ai.response.finish_reasons": "stop",
            "gen_ai.conversation.id": "talk", "gen_ai.request.temperature": 0.5,
            "gen_ai.request.max_tokens": 100, "server.address": "127.0.0.1",
            "server.port": self.upstream.port, "sonde.llm.processing_s": 0.001})
        self.assertGreater(span.attributes["sonde.llm.network_s"], 0)
        self.assertNotIn("gen_ai.response.time_to_first_chunk", span.attributes)
        self.assertEqual(self.profiler.get_operation_stats("chat gpt-4o")["count"], 1)

    def test_a_stream(self):
        stream = self.client().chat.completions.create(
            model="gpt-slow", messages=MESSAGES, stream=True,
            stream_options={"include_usage": True})
        self.assertIsInstance(stream, openai.Stream)
        self.assertEqual(self.spans(), [])  # Not over before its last word.
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        self.assertEqual(text, "Hello")
        span = self.only()
        self.has(span, USAGE)
        self.has(span, {"gen_ai.request.stream": True, "gen_ai.response.id": "chatcmpl-2",
                        "gen_ai.response.finish_reasons": "stop"})
        first = span.attributes["gen_ai.response.time_to_first_chunk"]
        self.assertTrue(0.05 <= first <= span.duration_ms / 1e3, first)

    def test_what_a_stream_does_not_tell_is_not_known(self):
        list(self.client().chat.completions.create(model="m", messages=MESSAGES, stream=True))
        self.assertFalse(any("usage" in name for name in self.only().attributes))

    def test_a_stream_by_next_in_a_with_and_left_early(self):
        client = self.client()
        stream = client.chat.completions.create(model="a", messages=MESSAGES, stream=True)
        while next(stream, None) is not None:
            pass
        with client.chat.completions.create(model="b", messages=MESSAGES, stream=True) as stream:
            next(stream)
        stream = client.chat.completions.create(model="c", messages=MESSAGES, stream=True)
        for _ in stream:
            break
        stream.close()
        stream = client.chat.completions.create(model="d", messages=MESSAGES, stream=True)
        del stream
        gc.collect()
        self.assertEqual([(span.name, span.failed) for span in self.spans()],
                         [(f"chat {name}", False) for name in "abcd"])

    def test_a_stream_that_breaks_off_fails(self):
        stream = self.client().chat.completions.create(model="m-broken", messages=MESSAGES,
                                                       stream=True)
        with self.assertRaises(Exception):
            list(stream)
        span = self.only()
        self.assertTrue(span.failed)
        self.assertIn("error.type", span.attributes)

    def test_a_refusal_passes_on_unchanged(self):
        with self.assertRaises(openai.BadRequestError):
            self.client().chat.completions.create(model="m-refused", messages=MESSAGES)
        span = self.only()
        self.assertTrue(span.failed)
        self.has(span, {"error.type": "BadRequestError"})

    def test_retries_are_counted(self):
        self.client().chat.completions.create(model="m-busy", messages=MESSAGES)
        self.has(self.only(), {"sonde.llm.retries": 1})

    def test_nobody_there(self):
        client = self.enter(openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1",
                                          max_retries=0))
        with self.assertRaises(openai.APIConnectionError):
            client.chat.completions.create(model="m", messages=MESSAGES)
        self.has(self.only(), {"error.type": "APIConnectionError"})

    def test_responses_and_embeddings(self):
        client = self.client()
        self.assertEqual(client.responses.create(model="r", input="Hi").output_text, "Hello")
        events = list(client.responses.create(model="s", input="Hi", stream=True))
        self.assertEqual(events[-1].type, "response.completed")
        client.embeddings.create(model="e", input="Hi", encoding_format="float")
        found = self.by_name()
        self.has(found["chat r"], {**USAGE, "gen_ai.response.id": "resp-1"})
        self.has(found["chat s"], USAGE)
        self.assertIn("gen_ai.response.time_to_first_chunk", found["chat s"].attributes)
        self.has(found["embeddings e"], {"gen_ai.operation.name": "embeddings",
                                         "gen_ai.usage.input_tokens": 4})

    def test_raw_answers_and_helpers(self):
        client = self.client()
        raw = client.chat.completions.with_raw_response.create(model="raw", messages=MESSAGES)
        self.assertEqual(raw.parse().choices[0].message.content, "Hello")
        with client.chat.completions.stream(model="helper", messages=MESSAGES) as events:
            for _ in events:
                pass
            self.assertEqual(events.get_final_completion().choices[0].message.content, "Hello")
        found = self.by_name()
        self.has(found["chat raw"], USAGE)
        self.has(found["chat helper"], {"gen_ai.request.stream": True})

    def test_asynchronous(self):
        async def work(client):
            with self.profiler.span("parent"):
                whole, stream = await asyncio.gather(
                    client.chat.completions.create(model="whole", messages=MESSAGES),
                    client.chat.completions.create(model="stream", messages=MESSAGES, stream=True,
                                                   stream_options={"include_usage": True}))
                self.assertEqual(whole.choices[0].message.content, "Hello")
                async for _ in stream:
                    with self.profiler.span("consumer"):
                        pass
                broken = await client.chat.completions.create(model="m-broken", messages=MESSAGES,
                                                              stream=True)
                with self.assertRaises(Exception):
                    async for _ in broken:
                        pass
                with self.assertRaises(openai.BadRequestError):
                    await client.chat.completions.create(model="m-refused", messages=MESSAGES)

        self.asynchronous(work)
        found = self.by_name()
        for name in ("whole", "stream"):
            self.has(found[f"chat {name}"], USAGE)
            self.assertEqual(found[f"chat {name}"].parent_id, found["parent"].span_id)
        # Who reads the stream works for itself, not for the call.
        self.assertEqual(found["consumer"].parent_id, found["parent"].span_id)
        self.assertTrue(found["chat m-broken"].failed and found["chat m-refused"].failed)

    def test_cancelled(self):
        async def work(client):
            task = asyncio.ensure_future(
                client.chat.completions.create(model="m", messages=MESSAGES))
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        self.asynchronous(work)
        self.has(self.only(), {"error.type": "CancelledError"})

    def test_the_request_beneath_hangs_from_the_call(self):
        sonde.instrument("httpx", "httpx2", profiler=self.profiler)
        self.client().chat.completions.create(model="m", messages=MESSAGES)
        found = self.by_name()
        request = found[f"POST 127.0.0.1:{self.upstream.port}"]
        self.assertEqual(request.parent_id, found["chat m"].span_id)
        self.assertEqual(self.upstream.seen[-1]["traceparent"],
                         f"00-{request.trace_id}-{request.span_id}-01")
        self.has(found["chat m"], {"sonde.llm.processing_s": 0.001})

    def test_other_requests_are_no_calls(self):
        with self.assertRaises(Exception):
            self.client(max_retries=0).models.list().data[0]
        self.assertEqual(self.spans(), [])

    def test_clients_made_before_and_uninstrumented(self):
        sonde.uninstrument()
        base = openai.OpenAI.__mro__[1]
        plain = vars(base)["request"]
        client = self.client()
        client.chat.completions.create(model="before", messages=MESSAGES)
        for _ in range(2):
            sonde.instrument(*self.libraries, profiler=self.profiler)
        client.chat.completions.create(model="between", messages=MESSAGES)
        sonde.uninstrument()
        self.assertIs(vars(base)["request"], plain)
        client.chat.completions.create(model="after", messages=MESSAGES)
        self.assertEqual(self.only().name, "chat between")


class Anthropic(Models):
    def client(self, **options):
        return self.enter(anthropic.Anthropic(api_key="k", base_url=self.upstream.url, **options))

    def ask(self, client, model, **options):
        return client.messages.create(model=model, max_tokens=10, messages=MESSAGES, **options)

    def test_a_whole_answer(self):
        self.assertEqual(self.ask(self.client(), "claude").content[0].text, "Hello")
        span = self.only()
        self.assertEqual((span.name, span.failed), ("chat claude", False))
        self.has(span, MESSAGE_USAGE)
        self.has(span, {"gen_ai.provider.name": "anthropic", "gen_ai.response.id": "msg-1",
                        "gen_ai.response.model": "claude-real",
                        "gen_ai.response.finish_reasons": "end_turn",
                        "gen_ai.request.max_tokens": 10})

    def test_streams(self):
        client = self.client()
        stream = self.ask(client, "plain", stream=True)
        self.assertIsInstance(stream, anthropic.Stream)
        self.assertEqual(len(list(stream)), 7)
        with client.messages.stream(model="helper", max_tokens=10, messages=MESSAGES) as events:
            self.assertEqual("".join(events.text_stream), "Hello")
            self.assertEqual(events.get_final_message().usage.output_tokens, 7)
        found = self.by_name()
        for name in ("plain", "helper"):
            span = found[f"chat {name}"]
            self.has(span, {**MESSAGE_USAGE, "gen_ai.request.stream": True,
                            "gen_ai.response.finish_reasons": "end_turn"})
            self.assertIn("gen_ai.response.time_to_first_chunk", span.attributes)

    def test_an_error_within_a_stream(self):
        with self.assertRaises(anthropic.APIStatusError):
            list(self.ask(self.client(), "m-broken", stream=True))
        self.assertTrue(self.only().failed)

    def test_a_refusal_and_retries(self):
        client = self.client()
        with self.assertRaises(anthropic.BadRequestError):
            self.ask(client, "m-refused")
        self.ask(client, "m-busy")
        found = self.by_name()
        self.has(found["chat m-refused"], {"error.type": "BadRequestError"})
        self.has(found["chat m-busy"], {"sonde.llm.retries": 1})

    def test_asynchronous(self):
        async def main():
            async with anthropic.AsyncAnthropic(api_key="k", base_url=self.upstream.url) as client:
                await self.ask(client, "whole")
                async for _ in await self.ask(client, "stream", stream=True):
                    pass
                async with client.messages.stream(model="helper", max_tokens=10,
                                                  messages=MESSAGES) as events:
                    self.assertEqual(await events.get_final_text(), "Hello")

        asyncio.run(main())
        found = self.by_name()
        for name in ("whole", "stream", "helper"):
            self.has(found[f"chat {name}"], MESSAGE_USAGE)


if __name__ == "__main__":
    unittest.main()

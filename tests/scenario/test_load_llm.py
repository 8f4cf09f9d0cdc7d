# SPDX-License-Identifier: Apache-2.0
"""sonde load llm against an upstream that knows when it let each token go; the real SDKs of OpenAI
and Anthropic read the same upstream, so that it speaks as they expect."""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import unittest

from llm_upstream import Upstream
from load_peers import PYTHON, need_peers
from sonde import BINARY, PATIENCE, need_binary

OPENAI = """
import openai, sys
stream = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="k").chat.completions.create(
    model="m", max_tokens=5, stream=True, stream_options={"include_usage": True},
    messages=[{"role": "user", "content": "one two three"}])
text, usage = "", None
for chunk in stream:
    text += "".join(choice.delta.content or "" for choice in chunk.choices)
    usage = chunk.usage or usage
print(text.split(), usage.prompt_tokens, usage.completion_tokens)
"""

ANTHROPIC = """
import anthropic, sys
with anthropic.Anthropic(base_url=sys.argv[1], api_key="k").messages.stream(
        model="m", max_tokens=5, messages=[{"role": "user", "content": "one two three"}]) as stream:
    text = "".join(stream.text_stream)
    usage = stream.get_final_message().usage
print(text.split(), usage.input_tokens, usage.output_tokens)
"""


def load(*arguments, code=0):
    done = subprocess.run([BINARY, "load", "llm", "--json", "--quiet", "--model", "m", *arguments],
                          capture_output=True, text=True, timeout=PATIENCE * 3, check=False)
    if done.returncode != code:
        raise AssertionError(f"exit code {done.returncode}: {done.stderr}{done.stdout[:1000]}")
    return json.loads(done.stdout)


def milliseconds(values):
    return statistics.median(values) * 1000


class Models(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need_binary()

    def test_times_are_those_of_the_upstream(self):
        for path in ("/v1/chat/completions", "/v1/messages", "/api/chat"):
            with self.subTest(path), Upstream(first=0.05, gap=0.01) as upstream:
                said = load("--connections", "3", "--requests", "12", "--duration", "20s",
                            "--output-tokens", "20", upstream.url(path))
                llm, log = said["llm"], upstream.log
                self.assertEqual((said["requests"], said["errors"]), (12, 0))
                self.assertEqual((llm["streams"], llm["tokens_out"]), (12, 240))
                self.assertEqual((llm["token_chunks"], llm["tokens_counted_by"]), (240, "server"))
                # The truth begins when the upstream has read the request, a little after sending.
                first = milliseconds(entry["tokens"][0] - entry["at"] for entry in log)
                whole = milliseconds(entry["tokens"][-1] - entry["at"] for entry in log)
                gaps = milliseconds(b - a for entry in log
                                    for a, b in zip(entry["tokens"], entry["tokens"][1:]))
                self.assertLess(abs(llm["ttft_ms"]["p50"] - first), 5)
                self.assertLess(abs(llm["e2e_ms"]["p50"] - whole), 8)
                self.assertLess(abs(llm["itl_ms"]["p50"] - gaps), 1)
                self.assertLess(abs(llm["tpot_ms"]["p50"] - (whole - first) / 19), 1)

    def test_goodput_counts_who_keeps_every_promise(self):
        with Upstream(first=0.05, gap=0.01) as upstream:
            said = load("--connections", "2", "--requests", "6", "--duration", "20s",
                        "--output-tokens", "5", "--slo", "ttft<2s,tpot<1s,e2e<5s", "--price",
                        "10,20,5", "--input-tokens", "100", "--require",
                        "goodput > 1,ttft_p50 > 40ms,itl_p50 < 1s,tokens_per_second > 1,cost < 1,"
                        "good_share >= 100%", upstream.url())
            self.assertEqual((said["llm"]["good"], said["verdict"]), (6, "passed"))
            # 6 × (50 fresh × 10 + 50 cached × 5 + 5 × 20) dollars a million.
            self.assertAlmostEqual(said["llm"]["cost_usd"], 6 * (500 + 250 + 100) / 1e6)
            said = load("--connections", "2", "--requests", "6", "--duration", "20s",
                        "--output-tokens", "5", "--slo", "ttft<10ms", upstream.url())
            self.assertEqual((said["llm"]["good"], said["llm"]["streams"]), (0, 6))

    def test_streams_that_go_wrong_are_named(self):
        with Upstream(first=0.01, gap=0.001) as upstream:
            for model, kind in (("cut", "cut_stream"), ("silent", "no_token"),
                                ("broken", "stream_error")):
                said = load("--model", model, "--connections", "1", "--requests", "3",
                            "--output-tokens", "5", upstream.url())
                self.assertEqual(said["errors_by_kind"], {kind: 3})
                self.assertEqual(said["llm"]["streams"], 0)
            for model, told in (("thinking", "server"), ("untold", "chunks")):
                said = load("--model", model, "--connections", "1", "--requests", "3",
                            "--output-tokens", "6", upstream.url())
                self.assertEqual((said["errors"], said["llm"]["tokens_out"]), (0, 18))
                self.assertEqual(said["llm"]["tokens_counted_by"], told)

    def test_lengths_prefixes_and_extra_fields(self):
        with Upstream(first=0.001, gap=0.0001) as upstream:
            load("--connections", "2", "--requests", "60", "--input-tokens", "uniform(20, 40)",
                 "--output-tokens", "normal(8, 2)", "--prefix-tokens", "15", "--prefixes", "2",
                 "--extra", '{"temperature": 0, "ignore_eos": true}', upstream.url())
            prompts = [entry["body"]["messages"][0]["content"].split() for entry in upstream.log]
            lengths = [len(prompt) for prompt in prompts]
            self.assertTrue(all(20 <= length <= 40 for length in lengths))
            self.assertGreater(len(set(lengths)), 8)
            self.assertEqual(len({tuple(prompt[:15]) for prompt in prompts}), 2)
            self.assertGreater(len({tuple(prompt[15:]) for prompt in prompts}), 50)
            wanted = [entry["body"]["max_tokens"] for entry in upstream.log]
            self.assertTrue(6 < statistics.mean(wanted) < 10)
            self.assertIs(upstream.log[0]["body"]["ignore_eos"], True)

    def test_conversations_and_prompts_from_files(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sonde-llm-"))
        self.addCleanup(shutil.rmtree, folder)
        talk = [{"role": "system", "content": "be \"kind\""}, {"role": "user", "content": "hi"},
                {"role": "assistant", "content": "hello there"},
                {"role": "user", "content": [{"type": "text", "text": "more"}]}]
        (folder / "talks.jsonl").write_text(json.dumps({"messages": talk}) + "\n", "utf-8")
        (folder / "rows.csv").write_text("prompt,output_tokens\n\"say \"\"a\"\"\",3\nb,4\n", "utf-8")
        with Upstream(first=0.001, gap=0.0001) as upstream:
            said = load("--connections", "1", "--requests", "2", "--duration", "20s",
                        "--conversations", str(folder / "talks.jsonl"), upstream.url())
            bodies = [entry["body"]["messages"] for entry in upstream.log]
            self.assertEqual(said["requests"], 4)
            self.assertEqual(bodies[:2], [talk[:2], talk])
            upstream.log.clear()
            load("--connections", "1", "--requests", "2", "--duration", "20s", "--conversations",
                 str(folder / "talks.jsonl"), upstream.url("/v1/messages"))
            self.assertEqual(upstream.log[1]["body"]["system"], "be \"kind\"")
            self.assertEqual(upstream.log[1]["body"]["messages"], talk[1:])
            upstream.log.clear()
            load("--connections", "1", "--requests", "2", "--prompts", str(folder / "rows.csv"),
                 upstream.url())
            self.assertEqual([(entry["body"]["messages"][0]["content"], entry["body"]["max_tokens"])
                              for entry in upstream.log], [('say "a"', 3), ("b", 4)])

    def test_a_sweep_tells_each_level(self):
        with Upstream(first=0.01, gap=0.001) as upstream:
            said = load("--sweep-rate", "5,20", "--duration", "1s", "--output-tokens", "3",
                        "--arrivals", "poisson", upstream.url())
            self.assertEqual([level["level"] for level in said["levels"]], [5, 20])
            self.assertLess(said["levels"][0]["run"]["requests"],
                            said["levels"][1]["run"]["requests"])
            self.assertGreater(said["levels"][1]["run"]["llm"]["ttft_ms"]["p50"], 5)

    def test_the_key_comes_from_the_environment(self):
        with Upstream(first=0.001, gap=0.0001) as upstream:
            os.environ["SONDE_TEST_KEY"] = "secret"
            for path, name, value in (("/v1/chat/completions", "Authorization", "Bearer secret"),
                                      ("/v1/messages", "x-api-key", "secret")):
                upstream.log.clear()
                load("--connections", "1", "--requests", "1", "--key-from", "SONDE_TEST_KEY",
                     upstream.url(path))
                self.assertEqual(upstream.log[0]["headers"][name], value)

    def test_mistakes_are_found_before_the_first_request(self):
        with Upstream() as upstream:
            for arguments, words in ((["--input-tokens", "some"], "length"),
                                     (["--slo", "ttft<soon"], "--slo"),
                                     (["--price", "3"], "--price"),
                                     (["--extra", "[1]"], "map"),
                                     (["--key-from", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE"),
                                     (["--prompts", "/no/such.csv"], "/no/such.csv"),
                                     (["--sweep-rate", "1,x"], "level")):
                done = subprocess.run([BINARY, "load", "llm", "--model", "m", *arguments,
                                       upstream.url()], capture_output=True, text=True,
                                      timeout=PATIENCE, check=False)
                self.assertIn(done.returncode, (2, 3, 4), done.stderr)
                self.assertIn(words, done.stderr)
            self.assertEqual(upstream.log, [])

    def test_a_model_within_a_scenario(self):
        with Upstream(first=0.01, gap=0.001) as upstream, tempfile.NamedTemporaryFile(
                "w", suffix=".yaml") as file:
            file.write(f"""
base: {upstream.url()}
load: {{users: 1, requests: 3, duration: 20s}}
slo: {{ttft: 2s}}
price: {{input: 1, output: 2}}
criteria: [ask.ttft_p95 < 5s]
steps:
  - name: ask
    llm: /v1/chat/completions
    model: m
    input_tokens: 30
    output_tokens: 4
    extra: '{{"temperature": 0}}'
""")
            file.flush()
            done = subprocess.run([BINARY, "load", "run", file.name, "--json", "--quiet"],
                                  capture_output=True, text=True, timeout=PATIENCE, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            said = json.loads(done.stdout)
            self.assertEqual((said["llm"]["good"], said["llm"]["tokens_out"]), (3, 12))
            self.assertGreater(said["llm"]["cost_usd"], 0)


class Upstreams(unittest.TestCase):
    def test_the_real_clients_read_the_upstream(self):
        need_peers()
        with Upstream(first=0.01, gap=0.001) as upstream:
            for program in (OPENAI, ANTHROPIC):
                done = subprocess.run([PYTHON, "-c", program, upstream.url()], capture_output=True,
                                      text=True, timeout=PATIENCE, check=False)
                self.assertEqual(done.stdout.strip(), "['t0', 't1', 't2', 't3', 't4'] 3 5",
                                 done.stderr)


if __name__ == "__main__":
    unittest.main()

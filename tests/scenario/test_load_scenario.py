# SPDX-License-Identifier: Apache-2.0
"""sonde load run FILE: users that log in, look around, upload, poll, against a small shop that
refuses whatever is not as it should be."""

import base64
import collections
import http.server
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest
import urllib.parse
import xml.etree.ElementTree

from sonde import BINARY, PATIENCE, need_binary


class Shop(http.server.BaseHTTPRequestHandler):
    """Knows its users, wants a token and a cookie, and counts what it was asked."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", content="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", content)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            for each in value if isinstance(value, list) else [value]:
                self.send_header(name.replace("_", "-"), each)
        self.end_headers()
        self.wfile.write(data)

    def serve(self):
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        url = urllib.parse.urlsplit(self.path)
        with self.server.lock:
            self.server.asked[f"{self.command} {url.path}"] += 1
            self.server.last[url.path] = (dict(self.headers), body, url.query)
        act = getattr(self, "at_" + re.sub(r"\W|\d", "", url.path.split("/")[1] or "home"), None)
        if act is None:
            self.answer(404)
        else:
            act(url, body)

    do_GET = do_POST = do_PUT = do_DELETE = serve  # pylint: disable=invalid-name

    def at_home(self, _url, _body):
        self.answer(200, b'<form><input name="csrf" value="c-42&"></form>', "text/html",
                    Set_Cookie=["sid=s1; Path=/; HttpOnly", "gone=1; Max-Age=0", "deep=1; Path=/x"])

    def at_login(self, _url, body):
        asked = json.loads(body)
        if self.headers.get("Cookie") != "sid=s1" or asked.get("csrf") != "c-42&":
            self.answer(400, {"error": "cookie or csrf", "cookie": self.headers.get("Cookie")})
        elif self.server.users.get(asked["user"]) != asked["password"]:
            self.answer(403, {"error": "password"})
        else:
            self.answer(200, {"token": f"tok \"{asked['user']}\"", "items": [{"id": 7}, {"id": 8}],
                              "n": asked["n"]}, X_Trace="abc")

    def at_items(self, url, _body):
        good = self.headers.get("Authorization", "").startswith('Bearer tok "')
        query = urllib.parse.parse_qs(url.query)
        if not good or query.get("q") != ["a b&c"] or not url.path.endswith("/8"):
            self.answer(401, {"path": self.path})
        else:
            self.answer(200, {"ok": True, "trace": self.headers.get("X-Trace")})

    def at_job(self, _url, _body):
        with self.server.lock:
            count = self.server.asked["GET /job"]
        self.answer(200, {"state": "done" if count % 3 == 0 else "running"})

    def at_basic(self, _url, _body):
        want = "Basic " + base64.b64encode(b"ann:p:1").decode()
        self.answer(200 if self.headers.get("Authorization") == want else 401)

    def at_upload(self, _url, _body):
        self.answer(201)

    def at_broken(self, _url, _body):
        self.answer(500)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


class Scenarios(unittest.TestCase):
    def setUp(self):
        need_binary()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sonde-scenario-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.server = Server(("127.0.0.1", 0), Shop)
        self.server.lock = threading.Lock()
        self.server.asked, self.server.last = collections.Counter(), {}
        self.server.users = {f"u,{i}": f'p"{i}' for i in range(5)}
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def run_file(self, text, *arguments):
        path = self.write("scenario.yaml", f"base: {self.base}\n" + text)
        return subprocess.run([BINARY, "load", "run", str(path), *arguments], capture_output=True,
                              text=True, timeout=PATIENCE * 3, check=False)

    def load(self, text, *arguments, code=0):
        done = self.run_file(text, "--json", "--quiet", *arguments)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout[:2000])
        return json.loads(done.stdout)

    def test_users_log_in_and_look_around(self):
        self.write("users.csv", "name,password\n" + "".join(
            f'"{name}","{password.replace(chr(34), chr(34) * 2)}"\n'
            for name, password in self.server.users.items()))
        said = self.load("""
load: {users: 3, requests: 12, duration: 20s}
variables: {word: a b&c}
data:
  users: {file: users.csv}
criteria: [error_rate <= 0%]
steps:
  - name: home
    get: /
    extract:
      csrf: {regex: 'name="csrf" value="([^"]*)"'}
    check: {contains: csrf, header: {Content-Type: html}}
  - name: login
    post: /login
    json:
      user: ${users.name}
      password: "${users.password}"
      csrf: ${csrf}
      n: ${random(5, 5)}
    extract:
      token: {json: /token}
      id: {json: /items/1/id}
      trace: {header: x-trace}
    check: {json: {/n: 5, /token: null}, status: 200}
    criteria: [p99 < 20s]
  - name: item
    get: /items/${id}
    query: {q: "${word}"}
    auth: {bearer: "${token}"}
    headers: {X-Trace: "${trace}"}
    check: {json: {/ok: true, /trace: abc}, within: 20s, matches: '"ok": *true'}
""")
        self.assertEqual((said["requests"], said["errors"]), (36, 0))
        steps = {step["name"]: step for step in said["steps"]}
        self.assertEqual([steps[name]["requests"] for name in ("home", "login", "item")],
                         [12, 12, 12])
        self.assertGreater(steps["login"]["latency_ms"]["p50"], 0)
        self.assertEqual([item["holds"] for item in said["criteria"]], [True, True])

    def test_loops_end_when_their_condition_holds(self):
        said = self.load("""
load: {users: 1, requests: 4, duration: 20s}
steps:
  - repeat: 10
    until: ${state} == done
    steps:
      - get: /job
        extract: {state: {json: /state}}
      - pause: 1ms
  - get: /upload
    name: after
    if: ${state} != done
  - repeat: 2
    steps: [{put: /upload, name: twice}]
""")
        self.assertEqual(self.server.asked["GET /job"], 12)
        self.assertEqual(self.server.asked["GET /upload"], 0)
        self.assertEqual(self.server.asked["PUT /upload"], 8)
        self.assertEqual(said["errors"], 0)

    def test_a_failed_step_ends_the_iteration(self):
        said = self.load("""
load: {users: 1, requests: 5, duration: 20s}
steps:
  - {name: first, get: /job, check: {json: {/state: never}}}
  - {name: second, get: /job}
""")
        self.assertEqual(said["errors_by_kind"], {"check": 5})
        self.assertEqual(self.server.asked["GET /job"], 5)

    def test_what_is_not_there_cannot_be_taken(self):
        said = self.load("""
load: {users: 1, requests: 3, duration: 20s}
steps:
  - {name: a, get: /job, extract: {x: {json: /nothing, default: none}}}
  - {name: b, get: "/job?x=${x}", extract: {y: {header: X-Nothing}}}
""")
        self.assertEqual(said["errors_by_kind"], {"extract": 3})
        self.assertEqual(self.server.last["/job"][2], "x=none")

    def test_uploads(self):
        content = bytes(range(256)) * 40 + b"${no} hole"
        (self.folder / "picture.bin").write_bytes(content)
        said = self.load("""
load: {users: 1, requests: 1, duration: 20s}
steps:
  - {name: raw, put: /upload/raw, file: picture.bin}
  - name: parts
    post: /upload/parts
    multipart:
      - {name: title, value: "a ${random(3, 3)}"}
      - {name: file, file: picture.bin, filename: p.bin, type: image/x}
  - {name: form, post: /upload/form, form: {a b: "c&${random(1, 1)}", d: é}}
  - {name: basic, get: /basic, auth: {basic: {user: ann, password: "p:1"}}}
""")
        self.assertEqual(said["errors"], 0)
        last = self.server.last
        self.assertEqual(last["/upload/raw"][1], content)
        headers, body, _ = last["/upload/parts"]
        boundary = headers["Content-Type"].split("boundary=")[1].encode()
        parts = body.split(b"--" + boundary)
        self.assertIn(b'name="title"\r\n\r\na 3\r\n', parts[1])
        self.assertIn(b'filename="p.bin"\r\nContent-Type: image/x\r\n\r\n' + content, parts[2])
        self.assertEqual(parts[3], b"--\r\n")
        self.assertEqual(urllib.parse.parse_qs(last["/upload/form"][1].decode()),
                         {"a b": ["c&1"], "d": ["é"]})

    def test_several_scenarios_share_the_load_by_weight(self):
        said = self.load("""
load: {users: 4, requests: 400, duration: 30s}
scenarios:
  - name: often
    weight: 9
    steps: [{name: look, get: /job}]
  - name: seldom
    steps: [{name: look, get: /upload}]
""")
        counts = {step["name"]: step["requests"] for step in said["steps"]}
        self.assertEqual(sum(counts.values()), 400)
        self.assertGreater(counts["often.look"], 300)
        self.assertGreater(counts["seldom.look"], 10)

    def test_a_status_that_is_expected_is_no_failure(self):
        said = self.load("""
load: {users: 1, requests: 4, duration: 20s}
steps: [{get: /broken, check: {status: [2xx, 500-503]}}]
""")
        self.assertEqual(said["errors"], 0)

    def test_the_command_line_goes_before_the_file(self):
        said = self.load("load: {users: 2, duration: 1h}\nsteps: [{get: /job}]\n", "--requests",
                         "5", "--rate", "100")
        self.assertEqual((said["model"], said["requests"]), ("open", 5))

    def test_json_lines_and_random_order(self):
        self.write("rows.jsonl", '{"id": 1, "tag": "x\\"y"}\n{"id": 2}\n')
        self.load("""
load: {users: 1, requests: 6, duration: 20s}
data: {row: {file: rows.jsonl, order: random}}
steps: [{post: /upload, json: {id: "${row.id}", tag: "${row.tag}"}}]
""")
        sent = json.loads(self.server.last["/upload"][1])
        self.assertIn(sent, [{"id": "1", "tag": 'x"y'}, {"id": "2", "tag": ""}])

    def test_mistakes_are_found_before_the_first_request(self):
        self.write("rows.csv", "a,b\n1\n")
        for text, *wanted in (
                ("steps:\n  - get: /x\n    chek: 1\n", ":4:", "check"),
                ("steps:\n  - get: /${nme}\nvariables: {name: x}\n", ":3:", "name"),
                ("steps:\n  - post: /\n    json: {a: 1}\n    body: x\n", ":", "json"),
                ("steps:\n  - get: /\n    extract: {a: {regex: '('}}\n", ":4:", "regular"),
                ("steps:\n  - get: /\n    extract: {a: {json: x}}\n", ":4:", "pointer"),
                ("steps:\n  - repeat: 0\n    steps: [{get: /}]\n", ":3:", "repeat"),
                ("steps:\n  - name: x\n", ":3:", "asks for nothing"),
                ("data: {d: {file: rows.csv}}\nsteps: [{get: /}]\n", "rows.csv:2", "cells"),
                ("data: {d: {file: none.csv}}\nsteps: [{get: /}]\n", ":2:", "none.csv"),
                ("load: {users: many}\nsteps: [{get: /}]\n", ":2:", "many"),
                ("criteria: [p95 < soon]\nsteps: [{get: /}]\n", "soon"),
                ("criteria: [nope.p95 < 1s]\nsteps: [{get: /}]\n", "nope"),
                ("steps:\n  - {get: /, if: 'always'}\n", ":3:", "compares"),
                ("steps:\n  - {get: /, check: {status: 99}}\n", ":3:", "99"),
                ("load: {users: 1", ":3:1")):
            done = self.run_file(text)
            self.assertIn(done.returncode, (2, 4), text + done.stderr)
            for words in wanted:
                self.assertIn(words, done.stderr, text)
        self.assertEqual(sum(self.server.asked.values()), 0)

    def test_steps_are_told_in_every_report(self):
        files = {ending: str(self.folder / f"run.{ending}")
                 for ending in ("html", "md", "json", "csv", "xml")}
        self.load("load: {users: 2, duration: 300ms}\nsteps: [{name: one, get: /job},"
                  " {name: two, put: /upload, criteria: [p99 < 20s]}]\n",
                  "--report", ",".join(files.values()))
        for ending in ("html", "md", "json"):
            self.assertIn("two", pathlib.Path(files[ending]).read_text(encoding="utf-8"))
        suite = xml.etree.ElementTree.parse(files["xml"]).getroot()
        self.assertIn("two.p99 < 20s", [case.get("name") for case in suite])


class Imports(unittest.TestCase):
    """What is written must be understood again, and ask for what the source asked for."""

    def setUp(self):
        Scenarios.setUp(self)

    write = Scenarios.write

    def import_and_run(self, form, *source):
        done = subprocess.run([BINARY, "load", "import", form, *source], capture_output=True,
                              text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        path = self.write("imported.yaml", done.stdout)
        run = subprocess.run([BINARY, "load", "run", str(path), "--json", "--quiet", "--connections",
                              "1", "--requests", "1"], capture_output=True, text=True,
                             timeout=PATIENCE, check=False)
        self.assertEqual(run.stderr, "", done.stdout)
        return json.loads(run.stdout), done.stdout

    def test_a_curl_command(self):
        said, _ = self.import_and_run(
            "curl", f"""curl '{self.base}/upload/c?x=1' -sS --compressed \\
  -H 'Content-Type: application/json' -H "X-A: \\"q\\" $HOME" -b 'k=v' \\
  -u ann:p --data-raw $'{{"a": "it\\'s ${{x}}"}}' -X PUT""")
        self.assertEqual(said["errors"], 0)
        headers, body, query = self.server.last["/upload/c"]
        self.assertEqual(body, b'{"a": "it\'s ${x}"}')
        self.assertEqual((query, headers["X-A"], headers["Cookie"]), ("x=1", '"q" $HOME', "k=v"))
        self.assertEqual(headers["Authorization"], "Basic " + base64.b64encode(b"ann:p").decode())
        self.assertEqual(self.server.asked["PUT /upload/c"], 1)

    def test_curl_words_behind_dashes(self):
        said, _ = self.import_and_run("curl", "--", "curl", "-G", "-d", "a=1", "--data-urlencode",
                                      "b=x y", f"{self.base}/upload")
        self.assertEqual(said["errors"], 0)
        self.assertEqual(self.server.last["/upload"][2], "a=1&b=x%20y")

    def test_curl_options_that_are_not_understood_are_named(self):
        done = subprocess.run([BINARY, "load", "import", "curl", "curl --proxy-ntlm http://x/"],
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("--proxy-ntlm", done.stderr)

    def test_a_recording(self):
        def entry(at, method, url, status, **more):
            return {"startedDateTime": f"2026-01-01T00:00:0{at}.000Z",
                    "request": {"method": method, "url": url, "headers": [
                        {"name": ":authority", "value": "x"}, {"name": "Host", "value": "x"},
                        {"name": "X-App", "value": "1"}], **more},
                    "response": {"status": status}}
        har = self.write("site.har", json.dumps({"log": {"entries": [
            entry(0, "GET", f"{self.base}/job#top", 200),
            entry(0, "GET", "https://ads.example/track", 200),
            entry(1, "POST", f"{self.base}/upload/h", 201,
                  postData={"mimeType": "text/plain", "text": "a: [${b}]\n"})]}}))
        said, text = self.import_and_run("har", str(har))
        self.assertEqual((said["requests"], said["errors"]), (2, 0))
        self.assertIn("pause: 1000ms", text)
        self.assertIn("1 request to other hosts was", text)
        self.assertEqual(self.server.last["/upload/h"][1], b"a: [${b}]\n")
        self.assertEqual(self.server.last["/upload/h"][0]["X-App"], "1")

    def test_a_description_of_an_api(self):
        described = {
            "openapi": "3.1.0", "servers": [{"url": self.base}],
            "components": {"schemas": {"Item": {"type": "object", "properties": {
                "name": {"type": "string", "example": "chair"}, "count": {"type": "integer"},
                "self": {"$ref": "#/components/schemas/Item"},
                "id": {"type": "integer", "readOnly": True}}}}},
            "paths": {
                "/job": {"get": {"operationId": "getJob", "responses": {"200": {}}},
                         "delete": {"responses": {}}},
                "/upload/{item-id}": {
                    "parameters": [{"name": "item-id", "in": "path", "required": True,
                                    "schema": {"type": "string", "format": "uuid"}}],
                    "put": {"parameters": [{"name": "dry", "in": "query", "required": True,
                                            "schema": {"type": "boolean"}}],
                            "requestBody": {"content": {"application/json": {"schema": {
                                "$ref": "#/components/schemas/Item"}}}},
                            "responses": {"201": {}}}}}}
        for name in ("api.json", "api.yaml"):  # What is JSON is YAML too.
            self.server.last.clear()
            path = self.write(name, json.dumps(described))
            said, text = self.import_and_run("openapi", str(path))
            self.assertEqual((said["requests"], said["errors"]), (2, 0),
                             f"{said['errors_by_kind']} {said['status']}\n{text}")
            self.assertIn("1 deletion was left out", text)
            (path, (headers, body, query)), = [item for item in self.server.last.items()
                                               if item[0].startswith("/upload")]
            self.assertEqual(path, "/upload/00000000-0000-4000-8000-000000000001")
            self.assertEqual(query, "dry=true")
            self.assertEqual(headers["Content-Type"], "application/json")
            sent = json.loads(body)
            self.assertEqual((sent["name"], sent["count"]), ("chair", 1))
            self.assertNotIn("id", sent)


if __name__ == "__main__":
    unittest.main()

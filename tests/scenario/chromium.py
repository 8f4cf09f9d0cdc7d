# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, driven over its DevTools pipe with nothing but the standard library.

`--remote-debugging-pipe` makes Chromium read commands from file descriptor 3 and write answers
to 4; each is a JSON object ended by a NUL byte. A command carries an id and gets an answer with
that id; everything else that arrives is an event. One reader thread sorts them.

    with Browser() as browser:
        page = browser.open("http://127.0.0.1:7070/")
        page.wait_for("document.querySelector('canvas')")
        page.evaluate("document.title")
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

ANSWER_SECONDS = 20

# Every limit of a wait is stretched by this: the suite runs under sanitizers, beside other tests.
# SONDE_STRETCH=1 holds a release build to what the tests say.
STRETCH = float(os.environ.get("SONDE_STRETCH", "3"))
NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium():
    """The path of a Chromium, or None."""
    for name in (os.environ.get("CHROMIUM"), *NAMES):
        path = name and shutil.which(name)
        if path:
            return path
    return None


class BrowserError(Exception):
    """The browser refused a command, ended, or did not answer in time."""


class Browser:
    """One Chromium process with a profile of its own, both gone on exit."""

    def __init__(self, extra_flags=()):
        self._profile = tempfile.mkdtemp(prefix="sonde-chromium-")
        self._lock = threading.Condition()
        self._next_id = 0
        self._answers = {}
        self._events = []
        self._ended = False
        self._start(extra_flags)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def _start(self, extra_flags):
        path = find_chromium()
        if path is None:
            raise BrowserError("no Chromium found; apt install chromium, or set CHROMIUM")
        command_read, self._command_write = os.pipe()
        self._answer_read, answer_write = os.pipe()
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            f"--user-data-dir={self._profile}",
            "--remote-debugging-pipe",
            *extra_flags,
            "about:blank",
        ]
        # The shell gives the two pipe ends the numbers 3 and 4 whatever they are here.
        plumbing = f'exec "$0" "$@" 3<&{command_read} 4>&{answer_write}'
        with open(os.path.join(self._profile, "stderr"), "wb") as stderr:
            self._process = subprocess.Popen(
                ["/bin/bash", "-c", plumbing, path, *flags],
                pass_fds=(command_read, answer_write),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
        os.close(command_read)
        os.close(answer_write)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self):
        if self._process.poll() is None:
            try:
                self.send("Browser.close")
            except (BrowserError, OSError):
                self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._command_write)
        self._reader.join(5)
        os.close(self._answer_read)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _read(self):
        rest = b""
        while True:
            try:
                chunk = os.read(self._answer_read, 1 << 16)
            except OSError:
                chunk = b""
            if not chunk:
                break
            *messages, rest = (rest + chunk).split(b"\0")
            with self._lock:
                for text in messages:
                    message = json.loads(text)
                    if "id" in message:
                        self._answers[message["id"]] = message
                    else:
                        self._events.append(message)
                self._lock.notify_all()
        with self._lock:
            self._ended = True
            self._lock.notify_all()

    def send(self, method, params=None, session=None):
        """One command; returns its result or raises BrowserError."""
        with self._lock:
            self._next_id += 1
            number = self._next_id
            message = {"id": number, "method": method, "params": params or {}}
            if session:
                message["sessionId"] = session
            os.write(self._command_write, json.dumps(message).encode() + b"\0")
            done = lambda: number in self._answers or self._ended
            self._lock.wait_for(done, ANSWER_SECONDS)
            answer = self._answers.pop(number, None)
        if answer is None:
            raise BrowserError(f"{method}: no answer")
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    def events(self, session, method=None):
        """Events of one page so far, oldest first."""
        with self._lock:
            return [
                event["params"]
                for event in self._events
                if event.get("sessionId") == session and method in (None, event["method"])
            ]

    def forget_events(self):
        """Of all pages, for those who stay for hours."""
        with self._lock:
            self._events.clear()

    def open(self, url, width=1440, height=900, dark=False, touch=False):
        """A new page of that size, loading url."""
        target = self.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self.send("Target.attachToTarget", {"targetId": target, "flatten": True})
        page = Page(self, target, attached["sessionId"])
        page.resize(width, height, touch)
        page.prefer(dark=dark)
        page.go(url)
        return page


class Page:
    """One tab."""

    def __init__(self, browser, target, session):
        self._browser = browser
        self._target = target
        self._session = session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method, params=None):
        return self._browser.send(method, params, self._session)

    def close(self):
        self._browser.send("Target.closeTarget", {"targetId": self._target})

    def events(self, method=None):
        return self._browser.events(self._session, method)

    def go(self, url):
        self.send("Page.navigate", {"url": url})

    def resize(self, width, height, touch=False):
        self.send(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch},
        )
        self.send("Emulation.setTouchEmulationEnabled", {"enabled": touch})

    def prefer(self, dark=False, reduced_motion=False):
        self.send(
            "Emulation.setEmulatedMedia",
            {
                "features": [
                    {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                    {
                        "name": "prefers-reduced-motion",
                        "value": "reduce" if reduced_motion else "no-preference",
                    },
                ]
            },
        )

    def evaluate(self, expression):
        """The JSON value of a JavaScript expression; promises are awaited."""
        result = self.send(
            "Runtime.evaluate",
            {"expression": expression, "returnByValue": True, "awaitPromise": True},
        )
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            text = details.get("exception", {}).get("description", details.get("text"))
            raise BrowserError(f"{expression}: {text}")
        return result["result"].get("value")

    def wait_for(self, expression, seconds=10, what=None):
        """Asks until the expression is truthy and returns its value; a node counts as True."""
        question = f"((value) => value instanceof Node ? true : value)({expression})"
        end = time.monotonic() + seconds * STRETCH
        while True:
            value = self._evaluate_unless_navigating(question)
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds * STRETCH} s: {what or expression}")
            time.sleep(0.05)

    def _evaluate_unless_navigating(self, expression):
        """As evaluate, but None while one document gives way to the next."""
        try:
            return self.evaluate(expression)
        except BrowserError as error:
            if any(word in str(error) for word in ("navigated", "context", "destroyed")):
                return None
            raise

    def press(self, key, modifiers=0):
        """One key, as a person would press it; letters also type themselves."""
        codes = {"Escape": 27, "Enter": 13, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38,
                 "ArrowRight": 39, "ArrowDown": 40}
        event = {"key": key, "modifiers": modifiers, "windowsVirtualKeyCode": codes.get(key, 0)}
        if len(key) == 1:
            event["text"] = key
        elif key == "Enter":
            event["text"] = "\r"
        self.send("Input.dispatchKeyEvent", {"type": "keyDown", **event})
        self.send("Input.dispatchKeyEvent", {"type": "keyUp", **event})

    def type(self, text):
        for letter in text:
            self.press(letter)

    def mouse(self, kind, x, y, clicks=0):
        button = "left" if kind != "mouseMoved" or clicks else "none"
        self.send(
            "Input.dispatchMouseEvent",
            {"type": kind, "x": x, "y": y, "button": button, "clickCount": clicks,
             "buttons": 1 if clicks else 0},
        )

    def touch(self, kind, x=None, y=None):
        points = [] if x is None else [{"x": x, "y": y}]
        self.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def click(self, x, y, count=1):
        for number in range(1, count + 1):
            self.mouse("mousePressed", x, y, number)
            self.mouse("mouseReleased", x, y, number)

    def drag(self, start, end):
        """Press at start, move in steps, release at end; both are (x, y)."""
        self.mouse("mouseMoved", *start)
        self.mouse("mousePressed", *start, 1)
        for step in range(1, 9):
            x = start[0] + (end[0] - start[0]) * step / 8
            y = start[1] + (end[1] - start[1]) * step / 8
            self.mouse("mouseMoved", x, y, 1)
        self.mouse("mouseReleased", *end, 1)

    def screenshot(self, path, full_page=False):
        params = {"format": "png", "captureBeyondViewport": full_page}
        if full_page:
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            params["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"],
                              "scale": 1}
        data = self.send("Page.captureScreenshot", params)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def complaints(self):
        """Errors and warnings that the page or the browser logged, as text."""
        found = []
        for event in self.events("Runtime.consoleAPICalled"):
            if event["type"] in ("error", "warning", "assert"):
                words = [str(arg.get("value", arg.get("description"))) for arg in event["args"]]
                found.append(f"console.{event['type']}: {' '.join(words)}")
        for event in self.events("Runtime.exceptionThrown"):
            details = event["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
            found.append(f"exception: {text}")
        for event in self.events("Log.entryAdded"):
            entry = event["entry"]
            if entry["level"] in ("error", "warning"):
                found.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
        return found

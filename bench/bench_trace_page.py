# SPDX-License-Identifier: Apache-2.0
"""One large trace in a real browser: how long until its waterfall stands, how many frames a second
while it scrolls by the wheel and by the bar. Sent as OTLP JSON, opened by Chromium without a GPU."""
import os
import pathlib
import sys

import peers

TITLE = "One trace, drawn: opened and scrolled in Chromium"
SIZES = [(100_000, None), (1_000_000, 2000)]
OPENS = 3
SCROLL_S = 3
FRAMES_MIN = 30

SCENARIO = pathlib.Path(__file__).resolve().parent.parent / "tests" / "scenario"

SHOWN = ("document.querySelector('.trace-title h1') && "
         "document.querySelector('.waterfall-canvas')?.width > 300")

OPEN = """(() => {
    window.opened_ms = 0;
    const began = performance.now();
    location.hash = '#/trace?id=%s&n=%d';
    const look = () => {
        if (%s) window.opened_ms = performance.now() - began;
        else requestAnimationFrame(look);
    };
    look();
})()"""

SCROLL = """(() => {
    window.frames_s = 0;
    const scroller = document.querySelector('.waterfall-scroll');
    const by_wheel = %s;
    const began = performance.now();
    let frames = 0;
    const step = (now) => {
        frames += 1;
        if (by_wheel)
            scroller.dispatchEvent(new WheelEvent('wheel', { deltaY: 480, cancelable: true }));
        if (!by_wheel || scroller.scrollTop === 0) scroller.scrollTop += 700;
        if (now - began < %d * 1000) requestAnimationFrame(step);
        else window.frames_s = (frames * 1000) / (now - began);
    };
    requestAnimationFrame(step);
})()"""


def opened_ms(page, trace, number):
    page.evaluate("location.hash = '#/home'")
    page.wait_for("document.querySelector('.page-home')", 30)
    page.evaluate(OPEN % (trace, number, SHOWN))
    page.wait_for("window.opened_ms > 0", 60)
    return page.evaluate("window.opened_ms")


def frames_s(page, by_wheel):
    page.evaluate(SCROLL % ("true" if by_wheel else "false", SCROLL_S))
    page.wait_for("window.frames_s > 0", 60)
    return page.evaluate("window.frames_s")


def measure(row):
    os.environ.setdefault("SONDE_BINARY", str(peers.SONDE))
    os.environ.setdefault("SONDE_PATIENCE", "60")
    sys.path.insert(0, str(SCENARIO))
    # Found only now: they stand with the scenarios.
    import chromium
    import sonde
    import trace_feed

    if chromium.find_chromium() is None:
        raise peers.Absent("no Chromium")
    rows = []
    with sonde.Sonde() as daemon, chromium.Browser() as browser:
        feed = trace_feed.Feed(daemon)
        for count, most_ms in SIZES:
            trace = trace_feed.large(feed, count)
            page = browser.open(f"{daemon.url}/#/home")
            times = sorted(opened_ms(page, trace, number) for number in range(OPENS))
            middle = times[len(times) // 2]
            met = None if most_ms is None else middle < most_ms
            target = "–" if most_ms is None else f"< {most_ms / 1000:g} s"
            rows.append(row(f"a trace of {count:,} spans: until it stands", f"{middle:.0f} ms",
                            target, met=met))
            for name, by_wheel in (("wheel", True), ("bar", False)):
                rate = frames_s(page, by_wheel)
                rows.append(row(f"a trace of {count:,} spans: scrolled by the {name}",
                                f"{rate:.0f} frames/s", f"> {FRAMES_MIN} frames/s",
                                met=rate > FRAMES_MIN))
            page.close()
    return rows

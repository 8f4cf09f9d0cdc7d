/* SPDX-License-Identifier: Apache-2.0 */

/* app - wires the page: one store (the address), one live stream, one crosshair, one health
 * watch, and whichever page the address names. */
import { queryInstant } from './api.js';
import { serverNow } from './clock.js';
import { Crosshair } from './crosshair.js';
import { h, icon, iconButton } from './dom.js';
import { HealthWatch } from './health.js';
import { openHelp } from './help.js';
import { Keys } from './keys.js';
import { Live } from './live.js';
import { LiveBadge } from './live_badge.js';
import { BenchmarksPage } from './pages/benchmarks.js';
import { ExplorePage } from './pages/explore.js';
import { HomePage } from './pages/home.js';
import { LoadPage } from './pages/load.js';
import { OperationPage } from './pages/operation.js';
import { ProcessesPage } from './pages/processes.js';
import { SelfPage } from './pages/self.js';
import { ServiceMapPage } from './pages/service_map.js';
import { ServicesPage } from './pages/services.js';
import { TraceComparePage } from './pages/trace_compare.js';
import { TracePage } from './pages/trace.js';
import { TracesPage } from './pages/traces.js';
import { zoom } from './range.js';
import { RangePicker } from './range_picker.js';
import { Store } from './store.js';
import { chosenTheme, nextTheme } from './theme.js';

/* name in the address -> what it is. The order is that of the navigation; a page that is part `of`
 * another is reached from there. */
const PAGES = {
    home: { title: 'Home', icon: 'home', key: 'g h', make: HomePage },
    processes: { title: 'Processes', icon: 'list', key: 'g p', make: ProcessesPage },
    services: { title: 'Services', icon: 'services', key: 'g v', make: ServicesPage },
    operation: { title: 'Operation', of: 'services', make: OperationPage },
    traces: { title: 'Traces', icon: 'traces', key: 'g t', make: TracesPage },
    trace: { title: 'Trace', of: 'traces', make: TracePage },
    compare: { title: 'Compare traces', of: 'traces', make: TraceComparePage },
    map: { title: 'Map', icon: 'map', key: 'g m', make: ServiceMapPage },
    load: { title: 'Load', icon: 'load', key: 'g l', make: LoadPage },
    benchmarks: { title: 'Benchmarks', icon: 'benchmarks', key: 'g b', make: BenchmarksPage },
    explore: { title: 'Explore', icon: 'explore', key: 'g e', make: ExplorePage },
    self: { title: 'Self', icon: 'gauge', key: 'g s', make: SelfPage },
};

/* How long after its time a sample may still be on its way into the store. */
const RECORDED_MS = 500;

function openSocket() {
    const url = new URL('/api/v1/live', location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return new WebSocket(url);
}

/* One point of a subscription by an ordinary question, at a step that is surely recorded. */
async function askPoint({ expr, step_ms }) {
    const time_ms = Math.floor((serverNow() - RECORDED_MS) / step_ms) * step_ms;
    const { type, result } = await queryInstant(expr, { time: time_ms });
    const vector = type === 'scalar' ? [{ metric: {}, value: result }] : result;
    return { time_ms, result: vector.map(({ metric, value }) => ({ metric, value: value[1] })) };
}

class App {
    #store = new Store();
    #live = new Live(openSocket, askPoint);
    #crosshair = new Crosshair();
    #health = new HealthWatch();
    #keys = new Keys();
    #picker = new RangePicker(this.#store);
    #badge = new LiveBadge(this.#store, this.#live);
    #main = document.getElementById('main');
    #links = new Map();
    #page = null;
    #zoom_out = iconButton('zoom_out', 'Zoom out (-)', () => this.#zoomOut());
    #theme_button = iconButton('theme', '', () => this.#switchTheme());

    start() {
        this.#buildBar();
        this.#addKeys();
        this.#store.listen((state, before) => this.#stateChanged(state, before));
        this.#health.listen(() => this.#showHealth());
        this.#health.start();
        this.#openPage();
        this.#showBar();
    }

    #buildBar() {
        for (const [name, page] of Object.entries(PAGES)) {
            if (page.of) continue;
            const link = h('a', { href: `#/${name}` }, icon(page.icon), h('span', {}, page.title));
            link.addEventListener('click', (event) => {
                if (event.ctrlKey || event.metaKey || event.shiftKey) return;
                event.preventDefault();
                this.#store.goPage(name);
            });
            this.#links.set(name, link);
        }
        document.getElementById('nav').append(...this.#links.values());
        document.getElementById('tools').append(
            this.#badge.element,
            this.#zoom_out,
            this.#picker.element,
            this.#theme_button,
            iconButton('help', 'Keyboard help (?)', () => openHelp(this.#keys), {
                class: 'icon-button wide-only',
            }),
        );
    }

    #addKeys() {
        const keys = this.#keys;
        for (const [name, { title, key }] of Object.entries(PAGES)) {
            if (!key) continue;
            keys.add({ keys: key, label: title, group: 'Go', run: () => this.#store.goPage(name) });
        }
        keys.add(
            { keys: '/', label: 'Search or filter', group: 'Do', run: () => this.#search() },
            {
                keys: 't',
                label: 'Choose the time range',
                group: 'Do',
                run: () => this.#picker.toggle(),
            },
            {
                keys: 'l',
                label: 'Hold still, or go on live',
                group: 'Do',
                run: () => this.#holdStill(),
            },
            { keys: '-', label: 'Zoom out', group: 'Do', run: () => this.#zoomOut() },
            {
                keys: 'd',
                label: 'System, light or dark',
                group: 'Do',
                run: () => this.#switchTheme(),
            },
            { keys: '?', label: 'This help', group: 'Do', run: () => openHelp(keys) },
            {
                keys: 'Escape',
                label: 'Close, or back to live',
                group: 'Do',
                run: () => this.#escape(),
            },
            { keys: '← →', label: 'Earlier, later', group: 'On a focused chart' },
            { keys: '↑ ↓', label: 'Zoom in, out', group: 'On a focused chart' },
            { keys: 'Shift ← →', label: 'Read point by point', group: 'On a focused chart' },
            { keys: 'Home', label: 'Back to live', group: 'On a focused chart' },
            { keys: '↑ ↓', label: 'Previous, next span', group: 'On a focused trace' },
            {
                keys: '← →',
                label: 'Close, open; to the caller, to the first call',
                group: 'On a focused trace',
            },
            { keys: 'Enter', label: 'Details of the span', group: 'On a focused trace' },
            { keys: 'z 0', label: 'Zoom to the span, to the whole', group: 'On a focused trace' },
        );
    }

    #search() {
        if (!this.#page.search) this.#store.goPage('explore');
        this.#page.search?.();
    }

    /* A page that has something of its own to hold (a table) goes before the charts. */
    #holdStill() {
        if (this.#live.state === 'off' && this.#page.togglePause) this.#page.togglePause();
        else this.#badge.press();
    }

    /* One thing at a time: a field, the sheet, a detail, then the zoom. */
    #escape() {
        const field = document.activeElement?.closest('input, textarea');
        if (this.#picker.close()) return;
        if (this.#page.escape?.()) return;
        if (field) field.blur();
        else if (!this.#store.view().live) this.#store.release();
    }

    #zoomOut() {
        this.#store.fix(zoom(this.#store.view(), 2, serverNow()));
    }

    #switchTheme() {
        nextTheme();
        this.#showTheme();
    }

    #showTheme() {
        const label = `Theme: ${chosenTheme()} (d)`;
        this.#theme_button.title = label;
        this.#theme_button.setAttribute('aria-label', label);
    }

    #openPage() {
        this.#page?.destroy();
        const { make: Page } = PAGES[this.#store.page];
        this.#page = new Page({
            store: this.#store,
            live: this.#live,
            crosshair: this.#crosshair,
            health: this.#health,
        });
        this.#main.replaceChildren(this.#page.element);
        window.scrollTo(0, 0);
        this.#showTitle();
    }

    #stateChanged(state, before) {
        this.#crosshair.publish(null, null);
        this.#showBar();
        if (state.page !== before.page) {
            this.#openPage();
            this.#main.focus({ preventScroll: true });
            return;
        }
        const moved = ['range', 'from', 'to'].some(
            (key) => state.params[key] !== before.params[key],
        );
        this.#page.update({ moved, params: state.params, before: before.params });
    }

    #showBar() {
        const place = PAGES[this.#store.page].of ?? this.#store.page;
        for (const [name, link] of this.#links) {
            if (name === place) link.setAttribute('aria-current', 'page');
            else link.removeAttribute('aria-current');
            link.href = this.#store.href(name);
        }
        this.#showPlace(this.#links.get(place));
        const view = this.#store.view();
        this.#zoom_out.hidden = view.live;
        this.#picker.show();
        this.#badge.show();
        this.#showTheme();
        const notice = document.getElementById('notice');
        notice.textContent = view.error ? `${view.error} The usual range is shown instead.` : '';
    }

    /* On a small screen the pages slide. By hand, for scrollIntoView would move the page as well. */
    #showPlace(link) {
        const nav = link.parentElement;
        const middle = link.offsetLeft + link.offsetWidth / 2 - nav.offsetLeft;
        nav.scrollLeft = middle - nav.clientWidth / 2;
    }

    #showHealth() {
        const status = this.#health.error ? 'unknown' : (this.#health.report?.status ?? 'unknown');
        this.#links.get('home').dataset.health = status;
        this.#showTitle();
    }

    #showTitle() {
        const worst = this.#health.report?.findings?.[0];
        const sign = { critical: '● Critical · ', warning: '▲ Warning · ' }[worst?.severity] ?? '';
        document.title = `${sign}${PAGES[this.#store.page].title} · sonde`;
    }
}

new App().start();

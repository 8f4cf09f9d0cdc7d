/* SPDX-License-Identifier: Apache-2.0 */

/* home - first what is wrong, in sentences; then the machine by resource; then who uses it. */
import { isAbort, processes, queryInstant } from '../api.js';
import { h } from '../dom.js';
import { formatBytes, formatSeconds } from '../format.js';
import { HealthView } from '../health.js';
import { Panel } from '../panel.js';
import { ProcessTable } from '../process_table.js';
import { CORES_EXPR, HOST_FACTS_EXPR, HOST_SECTIONS } from './host_panels.js';

const PROCESSES_PERIOD_MS = 3000;
const PROCESSES_COUNT = 8;

export class HomePage {
    #context;
    #health;
    #panels = [];
    #abort = new AbortController();
    #timer = null;
    #facts = h('p', { class: 'host-facts' });
    #table = new ProcessTable({
        caption: 'Processes that use the most CPU',
        on_open: ({ pid }) => this.#context.store.goPage('processes', { pid }),
    });
    #table_note = h('p', { class: 'table-note', role: 'status' });

    element;

    constructor(context) {
        this.#context = context;
        this.#health = new HealthView(context.health, context.store);
        this.element = h(
            'div',
            { class: 'page page-home' },
            h('h1', { class: 'offscreen' }, 'This machine'),
            this.#health.element,
            this.#facts,
            ...HOST_SECTIONS.map((section) => this.#section(section)),
            this.#processSection(),
        );
        void this.#loadFacts();
        void this.#loadProcesses();
    }

    destroy() {
        this.#abort.abort();
        clearTimeout(this.#timer);
        this.#health.destroy();
        for (const panel of this.#panels) panel.destroy();
    }

    update({ moved }) {
        for (const panel of this.#panels) {
            if (moved) panel.refresh();
            panel.showMode();
        }
    }

    #section({ title, panels }) {
        const made = panels.map((spec) => new Panel(spec, this.#context));
        this.#panels.push(...made);
        return h(
            'section',
            { class: 'resource', 'aria-label': title },
            h('h2', {}, title),
            h('div', { class: 'panels' }, ...made.map(({ element }) => element)),
        );
    }

    #processSection() {
        const more = h('a', { href: this.#context.store.href('processes') }, 'All processes');
        return h(
            'section',
            { class: 'resource', 'aria-labelledby': 'top-processes' },
            h('h2', { id: 'top-processes' }, 'Processes', more),
            h('div', { class: 'card table-scroll' }, this.#table.element, this.#table_note),
        );
    }

    async #loadFacts() {
        try {
            const { signal } = this.#abort;
            const [facts, cores] = await Promise.all([
                queryInstant(HOST_FACTS_EXPR, { signal }),
                queryInstant(CORES_EXPR, { signal }),
            ]);
            this.#facts.replaceChildren(...spellFacts(facts.result, cores.result));
        } catch {
            /* The charts below tell what is wrong with the daemon; the strip just stays empty. */
        }
    }

    async #loadProcesses() {
        const { signal } = this.#abort;
        try {
            if (!document.hidden) {
                const data = await processes({ sort: 'cpu', limit: PROCESSES_COUNT, signal });
                this.#table.draw(data.processes);
                this.#table_note.textContent = '';
            }
        } catch (error) {
            if (isAbort(error)) return;
            this.#table_note.textContent = `${error.message} ${error.hint ?? ''}`;
        }
        if (!signal.aborted)
            this.#timer = setTimeout(() => void this.#loadProcesses(), PROCESSES_PERIOD_MS);
    }
}

function spellFacts(result, cores) {
    const find = (name) => result.find(({ metric }) => metric.__name__ === name);
    const value = (entry) => (entry ? Number(entry.value[1]) : NaN);
    const uname = find('node_uname_info')?.metric;
    const system = find('node_os_info')?.metric;
    const count = Number(cores[0]?.value[1]);
    const words = [];
    if (uname) words.push(h('strong', {}, uname.nodename));
    if (system?.pretty_name) words.push(system.pretty_name);
    if (uname) words.push(`Linux ${uname.release}`);
    if (count > 0) words.push(count === 1 ? '1 core' : `${count} cores`);
    const memory = value(find('node_memory_MemTotal_bytes'));
    if (memory > 0) words.push(formatBytes(memory));
    const boot = value(find('node_boot_time_seconds'));
    if (boot > 0) words.push(`up ${formatSeconds(Date.now() / 1000 - boot)}`);
    return words.map((word) => h('span', {}, word));
}

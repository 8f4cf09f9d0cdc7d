/* SPDX-License-Identifier: Apache-2.0 */

/* dom - making elements. Text always arrives as text, never as markup, so nothing that a
 * program on the host calls itself can become part of the page. */

/* h('button', { class: 'quiet', onclick: f, 'aria-label': 'Close' }, 'x'). A key that starts
 * with "on" is a listener; false, null and undefined leave the attribute out. */
export function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    return fill(element, attributes, children);
}

const SVG = 'http://www.w3.org/2000/svg';

export function svg(tag, attributes = {}, ...children) {
    return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (value === false || value === null || value === undefined) continue;
        if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
        else element.setAttribute(name, value === true ? '' : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return element;
}

/* Icons are strokes on a 16 x 16 grid; they take the colour of the text. */
const ICONS = {
    check: 'M3.5 8.5l3 3 6-7',
    alert: 'M8 2.5l6 11H2zM8 6.5v3M8 11.6v.1',
    stop: 'M5.3 2h5.4L14 5.3v5.4L10.7 14H5.3L2 10.7V5.3zM8 5v3.6M8 11v.1',
    info: 'M8 2a6 6 0 100 12A6 6 0 008 2zM8 7.4V11M8 5v.1',
    table: 'M2.5 3h11v10h-11zM2.5 6.3h11M2.5 9.6h11M6.5 3v10',
    chart: 'M2.5 2.5v11h11M4.5 10.5l2.6-3.2 2.2 1.8 3.7-5',
    copy: 'M5.5 5.5h8v8h-8zM3 10.5H2.5v-8h8V3',
    explore: 'M7 2.5a4.5 4.5 0 100 9 4.5 4.5 0 000-9zM10.3 10.3l3.2 3.2',
    clock: 'M8 2a6 6 0 100 12A6 6 0 008 2zM8 4.8V8l2.2 1.6',
    theme: 'M8 2a6 6 0 100 12A6 6 0 008 2zM8 2v12M8 4.5L5 6.2M8 8l-4 1.8M8 11.5l-2.6 1.2',
    help: 'M8 2a6 6 0 100 12A6 6 0 008 2zM6.3 6.5c0-2.4 3.5-2.3 3.4 0 0 1.2-1.7 1-1.7 2.7M8 11v.1',
    close: 'M4 4l8 8M12 4l-8 8',
    zoom_out: 'M7 2.5a4.5 4.5 0 100 9 4.5 4.5 0 000-9zM10.3 10.3l3.2 3.2M5 7h4',
    back: 'M7 3.5L2.5 8 7 12.5M2.5 8h11',
    pause: 'M5.5 3.5v9M10.5 3.5v9',
    play: 'M5 3l7.5 5L5 13z',
    home: 'M2.5 7.5L8 3l5.5 4.5M4 6.5v7h8v-7',
    list: 'M2.5 4h11M2.5 8h11M2.5 12h11',
    services: 'M3 3h4v4H3zM9 9h4v4H9zM5 7v4h4M11 9V5H7',
    plus: 'M8 3.5v9M3.5 8h9',
    minus: 'M3.5 8h9',
    fit: 'M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3',
    up: 'M4 10l4-4 4 4',
    down: 'M4 6l4 4 4-4',
    traces: 'M2.5 4h7M5 8h6M8 12h5.5',
    map: 'M2.5 5.5h4v5h-4zM9.5 2.5h4v4h-4zM9.5 9.5h4v4h-4zM6.5 7l3-2.5M6.5 9l3 2.5',
    load: 'M2.5 13h11M4 13V9.5M8 13V6M12 13V2.5',
    benchmarks: 'M8 2.5v11M3 5.5h7M10 4v3M5 10.5h8M5 9v3M13 9v3M3 4v3',
    gauge: 'M2.8 12.5a6 6 0 1110.4 0M8 9.5l2.8-3.6',
};

export function icon(name) {
    return svg(
        'svg',
        { class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true', focusable: 'false' },
        svg('path', { d: ICONS[name] }),
    );
}

/* A button that is an icon to the eye and a word to everyone else. */
export function iconButton(name, label, onclick, attributes = {}) {
    return h(
        'button',
        {
            type: 'button',
            class: 'icon-button',
            'aria-label': label,
            title: label,
            onclick,
            ...attributes,
        },
        icon(name),
    );
}

/* A line to write in, with its label; fields[name] becomes the input. */
export function textField(fields, name, label, attributes = {}) {
    fields[name] = h('input', {
        type: 'text',
        name,
        spellcheck: 'false',
        autocomplete: 'off',
        ...attributes,
    });
    return h('label', { class: 'field' }, h('span', {}, label), fields[name]);
}

/* Writes only what changed: the same text again would still cost layout. */
export function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

/* Shows what make() returns where something else is to be `said`; who has the focus in there, told
 * by data-focus, has it again afterwards. */
export function redraw(host, said, make) {
    if (host.dataset.said === said) return;
    host.dataset.said = said;
    const focused = host.contains(document.activeElement)
        ? document.activeElement.dataset.focus
        : undefined;
    host.replaceChildren(...make());
    if (focused === undefined) return;
    [...host.querySelectorAll('[data-focus]')]
        .find(({ dataset }) => dataset.focus === focused)
        ?.focus();
}

/* Plain sentences in which `code` is set as code. */
export function withCode(text) {
    return String(text)
        .split('`')
        .map((part, index) => (index % 2 === 1 ? h('code', {}, part) : part));
}

/* Puts text on the clipboard; where the page may not (plain http from afar), by selection. */
export async function copyText(text) {
    if (navigator.clipboard && window.isSecureContext) {
        await navigator.clipboard.writeText(text);
        return;
    }
    const area = h('textarea', { class: 'offscreen', readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand('copy');
    area.remove();
    if (!copied) throw new Error('The browser did not allow copying.');
}

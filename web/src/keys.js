/* SPDX-License-Identifier: Apache-2.0 */

/* keys - the keyboard, as one table. A shortcut is one key or two in a row ("g h"). Keys typed
 * into a field belong to the field, those while a dialog is open to the dialog, and whatever
 * carries Ctrl, Alt or Meta to the browser. */

const SEQUENCE_MS = 1200;

function isTyping(target) {
    return (
        target instanceof Element &&
        target.closest('input, textarea, select, [contenteditable]') !== null
    );
}

export class Keys {
    #rows = [];
    #prefix = '';
    #prefix_at = 0;

    constructor() {
        document.addEventListener('keydown', (event) => this.#pressed(event));
    }

    /* row: { keys: 'g h', label, group, run() }. A row without run is only told in the help. */
    add(...rows) {
        this.#rows.push(...rows);
    }

    get rows() {
        return this.#rows;
    }

    #pressed(event) {
        if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
        if (document.querySelector('dialog[open]')) return;
        if (isTyping(event.target) && event.key !== 'Escape') return;
        const fresh = event.timeStamp - this.#prefix_at < SEQUENCE_MS;
        const pressed = this.#prefix && fresh ? `${this.#prefix} ${event.key}` : event.key;
        this.#prefix = '';
        const row = this.#rows.find(({ keys, run }) => run && keys === pressed);
        if (row) {
            event.preventDefault();
            row.run();
            return;
        }
        if (this.#rows.some(({ keys }) => keys.startsWith(`${event.key} `))) {
            this.#prefix = event.key;
            this.#prefix_at = event.timeStamp;
        }
    }
}

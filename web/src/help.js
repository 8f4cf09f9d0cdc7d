/* SPDX-License-Identifier: Apache-2.0 */

/* help - every shortcut, from the table that also runs them, so that it cannot be out of date. */
import { h, iconButton } from './dom.js';

function keyCaps(keys) {
    return keys.split(' ').map((key) => h('kbd', {}, key));
}

export function openHelp(keys) {
    const groups = groupRows(keys.rows);
    const dialog = h(
        'dialog',
        { class: 'help', 'aria-labelledby': 'help-title', onclose: () => dialog.remove() },
        h(
            'header',
            {},
            h('h2', { id: 'help-title' }, 'Keyboard'),
            iconButton('close', 'Close', () => dialog.close()),
        ),
        h(
            'div',
            { class: 'help-groups' },
            ...[...groups].map(([group, rows]) =>
                h(
                    'section',
                    {},
                    h('h3', {}, group),
                    h(
                        'dl',
                        {},
                        ...rows.flatMap(({ keys: caps, label }) => [
                            h('dt', {}, ...keyCaps(caps)),
                            h('dd', {}, label),
                        ]),
                    ),
                ),
            ),
        ),
    );
    /* A press beside the box closes it, as people expect. */
    dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
}

function groupRows(rows) {
    const groups = new Map();
    for (const row of rows) groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
    return groups;
}

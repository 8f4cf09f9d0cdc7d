/* SPDX-License-Identifier: Apache-2.0 */

/* frames - work that waits for the next paint. Twenty charts that hear of new points within one
 * frame draw once each, together, and a hidden page draws nothing until it is seen again. */

const pending = new Set();
let scheduled = false;

export function onNextPaint(task) {
    pending.add(task);
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(run);
}

export function cancelPaint(task) {
    pending.delete(task);
}

function run() {
    scheduled = false;
    const tasks = [...pending];
    pending.clear();
    for (const task of tasks) task();
}

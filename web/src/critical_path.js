/* SPDX-License-Identifier: Apache-2.0 */

/* critical_path - what a trace waited for: stretches of spans' own work, one after the other.
 *
 * Pure. From the end of a span backwards: the child that ended last was waited for; before it
 * began, the one that ended last before that; what no child covers is the span's own. What of a
 * child lies outside of its parent was waited for by nobody here. */

const NONE = -1;

/* The children of a row that lie in [from, to], by their end within it, latest first. */
function childrenByEnd(tree, row, from, to) {
    const children = [];
    for (let child = tree.first_child[row]; child !== NONE; child = tree.next_sibling[child]) {
        const start = Math.max(tree.start[child], from);
        const end = Math.min(tree.start[child] + tree.duration[child], to);
        if (end > start) children.push({ child, start, end });
    }
    return children.sort((a, b) => b.end - a.end || a.start - b.start || a.child - b.child);
}

/* { on: 1 per row that is on the path, own: ns of each row's own work on it,
 *   rows, starts, ends: the stretches, latest first }. */
export function criticalPath(tree) {
    const count = tree.order.length;
    const on = new Uint8Array(count);
    const own = new Float64Array(count);
    const stretches = { rows: [], starts: [], ends: [] };
    const keep = (row, start, end) => {
        if (end <= start) return;
        own[row] += end - start;
        stretches.rows.push(row);
        stretches.starts.push(start);
        stretches.ends.push(end);
    };
    const root = rootOf(tree);
    if (root === NONE) return { on, own, ...stretches };
    const to = tree.start[root] + tree.duration[root];
    const stack = [{ row: root, from: tree.start[root], cursor: to, children: null, next: 0 }];
    while (stack.length > 0) {
        const frame = stack[stack.length - 1];
        on[frame.row] = 1;
        frame.children ??= childrenByEnd(tree, frame.row, frame.from, frame.cursor);
        while (frame.next < frame.children.length && frame.children[frame.next].end > frame.cursor)
            frame.next += 1;
        if (frame.next === frame.children.length) {
            keep(frame.row, frame.from, frame.cursor);
            stack.pop();
            continue;
        }
        const { child, start, end } = frame.children[frame.next++];
        keep(frame.row, end, frame.cursor);
        frame.cursor = start;
        stack.push({ row: child, from: start, cursor: end, children: null, next: 0 });
    }
    return { on, own, ...stretches };
}

/* Of the spans at the top the longest: others are pieces whose parents are missing. */
export function rootOf(tree) {
    let root = NONE;
    for (let at = 0; at < tree.order.length; at += tree.size[tree.order[at]]) {
        const row = tree.order[at];
        if (root === NONE || tree.duration[row] > tree.duration[root]) root = row;
    }
    return root;
}

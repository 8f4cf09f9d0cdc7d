/* SPDX-License-Identifier: Apache-2.0 */

/* trace_tree - the spans of a trace as a tree in typed arrays, a million of them in a fraction of a
 * second; whatever is wrong with them.
 *
 * Pure. What senders get wrong is put right as little as possible, and counted in `flaws`:
 *
 *   a parent that has not come     the span stands at the top, as an orphan
 *   parents in a circle            the circle is cut at its first span, which stands at the top
 *   a host with another clock      a call to another service that lies outside of its caller is
 *                                  moved into it with all that hangs below; `shift` tells how far
 *   an end before the start        is drawn as a point at its start
 *
 * The *order* is how rows stand in a waterfall: parents before children, siblings by start. All
 * rows of a subtree stand in one stretch of it, `size` long. */
import { CONSUMER, isError, PRODUCER } from './trace_columns.js';

const NONE = -1;
const MISSING = -2;

/* Below this it may be the clocks' usual difference or rounding, and moving helps nobody. */
const SKEW_NS_MIN = 1e6;

/* Cuts circles of parents; returns the parents that are left, -1 for a root. */
function rootedParents(trace, flaws) {
    const parent = Int32Array.from(trace.parent);
    const UNSEEN = 0;
    const seen = new Int32Array(trace.count);
    for (let row = 0; row < trace.count; row += 1) {
        if (parent[row] === MISSING) {
            flaws.orphans += 1;
            parent[row] = NONE;
        }
    }
    for (let row = 0; row < trace.count; row += 1) {
        let at = row;
        while (at !== NONE && seen[at] === UNSEEN) {
            seen[at] = row + 1;
            at = parent[at];
        }
        /* Met on this very walk: a circle. It is cut above its earliest row. */
        if (at !== NONE && seen[at] === row + 1) {
            let earliest = at;
            for (let on = parent[at]; on !== at; on = parent[on]) earliest = Math.min(earliest, on);
            parent[earliest] = NONE;
            flaws.cycles += 1;
        }
    }
    return parent;
}

/* Children of a row, siblings by start: first_child, then next_sibling. */
function linkChildren(count, parent) {
    const first_child = new Int32Array(count).fill(NONE);
    const next_sibling = new Int32Array(count).fill(NONE);
    /* Rows are by start, so walking backwards puts the earliest first. */
    for (let row = count - 1; row >= 0; row -= 1) {
        const above = parent[row];
        if (above === NONE) continue;
        next_sibling[row] = first_child[above];
        first_child[above] = row;
    }
    return { first_child, next_sibling };
}

function walk(count, parent, first_child, next_sibling) {
    const order = new Int32Array(count);
    const place = new Int32Array(count);
    const depth = new Uint32Array(count);
    const size = new Uint32Array(count).fill(1);
    let placed = 0;
    for (let root = 0; root < count; root += 1) {
        if (parent[root] !== NONE) continue;
        let row = root;
        while (row !== NONE) {
            place[row] = placed;
            order[placed++] = row;
            depth[row] = parent[row] === NONE ? 0 : depth[parent[row]] + 1;
            if (first_child[row] !== NONE) {
                row = first_child[row];
                continue;
            }
            while (row !== NONE && row !== root && next_sibling[row] === NONE) row = parent[row];
            row = row === root ? NONE : next_sibling[row];
        }
    }
    for (let at = count - 1; at >= 0; at -= 1) {
        const row = order[at];
        if (parent[row] !== NONE) size[parent[row]] += size[row];
    }
    return { order, place, depth, size };
}

/* How far each row must be moved; null when nothing must. Parents come before children. */
function findSkew(trace, parent, order, flaws) {
    let shift = null;
    for (let at = 0; at < trace.count; at += 1) {
        const row = order[at];
        const above = parent[row];
        if (above === NONE) continue;
        const inherited = shift ? shift[above] : 0;
        if (inherited !== 0) shift[row] = inherited;
        const kinds = [trace.kind[above] & 7, trace.kind[row] & 7];
        const crosses = trace.service[above] !== trace.service[row];
        /* What waited in a queue may well begin when its sender has ended. */
        if (!crosses || kinds[0] === PRODUCER || kinds[1] === CONSUMER) continue;
        /* Against the client where it is drawn now, by the server's own clock. */
        const move = skewOf(trace, above, row, inherited);
        if (move === inherited) continue;
        shift ??= new Float64Array(trace.count);
        shift[row] = move;
        if (move !== 0) flaws.skewed += 1;
    }
    return shift;
}

/* The move that puts a server's span into its client's, in the middle of what is left of it. */
function skewOf(trace, client, server, client_shift) {
    const from = trace.start[client] + client_shift;
    const to = from + Math.max(0, trace.duration[client]);
    const duration = Math.max(0, trace.duration[server]);
    const start = trace.start[server];
    const outside = Math.max(from - start, start + duration - to);
    const slack = to - from - duration;
    /* The move of the client's own host says nothing about this one, where it fits without. */
    if (outside <= SKEW_NS_MIN) return 0;
    /* A server that goes on working after its client has hung up is no matter of clocks. */
    if (slack < 0) return start < from ? from - start : 0;
    return from + slack / 2 - start;
}

/* Time of each row in which none of its children ran. */
function findSelf(trace, parent, start, duration, by_start) {
    const self = Float64Array.from(duration);
    const covered = Float64Array.from(start);
    for (let at = 0; at < trace.count; at += 1) {
        const row = by_start ? by_start[at] : at;
        const above = parent[row];
        if (above === NONE) continue;
        const from = Math.max(start[row], covered[above]);
        const to = Math.min(start[row] + duration[row], start[above] + duration[above]);
        if (to <= from) continue;
        self[above] -= to - from;
        covered[above] = to;
    }
    return self;
}

/* { parent, first_child, next_sibling, order, place, depth, size, start, duration, self, shift,
 *   from, to, flaws }. start and duration are as drawn: moved, and never negative. */
export function buildTree(trace) {
    const flaws = { orphans: 0, cycles: 0, skewed: 0, negative: 0, repeated_ids: 0, roots: 0 };
    const parent = rootedParents(trace, flaws);
    const links = linkChildren(trace.count, parent);
    const walked = walk(trace.count, parent, links.first_child, links.next_sibling);
    const shift = findSkew(trace, parent, walked.order, flaws);
    let start = trace.start;
    let by_start = null;
    if (shift) {
        start = trace.start.map((ns, row) => ns + shift[row]);
        by_start = Int32Array.from(start.keys()).sort((a, b) => start[a] - start[b] || a - b);
    }
    const duration = Float64Array.from(trace.duration);
    let [from, to] = [Infinity, -Infinity];
    for (let row = 0; row < trace.count; row += 1) {
        if (duration[row] < 0) {
            flaws.negative += 1;
            duration[row] = 0;
        }
        if (trace.kind[row] & 0x20) flaws.repeated_ids += 1;
        if (parent[row] === NONE) flaws.roots += 1;
        from = Math.min(from, start[row]);
        to = Math.max(to, start[row] + duration[row]);
    }
    const self = findSelf(trace, parent, start, duration, by_start);
    if (trace.count === 0) [from, to] = [0, 0];
    return { parent, ...links, ...walked, start, duration, self, shift, from, to, flaws };
}

/* The rows that show in a waterfall, in order, when those in `closed` hide what is below them. */
export function visibleRows(tree, closed) {
    if (closed.size === 0) return tree.order;
    const visible = new Int32Array(tree.order.length);
    let count = 0;
    for (let at = 0; at < tree.order.length;) {
        const row = tree.order[at];
        visible[count++] = row;
        at += closed.has(row) ? tree.size[row] : 1;
    }
    return visible.subarray(0, count);
}

/* Opens whatever hides the row; returns whether anything did. */
export function reveal(tree, closed, row) {
    let changed = false;
    for (let above = tree.parent[row]; above !== NONE; above = tree.parent[above])
        changed = closed.delete(above) || changed;
    return changed;
}

/* Calls, errors, own time by service, most own time first. */
export function byService(trace, tree) {
    const rows = trace.services.map((service, number) => ({
        service,
        number,
        calls: 0,
        errors: 0,
        self: 0,
    }));
    for (let row = 0; row < trace.count; row += 1) {
        const sum = rows[trace.service[row]];
        sum.calls += 1;
        sum.self += tree.self[row];
        if (isError(trace, row)) sum.errors += 1;
    }
    return rows.sort((a, b) => b.self - a.self || a.number - b.number);
}

/* 1 where name or service of the row has the text, in any case. Empty text: null. */
export function matchRows(trace, text) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return null;
    const has = (words) => words.map((word) => word.toLowerCase().includes(wanted));
    const [names, services] = [has(trace.names), has(trace.services)];
    const errors_too = wanted === 'error';
    const matches = new Uint8Array(trace.count);
    for (let row = 0; row < trace.count; row += 1) {
        const hit = names[trace.name[row]] || services[trace.service[row]];
        if (hit || (errors_too && isError(trace, row))) matches[row] = 1;
    }
    return matches;
}

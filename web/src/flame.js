/* SPDX-License-Identifier: Apache-2.0 */

/* flame - a trace folded by path: calls of one operation under the same callers become one box, as
 * wide as the time spent in it and below it.
 *
 * Pure. The width is own time summed up, so calls that ran side by side stand side by side, and
 * no box is wider than the one that it stands on. */

const NONE = -1;

/* Boxes as arrays, parents before children: { parent, depth, service, name, calls, errors, self,
 * total, row (one span of it), left (where it begins, in the unit of total), count, depth_max }. */
export function foldFlame(trace, tree) {
    const boxes = { parent: [], depth: [], service: [], name: [], calls: [], errors: [], self: [] };
    boxes.row = [];
    const by_path = new Map();
    const box_of = new Int32Array(trace.count);
    for (const row of tree.order) {
        const above = tree.parent[row] === NONE ? NONE : box_of[tree.parent[row]];
        const path = `${above} ${trace.service[row]} ${trace.name[row]}`;
        let box = by_path.get(path);
        if (box === undefined) {
            box = boxes.parent.length;
            by_path.set(path, box);
            boxes.parent.push(above);
            boxes.depth.push(above === NONE ? 0 : boxes.depth[above] + 1);
            boxes.service.push(trace.service[row]);
            boxes.name.push(trace.name[row]);
            boxes.calls.push(0);
            boxes.errors.push(0);
            boxes.self.push(0);
            boxes.row.push(row);
        }
        box_of[row] = box;
        boxes.calls[box] += 1;
        boxes.self[box] += tree.self[row];
        if (((trace.kind[row] >> 3) & 3) === 2) boxes.errors[box] += 1;
        if (tree.duration[row] > tree.duration[boxes.row[box]]) boxes.row[box] = row;
    }
    return placeBoxes(boxes);
}

function placeBoxes(boxes) {
    const count = boxes.parent.length;
    const total = Float64Array.from(boxes.self);
    for (let box = count - 1; box >= 0; box -= 1) {
        if (boxes.parent[box] !== NONE) total[boxes.parent[box]] += total[box];
    }
    /* The widest first, from the left. */
    const children = new Map();
    for (let box = 0; box < count; box += 1) {
        const list = children.get(boxes.parent[box]) ?? [];
        list.push(box);
        children.set(boxes.parent[box], list);
    }
    const left = new Float64Array(count);
    const place = (list, from) => {
        let at = from;
        for (const box of list.sort((a, b) => total[b] - total[a] || a - b)) {
            left[box] = at;
            at += total[box];
        }
        return at;
    };
    const width = place(children.get(NONE) ?? [], 0);
    for (let box = 0; box < count; box += 1) {
        if (children.has(box)) place(children.get(box), left[box]);
    }
    const depth_max = boxes.depth.reduce((most, depth) => Math.max(most, depth), 0);
    return { ...boxes, total, left, width, count, depth_max };
}

/* SPDX-License-Identifier: Apache-2.0 */

/* map_layout - services in layers from callers at the left to the called at the right.
 *
 * Pure, and the same input in any order gives the same picture: names break every tie.
 *
 *   1. edges of circles are turned around, for the layers only
 *   2. a node stands one layer behind its farthest caller; who is not called stands first
 *   3. an edge over several layers gets a waypoint in each between
 *   4. within layers, nodes go to the middle of their neighbours, to and fro, and the order with
 *      the fewest crossings stays
 *   5. heights: each node as near to its neighbours' middle as its neighbours in the layer allow
 *   6. nodes without any edge stand below, side by side */

const SWEEPS = 12;
const ISLANDS_WIDE = 4; /* Side by side, when the map itself is narrower. */
const byName = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/* Depth first from those that nobody calls; an edge back onto the own path is turned around. */
function acyclic(names, edges) {
    const out = new Map(names.map((name) => [name, []]));
    const called = new Set(edges.filter(({ from, to }) => from !== to).map(({ to }) => to));
    for (const edge of edges) if (edge.from !== edge.to) out.get(edge.from).push(edge.to);
    for (const list of out.values()) list.sort(byName);
    const state = new Map();
    const forward = new Map(names.map((name) => [name, new Set()]));
    const visit = (start) => {
        const stack = [[start, 0]];
        state.set(start, 'open');
        while (stack.length > 0) {
            const top = stack[stack.length - 1];
            const [name, next] = top;
            const list = out.get(name);
            if (next === list.length) {
                state.set(name, 'done');
                stack.pop();
                continue;
            }
            top[1] += 1;
            const to = list[next];
            if (state.get(to) === 'open') {
                forward.get(to).add(name);
                continue;
            }
            forward.get(name).add(to);
            if (!state.has(to)) {
                state.set(to, 'open');
                stack.push([to, 0]);
            }
        }
    };
    const first = names.filter((name) => !called.has(name));
    for (const name of [...first, ...names]) if (!state.has(name)) visit(name);
    return forward;
}

function assignLayers(names, forward) {
    const layer = new Map(names.map((name) => [name, 0]));
    const incoming = new Map(names.map((name) => [name, 0]));
    for (const targets of forward.values())
        for (const to of targets) incoming.set(to, incoming.get(to) + 1);
    const ready = names.filter((name) => incoming.get(name) === 0);
    while (ready.length > 0) {
        const name = ready.shift();
        for (const to of forward.get(name)) {
            layer.set(to, Math.max(layer.get(to), layer.get(name) + 1));
            incoming.set(to, incoming.get(to) - 1);
            if (incoming.get(to) === 0) ready.push(to);
        }
    }
    return layer;
}

/* Layers of places; a place is { key, name (null: waypoint), up: [places], down: [places] }. */
function makePlaces(names, forward, layer) {
    const layers = [];
    const place = (key, name, at) => {
        const made = { key, name, up: [], down: [], layer: at, y: 0 };
        (layers[at] ??= []).push(made);
        return made;
    };
    const of = new Map(names.map((name) => [name, place(name, name, layer.get(name))]));
    const routes = new Map();
    for (const name of names) {
        for (const to of [...forward.get(name)].sort(byName)) {
            const route = [of.get(name)];
            for (let at = layer.get(name) + 1; at < layer.get(to); at += 1)
                route.push(place(`${name}\u0000${to}`, null, at));
            route.push(of.get(to));
            for (let at = 1; at < route.length; at += 1) {
                route[at - 1].down.push(route[at]);
                route[at].up.push(route[at - 1]);
            }
            routes.set(`${name}\u0000${to}`, route);
        }
    }
    for (let at = 0; at < layers.length; at += 1) layers[at] ??= [];
    return { layers, of, routes };
}

function number(layers) {
    for (const list of layers) list.forEach((place, index) => (place.index = index));
}

function crossings(layers) {
    let count = 0;
    for (const list of layers) {
        const ends = list.flatMap((place) =>
            place.down.map(({ index }) => index).sort((a, b) => a - b),
        );
        for (let a = 0; a < ends.length; a += 1)
            for (let b = a + 1; b < ends.length; b += 1) if (ends[a] > ends[b]) count += 1;
    }
    return count;
}

function orderLayers(layers) {
    for (const list of layers) list.sort((a, b) => byName(a.key, b.key));
    number(layers);
    let best = layers.map((list) => [...list]);
    let least = crossings(layers);
    for (let sweep = 0; sweep < SWEEPS && least > 0; sweep += 1) {
        const side = sweep % 2 === 0 ? 'up' : 'down';
        const sequence = side === 'up' ? layers : [...layers].reverse();
        for (const list of sequence) {
            for (const place of list) {
                const near = place[side].map(({ index }) => index);
                place.wish = near.length
                    ? near.reduce((sum, index) => sum + index, 0) / near.length
                    : place.index;
            }
            list.sort((a, b) => a.wish - b.wish || a.index - b.index);
            list.forEach((place, index) => (place.index = index));
        }
        const now = crossings(layers);
        if (now < least) {
            least = now;
            best = layers.map((list) => [...list]);
        }
    }
    best.forEach((list, at) => (layers[at] = list));
    number(layers);
}

/* Pushes wishes apart to keep `gap`, and the whole layer as near to them as that allows. */
function spread(list, gap) {
    const half = (place) => (place.name === null ? gap * 0.2 : gap * 0.5);
    let floor = -Infinity;
    for (const place of list) {
        place.y = Math.max(place.wish, floor + half(place));
        floor = place.y + half(place);
    }
    const drift = list.reduce((sum, place) => sum + place.y - place.wish, 0) / list.length;
    for (const place of list) place.y -= drift;
}

function assignHeights(layers, gap) {
    for (const list of layers) {
        list.forEach((place, index) => (place.wish = index * gap));
        spread(list, gap);
        const middle = (list[0]?.y + list.at(-1)?.y) / 2 || 0;
        for (const place of list) place.y -= middle;
    }
    for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
        const sequence = sweep % 2 === 0 ? layers : [...layers].reverse();
        for (const list of sequence) {
            if (list.length === 0) continue;
            for (const place of list) {
                const near = [...place.up, ...place.down];
                place.wish = near.length
                    ? near.reduce((sum, { y }) => sum + y, 0) / near.length
                    : place.y;
            }
            spread(list, gap);
        }
    }
}

/* names: strings; edges: [{ from, to }] between them. Sizes in px. Returns { nodes: Map name ->
 * { x, y, layer }, edges: [{ from, to, points: [{x, y}] }], width, height }; x and y are middles. */
export function layoutMap(names, edges, { column = 260, row = 84, margin = 60 } = {}) {
    const sorted = [...new Set(names)].sort(byName);
    const known = new Set(sorted);
    const links = edges.filter(({ from, to }) => known.has(from) && known.has(to));
    const linked = new Set(links.flatMap(({ from, to }) => [from, to]));
    const inner = sorted.filter((name) => linked.has(name));
    const forward = acyclic(inner, links);
    const layer = assignLayers(inner, forward);
    const { layers, of, routes } = makePlaces(inner, forward, layer);
    orderLayers(layers);
    assignHeights(layers, row);
    const heights = layers.flat().map(({ y }) => y);
    const top = Math.min(...heights, 0);
    const at = ({ layer: index, y }) => ({
        x: margin + column / 2 + index * column,
        y: y - top + margin,
    });
    const nodes = new Map(
        inner.map((name) => [name, { ...at(of.get(name)), layer: layer.get(name) }]),
    );
    const islands = sorted.filter((name) => !linked.has(name));
    const wide = Math.max(layers.length, ISLANDS_WIDE);
    const below = inner.length > 0 ? Math.max(...heights) - top + margin + row : margin;
    islands.forEach((name, index) =>
        nodes.set(name, {
            x: margin + column / 2 + (index % wide) * column,
            y: below + Math.floor(index / wide) * row,
            layer: index % wide,
        }),
    );
    const places = [...nodes.values()];
    return {
        nodes,
        edges: links.map(({ from, to }) => ({
            from,
            to,
            points: pointsOf(from, to, of, routes, at),
        })),
        width: margin + Math.max(0, ...places.map(({ x }) => x)) + column / 2,
        height: margin + Math.max(0, ...places.map(({ y }) => y)),
    };
}

function pointsOf(from, to, of, routes, at) {
    if (from === to) return [at(of.get(from)), at(of.get(from))];
    const straight = routes.get(`${from}\u0000${to}`);
    if (straight) return straight.map(at);
    return [...routes.get(`${to}\u0000${from}`)].reverse().map(at);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* service_graph - who calls whom, how often, with which errors and how slowly, from the metrics that
 * the daemon makes of spans.
 *
 * Pure. Counters are read at both ends of the time looked at. What a counter had before it was first
 * seen belongs to the time too, so a service that just began to speak shows at once (a rate would
 * wait for a second sample); a counter that fell began anew. */

/* The two questions about edges and the two about services, asked at the end and at the start. */
export const QUESTIONS = {
    edges: 'sum by (__name__, client, server, connection_type) ({__name__=~"traces_service_graph_request_(total|failed_total)"})',
    edge_times:
        'sum by (client, server, connection_type, le) (traces_service_graph_request_client_seconds_bucket)',
    services:
        'sum by (service, status_code) (traces_span_metrics_calls_total{span_kind=~"SPAN_KIND_(SERVER|CONSUMER)"})',
    service_times:
        'sum by (service, le) (traces_span_metrics_duration_seconds_bucket{span_kind=~"SPAN_KIND_(SERVER|CONSUMER)"})',
};

const keyOf = (metric) =>
    Object.keys(metric)
        .sort()
        .map((name) => `${name}\u0001${metric[name]}`)
        .join('\u0002');

const numberOf = ({ value }) => Number(value?.[1] ?? NaN);

/* [{ metric, value }] of what was counted between two instant answers. */
export function difference(end, start) {
    const before = new Map(start.map((row) => [keyOf(row.metric), numberOf(row)]));
    return end.map((row) => {
        const now = numberOf(row);
        const then = before.get(keyOf(row.metric)) ?? 0;
        return { metric: row.metric, value: now >= then ? now - then : now };
    });
}

/* A quantile of cumulative buckets [{ le, count }], within its bucket as if spread evenly; null
 * when there is nothing in them. Beyond the last bound: that bound. */
export function bucketQuantile(buckets, share) {
    const sorted = [...buckets].sort((a, b) => a.le - b.le);
    const all = sorted.at(-1)?.count ?? 0;
    if (!(all > 0)) return null;
    const rank = share * all;
    let [low, below] = [0, 0];
    for (const { le, count } of sorted) {
        if (count >= rank) {
            if (le === Infinity) return low;
            return count === below ? le : low + ((le - low) * (rank - below)) / (count - below);
        }
        [low, below] = [le === Infinity ? low : le, count];
    }
    return low;
}

const boundOf = (le) => (le === '+Inf' ? Infinity : Number(le));

const newNode = (name) => ({
    name,
    kind: 'service',
    calls: 0,
    errors: 0,
    buckets: [],
    told: false,
});

/* answers: QUESTIONS answered, as differences; span_s: seconds looked at. Returns
 * { nodes: [{ name, kind, calls, rate, errors, error_share, p95_s }], edges: [{ from, to, kind, … }] }
 * without those that nobody called. */
export function makeGraph(answers, span_s) {
    const nodes = new Map();
    const edges = new Map();
    const nodeOf = (name) => {
        if (!nodes.has(name)) nodes.set(name, newNode(name));
        return nodes.get(name);
    };
    const edgeOf = ({ client, server, connection_type: kind = '' }) => {
        const key = `${client}\u0000${server}\u0000${kind}`;
        if (!edges.has(key))
            edges.set(key, { from: client, to: server, kind, calls: 0, errors: 0, buckets: [] });
        return edges.get(key);
    };
    for (const { metric, value } of answers.edges) {
        const edge = edgeOf(metric);
        if (metric.__name__.endsWith('_failed_total')) edge.errors += value;
        else edge.calls += value;
    }
    for (const { metric, value } of answers.edge_times)
        edgeOf(metric).buckets.push({ le: boundOf(metric.le), count: value });
    for (const { metric, value } of answers.services) {
        const node = nodeOf(metric.service);
        node.told = true;
        node.calls += value;
        if (metric.status_code === 'STATUS_CODE_ERROR') node.errors += value;
    }
    for (const { metric, value } of answers.service_times)
        nodeOf(metric.service).buckets.push({ le: boundOf(metric.le), count: value });
    const called = [...edges.values()].filter(({ calls }) => calls > 0);
    for (const edge of called) {
        nodeOf(edge.from);
        takeCallers(nodeOf(edge.to), edge);
    }
    const used = new Set(called.flatMap(({ from, to }) => [from, to]));
    return {
        nodes: [...nodes.values()]
            .filter(({ name, calls }) => calls > 0 || used.has(name))
            .map((node) => finished(node, span_s)),
        edges: called.map((edge) => finished(edge, span_s)),
    };
}

/* What tells nothing of itself (a database, a service without tracing) is known from its callers. */
function takeCallers(node, edge) {
    if (node.told) return;
    node.kind = edge.kind || 'silent';
    node.calls += edge.calls;
    node.errors += edge.errors;
    for (const { le, count } of edge.buckets) {
        const own = node.buckets.find((bucket) => bucket.le === le);
        if (own) own.count += count;
        else node.buckets.push({ le, count });
    }
}

function finished({ buckets, told, ...rest }, span_s) {
    return {
        ...rest,
        rate: span_s > 0 ? rest.calls / span_s : 0,
        error_share: rest.calls > 0 ? rest.errors / rest.calls : 0,
        p95_s: bucketQuantile(buckets, 0.95),
    };
}

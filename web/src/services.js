/* SPDX-License-Identifier: Apache-2.0 */

/* services - the answer of /api/v1/services as rows: who is worst, what fits a filter, which
 * sentences belong to it. Pure. */

/* One row per operation, { service, operation, failure_rate, …numbers }. */
export function operationRows(answer) {
    return answer.services.flatMap(({ service, operations }) =>
        operations.map((row) => ({
            ...row,
            service,
            failure_rate: row.count === 0 ? 0 : row.failures / row.count,
        })),
    );
}

const unknownLast = (value) => (value === null || value === undefined ? -1 : value);

/* Broken promises first, then by failures, then by duration. */
export function compareWorst(a, b) {
    const broken = (row) => (row.promise === 'broken' ? 1 : 0);
    return (
        broken(b) - broken(a) ||
        b.failure_rate - a.failure_rate ||
        unknownLast(b.p95_ms) - unknownLast(a.p95_ms) ||
        compareNames(a, b)
    );
}

function compareNames(a, b) {
    return a.service.localeCompare(b.service) || a.operation.localeCompare(b.operation);
}

/* key -> what is compared; the unknown comes last either way. */
export const SORTS = {
    operation: { text: true },
    service: { text: true },
    rate: { value: (row) => row.throughput_rps },
    errors: { value: (row) => row.failure_rate },
    p50: { value: (row) => row.p50_ms },
    p95: { value: (row) => row.p95_ms },
    p99: { value: (row) => row.p99_ms },
};

export function sortOperations(rows, key, descending) {
    const sort = SORTS[key];
    const sign = descending ? -1 : 1;
    if (!sort) return [...rows].sort(compareWorst);
    if (sort.text) {
        return [...rows].sort((a, b) => sign * a[key].localeCompare(b[key]) || compareNames(a, b));
    }
    return [...rows].sort((a, b) => {
        const [left, right] = [sort.value(a) ?? null, sort.value(b) ?? null];
        if (left === null || right === null) return (left === null) - (right === null);
        return sign * (left - right) || compareNames(a, b);
    });
}

/* Every word must be in the name of the service or of the operation. */
export function filterOperations(rows, { text, service }) {
    const words = (text ?? '').toLowerCase().split(/\s+/).filter(Boolean);
    return rows.filter((row) => {
        if (service && row.service !== service) return false;
        const hay = `${row.service} ${row.operation}`.toLowerCase();
        return words.every((word) => hay.includes(word));
    });
}

/* Lines of the verdict without those of journeys, and only of this service or operation. */
export function promiseLines(verdict, { service, operation } = {}) {
    return verdict.lines.filter(
        (line) =>
            !line.journey &&
            (!service || line.service === service) &&
            (!operation || line.operation === operation),
    );
}

/* Journeys in the order of their file: { name, status, lines }. */
export function journeysOf(verdict) {
    const journeys = new Map();
    for (const line of verdict.lines) {
        if (!line.journey) continue;
        const journey = journeys.get(line.journey) ?? {
            name: line.journey,
            status: 'kept',
            lines: [],
        };
        journey.lines.push(line);
        if (line.status === 'broken' || (line.status === 'unknown' && journey.status === 'kept'))
            journey.status = line.status;
        journeys.set(line.journey, journey);
    }
    return [...journeys.values()];
}

/* "POST /a" has a promise that names durations: the lines to draw into its chart, in seconds. */
export function targetLines(targets = {}) {
    return [
        ['max_p50_latency_ms', 'P50 promised'],
        ['max_p95_latency_ms', 'P95 promised'],
        ['max_p99_latency_ms', 'P99 promised'],
    ]
        .filter(([key]) => targets[key] !== undefined)
        .map(([key, name]) => ({ name, value: targets[key] / 1000 }));
}

/* Spans as what failed and how often, most frequent first: by the type of the error, else by the
 * first line of what was said about it. */
export function errorKinds(spans) {
    const kinds = new Map();
    for (const span of spans) {
        const exception = span.events?.find(({ name }) => name === 'exception')?.attributes ?? {};
        const said = (span.status_message ?? exception['exception.message'] ?? '').split('\n')[0];
        const kind =
            span.attributes['error.type'] ??
            exception['exception.type'] ??
            (said.slice(0, 80) || 'unnamed');
        const known = kinds.get(kind) ?? { kind: String(kind), count: 0, said: '' };
        known.count += 1;
        if (said !== String(kind)) known.said ||= said;
        kinds.set(kind, known);
    }
    return [...kinds.values()].sort((a, b) => b.count - a.count || a.kind.localeCompare(b.kind));
}

/* Told as figures of model calls. */
const FIGURES = /^gen_ai\.(usage\.|response\.(time_to_first_chunk|id)$)/;
const VALUES_SHOWN = 4;
const KEYS_SHOWN = 16;

/* What was noted beside the calls: { key, values: [{ value, count }], distinct }. Keys whose value
 * differs each time (an id) are told by their number alone. */
export function metadataSeen(spans) {
    const keys = new Map();
    for (const { attributes } of spans) {
        for (const [key, value] of Object.entries(attributes)) {
            if (FIGURES.test(key)) continue;
            const values = keys.get(key) ?? new Map();
            const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
            values.set(text, (values.get(text) ?? 0) + 1);
            keys.set(key, values);
        }
    }
    return [...keys.entries()]
        .map(([key, values]) => ({
            key,
            distinct: values.size,
            values: [...values.entries()]
                .map(([value, count]) => ({ value, count }))
                .sort((a, b) => b.count - a.count || a.value.localeCompare(b.value))
                .slice(0, VALUES_SHOWN),
        }))
        .sort((a, b) => a.key.localeCompare(b.key))
        .slice(0, KEYS_SHOWN);
}

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

/* Figures of model calls among spans, or null when none is one. Sums and means of those that say
 * so; what no call tells is null. */
export function modelFigures(spans) {
    const calls = spans.filter(
        ({ attributes }) => attributes['gen_ai.request.model'] ?? attributes['gen_ai.system'],
    );
    if (calls.length === 0) return null;
    const all = (key) => calls.map(({ attributes }) => attributes[key]).filter(isNumber);
    const sum = (values) =>
        values.length === 0 ? null : values.reduce((total, value) => total + value, 0);
    const first = all('gen_ai.response.time_to_first_chunk').sort((a, b) => a - b);
    const output = sum(all('gen_ai.usage.output_tokens'));
    const busy_s = calls.reduce((total, { duration_ns }) => total + duration_ns / 1e9, 0);
    return {
        calls: calls.length,
        models: [...new Set(calls.map(({ attributes }) => attributes['gen_ai.request.model']))]
            .filter(Boolean)
            .sort(),
        input_tokens: sum(all('gen_ai.usage.input_tokens')),
        output_tokens: output,
        cached_tokens: sum(all('gen_ai.usage.cache_read.input_tokens')),
        cost_usd: sum(all('gen_ai.usage.cost')),
        first_token_p50_s: first.length === 0 ? null : first[Math.floor((first.length - 1) / 2)],
        first_token_p95_s: first.length === 0 ? null : first[Math.floor((first.length - 1) * 0.95)],
        tokens_per_s: output === null || busy_s <= 0 ? null : output / busy_s,
    };
}

/* SPDX-License-Identifier: Apache-2.0 */

/* load_runs - reports of loads as what a page shows: columns over time, figures, requests.
 *
 * Pure. */
import { formatCount, formatValue, significant } from './format.js';

const seconds = (ms) => (ms === null || ms === undefined ? null : ms / 1000);

/* The last interval may be a splinter whose rate says nothing. */
function wholeIntervals(points) {
    if (points.length < 3) return points;
    const usual = points[1].time_s - points[0].time_s;
    const last = points[points.length - 1].time_s - points[points.length - 2].time_s;
    return last < usual / 2 ? points.slice(0, -1) : points;
}

/* The intervals of a run, at moments of the clock: { times: [s], columns: { rate, p50, p95, p99 } },
 * latencies in seconds. */
export function curvesOf(all, started_ms) {
    const points = wholeIntervals(all);
    const start_s = started_ms / 1000;
    const pick = (read) => points.map(read);
    return {
        times: pick(({ time_s }) => start_s + time_s),
        rate: pick(({ rate }) => rate ?? null),
        errors: pick(({ errors }) => errors ?? 0),
        p50: pick(({ p50_ms }) => seconds(p50_ms)),
        p95: pick(({ p95_ms }) => seconds(p95_ms)),
        p99: pick(({ p99_ms }) => seconds(p99_ms)),
    };
}

/* [[name, text, look]] for tiles. */
export function figuresOf(report) {
    const latency = report.latency_ms ?? {};
    const failed = report.requests > 0 ? report.errors / report.requests : 0;
    return [
        ['Requests', formatCount(report.requests)],
        ['Rate', formatValue(report.rate, 'per_s')],
        ['Errors', `${significant(failed * 100)} %`, failed > 0 ? 'errors' : ''],
        ['P50', formatValue(seconds(latency.p50), 'seconds')],
        ['P95', formatValue(seconds(latency.p95), 'seconds')],
        ['P99', formatValue(seconds(latency.p99), 'seconds')],
        ['Longest', formatValue(seconds(latency.max), 'seconds')],
    ];
}

/* The same while it runs, from its intervals. */
export function figuresSoFar(points) {
    const last = points[points.length - 1];
    const sum = (key) => points.reduce((total, point) => total + (point[key] ?? 0), 0);
    if (!last) return [['Requests', '0']];
    return [
        ['Requests', formatCount(sum('requests'))],
        ['Rate', formatValue(last.rate, 'per_s')],
        ['Errors', formatCount(sum('errors')), sum('errors') > 0 ? 'errors' : ''],
        ['P50', formatValue(seconds(last.p50_ms), 'seconds')],
        ['P95', formatValue(seconds(last.p95_ms), 'seconds')],
        ['P99', formatValue(seconds(last.p99_ms), 'seconds')],
    ];
}

/* What the form says as what the daemon takes; empty fields are left out. */
export function requestOf({ url, connections, rate, duration, test, criteria }) {
    const fields = { url: url.trim() };
    if (connections) fields.connections = Number(connections);
    if (rate) fields.rate = Number(rate);
    if (duration) fields.duration = duration.trim();
    if (test) fields.test = test;
    const promises = (criteria ?? '')
        .split(',')
        .map((text) => text.trim())
        .filter(Boolean);
    if (promises.length > 0) fields.criteria = promises;
    return fields;
}

const UNIT_OF = { bytes_per_second: 'bytes_per_s', per_second: 'per_s' };

function figureText(value, unit) {
    if (unit !== 'ratio') return formatValue(value, UNIT_OF[unit] ?? 'count');
    return formatValue(value === null || value === undefined ? null : value * 100, 'percent');
}

/* Of what the daemon saw: a row for each figure of the machine that was measured. */
export function figureRows({ figures = [] }) {
    return figures.map(({ title, subject, unit, before, during, peak }) => [
        subject ? `${title} (${subject})` : title,
        ...[before, during, peak].map((value) => figureText(value, unit)),
    ]);
}

/* Its sentences for the verdict, but for those that a finding says already. */
export function notesBeside({ notes = [], findings = [] }) {
    return notes
        .map(({ text }) => text)
        .filter((text) => !findings.some(({ claim }) => text.includes(claim)));
}

export function processRows({ processes = [] }) {
    return processes.map(({ name, cores_before, cores, memory_bytes }) => [
        name,
        formatValue(cores_before),
        formatValue(cores),
        formatValue(memory_bytes, 'bytes'),
    ]);
}

/* [{ cells, id: of its slowest trace }] */
export function serviceRows({ services = [] }) {
    return services.map(({ service, name, spans, errors, p50_ms, p95_ms, slowest = [] }) => ({
        cells: [
            service,
            name,
            formatCount(spans),
            formatCount(errors),
            formatValue(seconds(p50_ms), 'seconds'),
            formatValue(seconds(p95_ms), 'seconds'),
        ],
        id: slowest[0]?.trace_id ?? '',
    }));
}

/* A row for each machine that made a part of the load. */
export function agentRows({ agents = [] }) {
    return agents.map(({ name, state, requests, share, errors, p50_ms, p99_ms, ...agent }) => [
        name,
        state,
        formatCount(requests),
        figureText(share, 'ratio'),
        formatCount(errors),
        formatValue(seconds(p50_ms), 'seconds'),
        formatValue(seconds(p99_ms), 'seconds'),
        figureText(agent.busiest_thread, 'ratio'),
    ]);
}

/* Of a run in the list: [look, icon, word]. */
export function stateOf({ state, verdict }) {
    if (state === 'running') return ['unknown', 'play', 'Running'];
    if (state === 'failed') return ['critical', 'stop', 'Could not run'];
    return verdict === 'failed' ? ['warning', 'alert', 'Failed'] : ['ok', 'check', 'Passed'];
}

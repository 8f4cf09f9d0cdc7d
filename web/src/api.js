/* SPDX-License-Identifier: Apache-2.0 */

/* api - the daemon's HTTP routes. Same origin, JSON, a few requests at a time.
 *
 * Every call takes an AbortSignal: who changes the question takes the old one back. Errors are
 * ApiError with a sentence for the person, and where the daemon says so a hint and a position. */

import { noteServerTime } from './clock.js';

const IN_FLIGHT_MAX = 4;

export class ApiError extends Error {
    constructor(message, { code = 'error', hint = '', status = 0 } = {}) {
        super(message);
        this.code = code;
        this.hint = hint;
        this.status = status;
    }
}

export const isAbort = (error) => error?.name === 'AbortError';

let in_flight = 0;
const waiting = [];

/* Browsers give one origin six connections; the live stream and the assets want some too. */
async function takeTurn(signal) {
    if (in_flight >= IN_FLIGHT_MAX) {
        await new Promise((resolve, reject) => {
            const entry = { resolve, signal };
            waiting.push(entry);
            signal?.addEventListener('abort', () => {
                const index = waiting.indexOf(entry);
                if (index >= 0) waiting.splice(index, 1);
                reject(signal.reason);
            });
        });
    }
    in_flight += 1;
}

function endTurn() {
    in_flight -= 1;
    waiting.shift()?.resolve();
}

/* Both shapes of error: Prometheus' {status, errorType, error} and ours {error: {…}}. */
export function errorFromBody(body, status) {
    if (body && typeof body.error === 'object' && body.error !== null) {
        const { code, message, hint } = body.error;
        return new ApiError(message ?? `The daemon answered ${status}.`, { code, hint, status });
    }
    if (body && typeof body.error === 'string') {
        return new ApiError(body.error, { code: body.errorType, hint: body.hint ?? '', status });
    }
    return new ApiError(`The daemon answered ${status} without saying why.`, { status });
}

async function request(path, { signal, method = 'GET', body, headers, bytes = false } = {}) {
    signal?.throwIfAborted();
    await takeTurn(signal);
    try {
        const response = await send(path, { signal, method, body, headers });
        noteServerTime(Date.parse(response.headers.get('date')));
        if (bytes && response.ok) return await response.arrayBuffer();
        const json = await response.json().catch((error) => {
            if (isAbort(error)) throw error;
            return null;
        });
        if (!response.ok || json === null || json.status === 'error') {
            throw errorFromBody(json, response.status);
        }
        return json;
    } finally {
        endTurn();
    }
}

async function send(path, options) {
    try {
        return await fetch(path, options);
    } catch (error) {
        if (isAbort(error)) throw error;
        throw new ApiError('The daemon does not answer.', {
            code: 'unreachable',
            hint: 'Is `sonde serve` still running, and is this machine still reached?',
        });
    }
}

/* Long expressions do not fit an address line, so questions are posted as a form. */
function ask(path, fields, signal) {
    const body = new URLSearchParams(fields);
    return request(path, { signal, method: 'POST', body });
}

/* Returns the matrix: [{ metric, values: [[s, "text"], …] }]. */
export async function queryRange(expr, { start, end, step_ms, signal }) {
    const fields = { query: expr, start: start / 1000, end: end / 1000, step: step_ms / 1000 };
    const { data } = await ask('/api/v1/query_range', fields, signal);
    return data.result;
}

/* Returns { type, result } at an instant; without `time` the daemon takes now. */
export async function queryInstant(expr, { time, signal } = {}) {
    const fields = { query: expr };
    if (time !== undefined) fields.time = time / 1000;
    const { data } = await ask('/api/v1/query', fields, signal);
    return { type: data.resultType, result: data.result };
}

export async function labelValues(label, { match, signal } = {}) {
    const query = match ? `?${new URLSearchParams({ 'match[]': match })}` : '';
    const { data } = await request(`/api/v1/label/${encodeURIComponent(label)}/values${query}`, {
        signal,
    });
    return data;
}

export async function labelNames({ match, signal } = {}) {
    const query = match ? `?${new URLSearchParams({ 'match[]': match })}` : '';
    const { data } = await request(`/api/v1/labels${query}`, { signal });
    return data;
}

/* { name: [{ type, help, unit }] } */
export async function metadata({ signal } = {}) {
    const { data } = await request('/api/v1/metadata', { signal });
    return data;
}

export function health({ signal } = {}) {
    return request('/api/v1/health', { signal });
}

export async function processes({ sort, limit, pss, kernel, signal } = {}) {
    const query = new URLSearchParams();
    if (sort) query.set('sort', sort);
    if (limit) query.set('limit', limit);
    if (pss) query.set('pss', '1');
    if (kernel) query.set('kernel', '1');
    const { data } = await request(`/api/v1/processes?${query}`, { signal });
    return data;
}

export async function status({ signal } = {}) {
    const { data } = await request('/api/v1/status', { signal });
    return data;
}

/* How services do, up to `end` (now when absent). */
export function services({ service, operation, range_ms, end_ms, trend, signal } = {}) {
    return request(
        `/api/v1/services?${serviceQuery({ service, operation, range_ms, end_ms, trend })}`,
        {
            signal,
        },
    );
}

export function servicesHistory({ service, operation, range_ms, end_ms, step_ms, signal } = {}) {
    const query = serviceQuery({ service, operation, range_ms, end_ms, step_ms });
    return request(`/api/v1/services/history?${query}`, { signal });
}

function serviceQuery({ service, operation, range_ms, end_ms, step_ms, trend }) {
    const query = new URLSearchParams();
    if (service) query.set('service', service);
    if (operation) query.set('operation', operation);
    if (range_ms) query.set('range', `${Math.round(range_ms)}ms`);
    if (end_ms) query.set('end', String(end_ms / 1000));
    if (step_ms) query.set('step', `${step_ms}ms`);
    if (trend) query.set('trend', String(trend));
    return query;
}

/* Spans that fit, newest first. */
export async function searchSpans({
    service,
    name,
    min_duration,
    status,
    start_ms,
    end_ms,
    limit,
    signal,
}) {
    const query = new URLSearchParams();
    const fields = { service, name, min_duration, status, limit };
    for (const [key, value] of Object.entries(fields)) if (value) query.set(key, String(value));
    if (start_ms) query.set('start', String(start_ms / 1000));
    if (end_ms) query.set('end', String(end_ms / 1000));
    const { spans } = await request(`/api/v1/traces/search?${query}`, { signal });
    return spans;
}

/* ---- Traces. ---- */

/* Pairs of parameters, see trace_search.js; order: newest, slowest or errors. */
export function tracesSummary(pairs, { order, limit, signal } = {}) {
    const query = new URLSearchParams([...pairs, ['order', order], ['limit', limit]]);
    return request(`/api/v1/traces/summary?${query}`, { signal });
}

/* The bytes that trace_columns.js reads. */
export function traceColumns(id, { signal } = {}) {
    return request(`/api/v1/traces/${encodeURIComponent(id)}?format=columns`, {
        signal,
        bytes: true,
    });
}

/* { spans, logs } of one span, with everything about it. */
export function spanDetail(id, span, { signal } = {}) {
    const query = new URLSearchParams({ span });
    return request(`/api/v1/traces/${encodeURIComponent(id)}?${query}`, { signal });
}

export function traceExplain(id, { signal } = {}) {
    return request(`/api/v1/traces/${encodeURIComponent(id)}/explain`, { signal });
}

export function tracesCompare(pairs, { signal } = {}) {
    return request(`/api/v1/traces/compare?${new URLSearchParams(pairs)}`, { signal });
}

/* ---- Loads. ---- */

export async function loadRuns({ signal } = {}) {
    const { runs } = await request('/api/v1/load/runs', { signal });
    return runs;
}

/* { run, host }: while it runs with `progress`, afterwards with `report`. */
export function loadRun(id, { signal } = {}) {
    return request(`/api/v1/load/runs/${encodeURIComponent(id)}`, { signal });
}

export function startLoad(fields, { signal } = {}) {
    const headers = { 'content-type': 'application/json' };
    return request('/api/v1/load/runs', {
        signal,
        method: 'POST',
        headers,
        body: JSON.stringify(fields),
    });
}

export function stopLoad(id) {
    return request(`/api/v1/load/runs/${encodeURIComponent(id)}/stop`, { method: 'POST' });
}

export function removeLoad(id) {
    return request(`/api/v1/load/runs/${encodeURIComponent(id)}`, {
        method: 'DELETE',
        bytes: true,
    });
}

export function compareLoads(id, against, { signal } = {}) {
    const query = new URLSearchParams({ against });
    return request(`/api/v1/load/runs/${encodeURIComponent(id)}/compare?${query}`, { signal });
}

/* ---- Benchmarks. ---- */

const BENCHMARKS = '/api/v1/performance/benchmarks';

/* Newest first, each with that many verdicts on schedule. */
export async function benchmarks({ runs, signal } = {}) {
    const { benchmarks: list } = await request(`${BENCHMARKS}?${new URLSearchParams({ runs })}`, {
        signal,
    });
    return list;
}

export function benchmark(name, { signal } = {}) {
    return request(`${BENCHMARKS}/${encodeURIComponent(name)}`, { signal });
}

export function compareBenchmark(name, { signal } = {}) {
    return request(`${BENCHMARKS}/${encodeURIComponent(name)}/compare`, { signal });
}

export function createBenchmark(fields) {
    return request(BENCHMARKS, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(fields),
    });
}

export function removeBenchmark(name) {
    return request(`${BENCHMARKS}/${encodeURIComponent(name)}`, { method: 'DELETE', bytes: true });
}

/* { regressions, verdicts }: what is worse now than in any benchmark, and what came of each. */
export function regressions({ signal } = {}) {
    return request('/api/v1/performance/regressions', { signal });
}

/* SPDX-License-Identifier: Apache-2.0 */

/* benchmarks - verdicts as what a page shows: words, order, figures, the way to a metric's chart.
 *
 * Pure. A verdict is an entry of a comparison (`MetricVerdict` of the API), a run what the daemon
 * found on schedule. */
import {
    DASH,
    formatCount,
    formatSeconds,
    formatSince,
    formatValue,
    significant,
} from './format.js';
import { spellMoment } from './range.js';

/* Verdict -> its key among the counts, what it looks like and its word, worst first. */
export const VERDICTS = {
    degraded: { key: 'degraded', look: 'degraded', symbol: 'alert', word: 'degraded' },
    'cannot tell': { key: 'cannot_tell', look: 'unknown', symbol: 'help', word: 'cannot tell' },
    improved: { key: 'improved', look: 'improved', symbol: 'up', word: 'improved' },
    stable: { key: 'stable', look: 'stable', symbol: 'check', word: 'stable' },
};
const ORDER = Object.keys(VERDICTS);
const SEVERITIES = ['critical', 'warning', 'info'];

export const lookOf = (verdict) => VERDICTS[verdict] ?? VERDICTS['cannot tell'];

/* "2 degraded, 5 stable", worst first; nothing of none. */
export function countsText(counts = {}) {
    return Object.values(VERDICTS)
        .filter(({ key }) => counts[key] > 0)
        .map(({ key, word }) => `${counts[key]} ${word}`)
        .join(', ');
}

const sizeOf = ({ change, threshold }) =>
    change === null || change === undefined ? Infinity : Math.abs(change) / (threshold || 1);

export function worstFirst(metrics) {
    const severity = (row) => SEVERITIES.indexOf(row.severity);
    return [...metrics].sort(
        (a, b) =>
            ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict) ||
            severity(a) - severity(b) ||
            sizeOf(b) - sizeOf(a) ||
            a.metric.localeCompare(b.metric),
    );
}

/* ---- Figures. ---- */

const UNITS = {
    s: [1, 'seconds'],
    ms: [1e-3, 'seconds'],
    us: [1e-6, 'seconds'],
    ns: [1e-9, 'seconds'],
    B: [1, 'bytes'],
    '%': [1, 'percent'],
    '/s': [1, 'per_s'],
};

export function figure(value, unit = '') {
    if (value === null || value === undefined) return DASH;
    const [factor, name] = UNITS[unit] ?? [1, 'count'];
    const text = formatValue(value * factor, name);
    return UNITS[unit] || !unit ? text : `${text} ${unit}`;
}

/* "± 3 %": how far the interval of a median reaches, as a share of it. */
export function reachText({ median, low, high } = {}) {
    if ([median, low, high].some((value) => value === null || value === undefined)) return '';
    const reach = Math.max(median - low, high - median);
    if (reach > 0 && median === 0) return '';
    return `± ${significant(reach === 0 ? 0 : (100 * reach) / Math.abs(median))} %`;
}

const share = (value) =>
    `${value > 0 ? '+' : value < 0 ? '−' : ''}${significant(Math.abs(value) * 100)} %`;

/* null is a change from nothing, of which no share can be told. */
export function changeText({ change, before }) {
    if (change !== null && change !== undefined) return share(change);
    return before?.median === 0 ? 'from 0' : DASH;
}

export function intervalText({ change_low: low, change_high: high }) {
    if (low === null || low === undefined || high === null || high === undefined) return '';
    return `${share(low)} to ${share(high)}`;
}

export function chanceText({ p_adjusted: p }) {
    if (p === null || p === undefined) return DASH;
    return p < 0.001 ? '< 0.001' : p.toFixed(3);
}

/* Why a verdict is what it is; of a change, how it stands to the threshold. */
export function reasonText({ severity, reason, threshold, quarantined }) {
    if (!severity) return reason ?? '';
    const limit = `${significant((threshold ?? 0) * 100)} %`;
    const stands = {
        info: `less than its threshold of ${limit}`,
        warning: `past its threshold of ${limit}`,
        critical: `past twice its threshold of ${limit}`,
    }[severity];
    return `${stands}${quarantined ? ', in quarantine' : ''}`;
}

export const verdictText = ({ verdict, severity }) =>
    verdict === 'degraded' ? `degraded (${severity})` : verdict;

/* "4 min": rounded up, for sooner would be in vain. */
export function waitText(wait_ms) {
    const seconds = Math.ceil(wait_ms / 1000);
    return formatSeconds(seconds < 60 ? seconds : 60 * Math.ceil(seconds / 60));
}

/* ---- When. ---- */

/* Since when the schedule has found a metric worse without a break: the end of the earliest of
 * those runs, and whether there may be earlier ones. null: the newest run does not say so. */
export function worseSince(runs = [], metric) {
    const judged = runs.filter(({ degraded, error, wait_ms }) => degraded && !error && !wait_ms);
    const end = judged.findIndex(({ degraded }) => !degraded.includes(metric));
    const worse = end < 0 ? judged : judged.slice(0, end);
    if (worse.length === 0) return null;
    return { since_ms: worse[worse.length - 1].end_ms, at_least: end < 0 };
}

/* "since 14:02 or earlier"; nothing where it is not known. */
export function sinceText(runs, metric, now) {
    const worse = worseSince(runs, metric);
    if (!worse) return '';
    return `since ${formatSince(worse.since_ms, now)}${worse.at_least ? ' or earlier' : ''}`;
}

/* Of runs, newest first, what a strip of marks shows: oldest first. */
export function marksOf(runs = []) {
    return runs
        .map(({ end_ms, verdict, counts, degraded, error, reason }) => ({
            time_ms: end_ms,
            look: lookOf(error ? 'cannot tell' : verdict).look,
            degraded: degraded ?? [],
            text: error ?? (countsText(counts) || (reason ?? verdict)),
        }))
        .reverse();
}

/* ---- The way to a chart. ---- */

const OPERATION = /^(.*) (p50|p95|errors)$/;

/* Page and parameters that draw a metric over both stretches, or null. `services`: names that are
 * known, for both a service's and an operation's may have blanks. */
export function chartOf({ metric }, { queries = {}, services = false }, known = []) {
    const name = Object.hasOwn(queries, metric) ? metric : metric.replace(/\{.*$/s, '');
    if (Object.hasOwn(queries, name)) return ['explore', { expr: queries[name].query }];
    const [, both] = (services && OPERATION.exec(metric)) || [];
    if (!both) return null;
    const service =
        known
            .filter((candidate) => both.startsWith(`${candidate} `))
            .sort((a, b) => b.length - a.length)[0] ?? both.split(' ')[0];
    return ['operation', { service, operation: both.slice(service.length + 1) }];
}

export const stretchParams = (from_ms, to_ms) => ({
    from: spellMoment(from_ms),
    to: spellMoment(to_ms),
});

/* ---- Making one. ---- */

/* "load = node_load1" a line; one without a name is its own. Braces have '=' too, and '==' and
 * '=~' compare. */
const NAMED = /^([^={}()[\]"]+?)\s*=(?![=~])\s*(.+)$/;

export function queriesOf(text) {
    const queries = {};
    for (const line of text.split('\n').map((one) => one.trim())) {
        if (!line) continue;
        const [, name, expr] = NAMED.exec(line) ?? [null, line, line];
        queries[name] = expr;
    }
    return queries;
}

/* What the form says as what the daemon takes. */
export function requestOf({ name, range, end_ms, every, services, expressions }) {
    const request = { name: name.trim(), services };
    const queries = queriesOf(expressions);
    if (range.trim()) request.range = range.trim();
    if (end_ms) request.end_ms = Math.round(end_ms);
    if (every.trim()) request.every = every.trim();
    if (Object.keys(queries).length > 0) request.queries = queries;
    return request;
}

/* "a value every minute". */
export const stepText = ({ step_ms }) => `a value every ${formatSeconds(step_ms / 1000)}`;

export const metricsText = (count) => `${formatCount(count)} metric${count === 1 ? '' : 's'}`;

/* SPDX-License-Identifier: Apache-2.0 */

/* trace_search - what is asked of traces, as the address holds it, as the daemon's parameters, and
 * as TraceQL.
 *
 * Pure. In the address: service, operation, minDuration, maxDuration ("250ms"), status ("error"),
 * tags ("key=value key2=\"with space\""), q (TraceQL). Without q the daemon's quick conditions are
 * enough; with q the fields become conditions on the same spans. */

const UNITS_NS = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/* "1.5ms" as ns; null when it is no duration. A bare number is milliseconds. */
export function parseDurationNs(text) {
    const match = /^\s*(\d+(?:\.\d+)?)\s*(ns|us|µs|μs|ms|s|m|h)?\s*$/.exec(text ?? '');
    return match ? Number(match[1]) * UNITS_NS[match[2] ?? 'ms'] : null;
}

/* A duration as the address has it: three digits, the largest unit that keeps it above one. */
export function spellDurationNs(ns) {
    const rounded = Number(Math.max(0, ns).toPrecision(3));
    for (const [unit, size] of [
        ['s', 1e9],
        ['ms', 1e6],
        ['us', 1e3],
    ]) {
        if (rounded >= size) return `${Number((rounded / size).toPrecision(6))}${unit}`;
    }
    return `${Math.round(rounded)}ns`;
}

/* "a=b c=\"d e\"" as pairs; { error } names what is none. */
export function parseTags(text) {
    const tags = [];
    let rest = (text ?? '').trim();
    while (rest) {
        const match = /^([^\s=]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))\s*/.exec(rest);
        if (!match) return { tags, error: `“${rest.slice(0, 60)}” is not key=value.` };
        const value = match[2] === undefined ? match[3] : match[2].replace(/\\(.)/g, '$1');
        tags.push({ key: match[1], value });
        rest = rest.slice(match[0].length);
    }
    return { tags, error: '' };
}

export function spellTags(tags) {
    return tags
        .map(({ key, value }) =>
            /^[^\s"]+$/.test(value) ? `${key}=${value}` : `${key}="${quoted(value)}"`,
        )
        .join(' ');
}

const quoted = (text) => text.replace(/[\\"]/g, (sign) => `\\${sign}`);

/* As a literal of TraceQL. */
const literal = (text) => `"${quoted(text).replace(/\n/g, '\\n')}"`;

/* An attribute as TraceQL names it, quoted where its key has signs of the language. */
function attributeName(key) {
    return /^[\p{L}\p{N}_./:-]+$/u.test(key) && !/^[\d.]/.test(key)
        ? `.${key}`
        : `.${literal(key)}`;
}

/* A value of an attribute may be text, number or boolean; the index compares as text, TraceQL does
 * not. */
function attributeCondition({ key, value }, scope = '') {
    const name = scope + attributeName(key);
    const text = `${name} = ${literal(value)}`;
    if (!/^(-?\d+(\.\d+)?|true|false)$/.test(value)) return text;
    return `(${text} || ${name} = ${value})`;
}

/* Spans with an event that has the attribute: { event.exception.type = "Declined" }. */
export function eventQuery(pair) {
    return `{ ${attributeCondition(pair, 'event')} }`;
}

/* The fields as conditions of one selector: "a && b", or "". */
function conditions(params) {
    const { service, operation, minDuration, maxDuration, status, tags } = params;
    const list = [];
    if (service) list.push(`resource.service.name = ${literal(service)}`);
    if (operation) list.push(`name = ${literal(operation)}`);
    const [min, max] = [parseDurationNs(minDuration), parseDurationNs(maxDuration)];
    if (min !== null) list.push(`duration >= ${spellReadable(min)}`);
    if (max !== null) list.push(`duration <= ${spellReadable(max)}`);
    if (status === 'error') list.push('status = error');
    for (const tag of parseTags(tags).tags) list.push(attributeCondition(tag));
    return list.join(' && ');
}

const spellExact = (ns) => `${Math.round(ns)}ns`;

/* The same to be read: "132ms", "1.25s"; in ns where that would be long. */
function spellReadable(ns) {
    const whole = Math.round(ns);
    for (const [unit, size] of [
        ['s', 1e9],
        ['ms', 1e6],
        ['us', 1e3],
    ]) {
        const text = String(whole / size);
        if (whole >= size && /^\d+(\.\d{1,3})?$/.test(text)) return text + unit;
    }
    return spellExact(ns);
}

/* The end of the first selector of a query, or -1: "{ a } | count() > 2" -> 4. */
function selectorEnd(query) {
    let quote = false;
    for (let at = 1; at < query.length; at += 1) {
        if (quote && query[at] === '\\') at += 1;
        else if (query[at] === '"') quote = !quote;
        else if (!quote && query[at] === '}') return at;
    }
    return -1;
}

/* Fields and q as one TraceQL query. Where q is one selector, maybe with a pipeline behind, the
 * fields are said of the same span; else of some span of the trace. */
export function toTraceql(params) {
    const fields = conditions(params);
    const query = (params.q ?? '').trim();
    if (!query) return `{ ${fields} }`.replace('{  }', '{ }');
    if (!fields) return query;
    const end = query.startsWith('{') ? selectorEnd(query) : -1;
    const behind = end < 0 ? '' : query.slice(end + 1).trim();
    if (end < 0 || (behind && !behind.startsWith('|'))) return `{ ${fields} } && ${query}`;
    if (behind.startsWith('||')) return `{ ${fields} } && (${query})`;
    const own = query.slice(1, end).trim();
    return `{ ${fields}${own ? ` && (${own})` : ''} }${behind ? ` ${behind}` : ''}`;
}

/* The daemon's parameters for /api/v1/traces/summary, as pairs. */
export function toParameters(params, { from, to }) {
    const pairs = [
        ['start', from / 1000],
        ['end', to / 1000],
    ];
    if ((params.q ?? '').trim()) return [...pairs, ['q', toTraceql(params)]];
    const { service, operation, minDuration, maxDuration, status, tags } = params;
    if (service) pairs.push(['service', service]);
    if (operation) pairs.push(['name', operation]);
    const [min, max] = [parseDurationNs(minDuration), parseDurationNs(maxDuration)];
    if (min !== null) pairs.push(['min_duration', spellExact(min)]);
    if (max !== null) pairs.push(['max_duration', spellExact(max)]);
    if (status === 'error') pairs.push(['status', 'error']);
    for (const { key, value } of parseTags(tags).tags) pairs.push(['attribute', `${key}=${value}`]);
    return pairs;
}

/* What a person should know about the fields, or "". */
export function searchProblem(params) {
    for (const [name, label] of [
        ['minDuration', 'Shortest'],
        ['maxDuration', 'Longest'],
    ]) {
        if (params[name] && parseDurationNs(params[name]) === null)
            return `${label}: “${params[name]}” is no duration such as 250ms, 1.5s or 80us.`;
    }
    const { error } = parseTags(params.tags);
    return error ? `Attributes: ${error}` : '';
}

/* SPDX-License-Identifier: Apache-2.0 */

/* promql - what the query box has to know about the language: where the caret is, what could
 * stand there, where an error is, and which unit an answer has. Pure; the daemon does the
 * understanding. */

export const FUNCTIONS = [
    'abs',
    'avg',
    'avg_over_time',
    'bottomk',
    'ceil',
    'changes',
    'clamp',
    'clamp_max',
    'clamp_min',
    'count',
    'count_over_time',
    'count_values',
    'delta',
    'deriv',
    'exp',
    'floor',
    'group',
    'histogram_quantile',
    'idelta',
    'increase',
    'irate',
    'label_join',
    'label_replace',
    'last_over_time',
    'ln',
    'log10',
    'log2',
    'max',
    'max_over_time',
    'min',
    'min_over_time',
    'predict_linear',
    'quantile',
    'quantile_over_time',
    'rate',
    'resets',
    'round',
    'scalar',
    'sort',
    'sort_desc',
    'sqrt',
    'stddev',
    'stddev_over_time',
    'sum',
    'sum_over_time',
    'time',
    'timestamp',
    'topk',
    'vector',
];

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SUGGESTIONS_MAX = 12;

/* What is being written left of the caret:
 *   { kind: 'name', prefix }                        a metric or a function
 *   { kind: 'label', prefix, metric }               a label inside { } or by ( )
 *   { kind: 'value', prefix, metric, label }        inside the quotes of label="
 *   { kind: 'none' }
 * `from` is where the prefix starts. */
export function caretContext(text, caret) {
    const before = text.slice(0, caret);
    const scan = scanOpen(before);
    if (scan.quote) return valueContext(before, scan);
    const prefix = NAME.exec(before)?.[0] ?? '';
    const from = caret - prefix.length;
    if (scan.brace >= 0) {
        const metric = NAME.exec(before.slice(0, scan.brace).trimEnd())?.[0] ?? '';
        const asks = /[{,]\s*$/.test(before.slice(0, from));
        return asks ? { kind: 'label', prefix, metric, from } : { kind: 'none' };
    }
    if (/\b(by|without|on|ignoring)\s*\([^()]*$/i.test(before)) {
        return { kind: 'label', prefix, metric: '', from };
    }
    if (/\[[^\]]*$/.test(before) || /\d$/.test(before.slice(0, from))) return { kind: 'none' };
    return { kind: 'name', prefix, from };
}

/* The innermost open brace and quote at the end of the text. */
function scanOpen(before) {
    let quote = '';
    let quote_at = -1;
    let brace = -1;
    for (let index = 0; index < before.length; index += 1) {
        const letter = before[index];
        if (quote) {
            if (letter === '\\' && quote !== '`') index += 1;
            else if (letter === quote) quote = '';
        } else if (letter === '"' || letter === "'" || letter === '`') {
            quote = letter;
            quote_at = index;
        } else if (letter === '{') brace = index;
        else if (letter === '}') brace = -1;
    }
    return { quote, quote_at, brace };
}

function valueContext(before, { quote_at, brace }) {
    if (brace < 0) return { kind: 'none' };
    const label = /([a-zA-Z_][a-zA-Z0-9_]*)\s*(=|!=|=~|!~)\s*$/.exec(
        before.slice(0, quote_at),
    )?.[1];
    if (!label) return { kind: 'none' };
    const metric = NAME.exec(before.slice(0, brace).trimEnd())?.[0] ?? '';
    return { kind: 'value', prefix: before.slice(quote_at + 1), metric, label, from: quote_at + 1 };
}

/* The best candidates: those that begin with the prefix, then those that contain it. */
export function rankCandidates(candidates, prefix, limit = SUGGESTIONS_MAX) {
    const wanted = prefix.toLowerCase();
    const ranked = { begin: [], contain: [] };
    for (const candidate of candidates) {
        const at = candidate.toLowerCase().indexOf(wanted);
        if (at === 0) ranked.begin.push(candidate);
        else if (at > 0) ranked.contain.push(candidate);
    }
    const all = [...ranked.begin, ...ranked.contain];
    return all.length === 1 && all[0] === prefix ? [] : all.slice(0, limit);
}

/* The text with the word at the context replaced, and where the caret goes. */
export function applyCompletion(text, caret, context, word, is_function) {
    const tail = context.kind === 'name' && is_function && text[caret] !== '(' ? '(' : '';
    const done = text.slice(0, context.from) + word + tail;
    return { text: done + text.slice(caret), caret: done.length };
}

/* Where a message says the error is, as an index into the text; null when it does not.
 * Known spellings: "1:8: parse error", "position 7", "column 8", "char 8". */
export function errorPosition(message, text) {
    const line_column = /(?:^|[\s(])(\d+):(\d+)(?:[:\s,)]|$)/.exec(message);
    if (line_column) {
        const lines = text.split('\n').slice(0, Number(line_column[1]) - 1);
        const start = lines.reduce((sum, line) => sum + line.length + 1, 0);
        return clampIndex(start + Number(line_column[2]) - 1, text);
    }
    const column = /\b(?:column|col|char|character)\s+(\d+)/i.exec(message);
    if (column) return clampIndex(Number(column[1]) - 1, text);
    const position = /\b(?:position|offset|byte)\s+(\d+)/i.exec(message);
    return position ? clampIndex(Number(position[1]), text) : null;
}

function clampIndex(index, text) {
    return Math.min(Math.max(0, index), text.length);
}

/* A guess that costs nothing when wrong: the unit an answer probably has, by naming rules. */
export function guessUnit(expr) {
    const rated = /\b(rate|irate|deriv)\s*\(/.test(expr);
    if (/_bytes(_total)?\b/.test(expr)) {
        if (/\//.test(expr) && (expr.match(/_bytes/g) ?? []).length > 1) {
            return /\*\s*100\b|\b100\s*\*/.test(expr) ? 'percent' : 'count';
        }
        return rated ? 'bytes_per_s' : 'bytes';
    }
    if (/_seconds(_total|_sum)?\b/.test(expr)) {
        if (!rated)
            return /_total\b/.test(expr) || !/_boot_time|_start_time/.test(expr)
                ? 'seconds'
                : 'count';
        return /\*\s*100\b|\b100\s*\*/.test(expr) ? 'percent' : 'count';
    }
    if (/\*\s*100\b|\b100\s*\*/.test(expr)) return 'percent';
    return rated ? 'per_s' : 'count';
}

/* SPDX-License-Identifier: Apache-2.0 */

/* operation_panels - the charts of one operation, from what its library or its spans tell. */
import { targetLines } from '../services.js';

const FAMILIES = {
    timers: {
        calls: 'sonde_operation_calls_total',
        durations: 'sonde_operation_duration_seconds',
        service: 'job',
        operation: 'operation',
        failed: 'outcome="error"',
        fine: 'outcome!="error"',
    },
    spans: {
        calls: 'traces_span_metrics_calls_total',
        durations: 'traces_span_metrics_duration_seconds',
        service: 'service',
        operation: 'span_name',
        failed: 'status_code="STATUS_CODE_ERROR"',
        fine: 'status_code!="STATUS_CODE_ERROR"',
    },
};

/* A label value inside a PromQL string. */
const quote = (text) => JSON.stringify(text);

/* told_by: 'timers' or 'spans'; targets: what was promised, drawn as lines. */
export function operationPanels({ service, operation, told_by, targets }) {
    const family = FAMILIES[told_by];
    const of = `${family.service}=${quote(service)},${family.operation}=${quote(operation)}`;
    const calls = (which) => `sum(rate(${family.calls}{${of},${which}}[$window]))`;
    const quantile = (q) =>
        `histogram_quantile(${q}, sum(rate(${family.durations}{${of}}[$window])))`;
    const promised = targetLines(targets);
    return [
        {
            id: 'operation-rate',
            title: 'Calls',
            unit: 'per_s',
            height: 200,
            stacked: true,
            colours: { fine: 2, failed: 3 },
            targets: [
                { expr: calls(family.fine), name: 'fine' },
                { expr: calls(family.failed), name: 'failed' },
            ],
        },
        {
            id: 'operation-latency',
            title: 'How long they take',
            unit: 'seconds',
            height: 200,
            targets: [0.5, 0.95, 0.99].map((q) => ({ expr: quantile(q), name: `P${q * 100}` })),
            derive: (columns) => withLines(columns, promised),
        },
        {
            id: 'operation-errors',
            title: 'Share that failed',
            unit: 'percent',
            height: 200,
            least: 1,
            colours: { failed: 3 },
            targets: [
                {
                    expr: `100 * (${calls(family.failed)} or vector(0)) / sum(rate(${family.calls}{${of}}[$window]))`,
                    name: 'failed',
                },
            ],
            derive: (columns) => withLines(columns, failureLine(targets)),
        },
    ];
}

function failureLine(targets = {}) {
    if (targets.min_success_rate === undefined) return [];
    return [{ name: 'promised', value: 100 * (1 - targets.min_success_rate) }];
}

/* Promises as columns that stay the same. */
function withLines(columns, lines) {
    if (columns.length === 0) return columns;
    const { length } = columns[0].values;
    return [
        ...columns,
        ...lines.map(({ name, value }) => ({
            key: `limit ${name}`,
            name,
            limit: true,
            values: new Array(length).fill(value),
        })),
    ];
}

/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffDelay, Live } from '../src/live.js';

class FakeSocket {
    sent = [];
    readyState = 0;

    send(text) {
        this.sent.push(JSON.parse(text));
    }

    open() {
        this.readyState = 1;
        this.onopen();
    }

    say(message) {
        this.onmessage({ data: JSON.stringify(message) });
    }

    close() {
        this.readyState = 3;
        this.onclose();
    }
}

function makeLive(ask = () => Promise.reject(new Error('not asked for'))) {
    const sockets = [];
    const live = new Live(() => {
        sockets.push(new FakeSocket());
        return sockets.at(-1);
    }, ask);
    return { live, sockets };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('the back-off doubles to its limit and is spread', () => {
    assert.deepEqual(
        [0, 1, 2, 9].map((attempt) => backoffDelay(attempt, 0)),
        [1000, 2000, 4000, 30000],
    );
    assert.equal(backoffDelay(0, 0.999) < 700, true);
});

test('subscriptions of one turn travel in one frame', async () => {
    const { live, sockets } = makeLive();
    assert.equal(live.state, 'off');
    const points = [];
    live.subscribe({ expr: 'a', step_ms: 1000, on_point: (point) => points.push(point) });
    live.subscribe({ expr: 'b', step_ms: 5000, on_point: () => {} });
    sockets[0].open();
    await settle();
    assert.deepEqual(
        sockets[0].sent.map(({ subscribe }) => subscribe.map(({ expr }) => expr)),
        [['a', 'b']],
    );
    sockets[0].say({ id: 's1', time_ms: 5, result: [] });
    assert.equal(points.length, 1);
    assert.equal(live.state, 'live');
    sockets[0].onmessage({ data: 'not json' });
    sockets[0].say({ id: 'unknown', result: [] });
    assert.equal(points.length, 1);
    sockets[0].close();
    live.retryNow();
    sockets[1].open();
    sockets[1].close();
});

test('a broken stream reconnects and subscribes again', async () => {
    const { live, sockets } = makeLive();
    const events = [];
    live.listen(({ type }) => events.push(`${type}:${live.state}`));
    live.subscribe({ expr: 'a', step_ms: 1000, on_point: () => {} });
    sockets[0].open();
    sockets[0].close();
    assert.equal(live.state, 'waiting');
    assert.ok(live.retryIn > 0);
    live.retryNow();
    sockets[1].open();
    await settle();
    assert.equal(sockets[1].sent[0].subscribe[0].expr, 'a');
    assert.ok(events.includes('reconnected:live'));
    const stop = live.subscribe({ expr: 'c', step_ms: 1000, on_point: () => {} });
    await settle();
    stop();
    await settle();
    assert.deepEqual(sockets[1].sent.at(-1), { unsubscribe: ['s2'] });
    live.subscribe({ expr: 'd', step_ms: 1000, on_point: () => {} })();
    await settle();
    assert.deepEqual(
        sockets[1].sent.at(-1),
        { unsubscribe: ['s2'] },
        'what was never sent is not taken back',
    );
    sockets[1].close();
    live.retryNow();
});

test('errors reach their subscriber', () => {
    const { live, sockets } = makeLive();
    let heard = null;
    live.subscribe({
        expr: '!',
        step_ms: 1000,
        on_point: () => {},
        on_error: (error) => (heard = error),
    });
    sockets[0].open();
    sockets[0].say({ id: 's1', error: { code: 'invalid', message: 'no', hint: 'yes' } });
    assert.equal(heard.message, 'no');
    sockets[0].readyState = 3;
    sockets[0].onclose();
});

test('where no socket opens, points are asked for until one does', async () => {
    const asked = [];
    const { live, sockets } = makeLive(async (question) => {
        asked.push(question.expr);
        return { time_ms: 7, result: [] };
    });
    const points = [];
    const events = [];
    live.listen(({ type }) => events.push(type));
    live.subscribe({ expr: 'a', step_ms: 1000, on_point: (point) => points.push(point) });
    sockets[0].close();
    live.retryNow();
    sockets[1].close();
    assert.equal(live.state, 'waiting');
    assert.deepEqual(asked, []);
    live.retryNow();
    sockets[2].close();
    await settle();
    assert.equal(live.state, 'polling');
    assert.deepEqual([asked, points], [['a'], [{ time_ms: 7, result: [] }]]);
    assert.ok(events.includes('reconnected'));
    live.retryNow();
    assert.equal(live.state, 'polling', 'while a socket is tried');
    sockets[3].open();
    assert.equal(live.state, 'live');
    sockets[3].readyState = 3;
    sockets[3].onclose();
    live.retryNow();
});

test('a daemon that is away is not called polling', async () => {
    const { live, sockets } = makeLive(() =>
        Promise.reject(Object.assign(new Error('away'), { code: 'unreachable' })),
    );
    const stop = live.subscribe({ expr: 'a', step_ms: 1000, on_point: () => {} });
    for (let attempt = 0; attempt < 4; attempt += 1) {
        sockets.at(-1).close();
        await settle();
        assert.equal(live.state, 'waiting');
        live.retryNow();
    }
    stop();
    sockets.at(-1).close();
    assert.equal(live.state, 'off');
});

/* SPDX-License-Identifier: Apache-2.0 */

/* scatter - where dots lie: time across, duration upwards by its logarithm.
 *
 * Pure. Logarithmic, because of traces between 1 ms and 10 s both ends are of interest; a duration
 * of nothing, or less, lies on the floor. */

const NS_MIN = 1e3; /* The floor: a microsecond. */
const DECADES_MIN = 1;

/* The decades that hold all durations, with room: { low, high } in log10 of ns. */
export function durationScale(durations) {
    let [least, most] = [Infinity, NS_MIN];
    for (const ns of durations) {
        const size = Math.max(ns, NS_MIN);
        least = Math.min(least, size);
        most = Math.max(most, size);
    }
    if (least === Infinity) [least, most] = [1e6, 1e9];
    let low = Math.log10(least) - 0.12;
    let high = Math.log10(most) + 0.12;
    if (high - low < DECADES_MIN) {
        const middle = (low + high) / 2;
        [low, high] = [middle - DECADES_MIN / 2, middle + DECADES_MIN / 2];
    }
    return { low, high };
}

/* Round durations in the scale, at most `most` of them: [ns]. */
export function durationTicks({ low, high }, most) {
    for (const steps of [[1, 2, 5], [1, 3], [1]]) {
        const ticks = [];
        for (let power = Math.floor(low); power <= Math.ceil(high); power += 1) {
            for (const step of steps) ticks.push(step * 10 ** power);
        }
        const inside = ticks.filter((ns) => Math.log10(ns) >= low && Math.log10(ns) <= high);
        if (inside.length <= most) return inside;
    }
    const decades = [];
    const stride = Math.ceil((high - low) / most);
    for (let power = Math.ceil(low); power <= high; power += stride) decades.push(10 ** power);
    return decades;
}

const TIME_STEPS_S = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
    172800, 604800, 1209600, 2592000,
];

/* Round moments between the two, in local time: [ms]. */
export function timeTicks(from, to, most) {
    const span = to - from;
    const step = (TIME_STEPS_S.find((s) => span / (s * 1e3) <= most) ?? 2592000) * 1e3;
    const offset = new Date(from).getTimezoneOffset() * 60e3;
    const ticks = [];
    for (let at = Math.ceil((from - offset) / step) * step + offset; at <= to; at += step)
        ticks.push(at);
    return ticks;
}

/* box: { left, top, width, height } of the drawing area; view: { from, to } in ms. */
export function makeScale(box, view, durations) {
    const { low, high } = durations;
    return {
        x: (ms) => box.left + ((ms - view.from) / (view.to - view.from)) * box.width,
        y: (ns) =>
            box.top + box.height * (1 - (Math.log10(Math.max(ns, NS_MIN)) - low) / (high - low)),
        time: (x) => view.from + ((x - box.left) / box.width) * (view.to - view.from),
        duration: (y) => 10 ** (low + (1 - (y - box.top) / box.height) * (high - low)),
    };
}

/* Index of the dot nearest to a point and no farther than `reach`, or -1. */
export function nearestDot(dots, x, y, reach) {
    let nearest = -1;
    let least = reach * reach;
    for (let at = 0; at < dots.length; at += 1) {
        const distance = (dots[at].x - x) ** 2 + (dots[at].y - y) ** 2;
        if (distance <= least) {
            nearest = at;
            least = distance;
        }
    }
    return nearest;
}

/* What a rectangle of two corners selects: { from, to } in ms, { min, max } in ns. */
export function selection(scale, a, b) {
    return {
        from: Math.round(scale.time(Math.min(a.x, b.x))),
        to: Math.round(scale.time(Math.max(a.x, b.x))),
        min: scale.duration(Math.max(a.y, b.y)),
        max: scale.duration(Math.min(a.y, b.y)),
    };
}

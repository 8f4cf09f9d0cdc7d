/* SPDX-License-Identifier: Apache-2.0 */

/* clock - the daemon's time, for a page may run on a machine whose clock is minutes off.
 *
 * The daemon tells its time in the Date of each answer, to the second. Differences below two
 * seconds are that rounding and the way of the answer, not the clock, and are left alone. */

const SKEW_MS_MIN = 2000;

let skew_ms = 0;

export function noteServerTime(server_ms, local_ms = Date.now()) {
    if (Number.isNaN(server_ms)) return;
    const difference = server_ms - local_ms;
    skew_ms = Math.abs(difference) < SKEW_MS_MIN ? 0 : difference;
}

export function serverNow() {
    return Date.now() + skew_ms;
}

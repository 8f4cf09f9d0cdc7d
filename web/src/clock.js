/* SPDX-License-Identifier: Apache-2.0 */

/* clock - the daemon's time, for a page may run on a machine whose clock is minutes off.
 *
 * The daemon tells its time with each health report. Differences below two seconds are the way
 * of the answer, not of the clock, and are left alone. */

const SKEW_MS_MIN = 2000;

let skew_ms = 0;

export function noteServerTime(server_ms, local_ms = Date.now()) {
    const difference = server_ms - local_ms;
    skew_ms = Math.abs(difference) < SKEW_MS_MIN ? 0 : difference;
}

export function serverNow() {
    return Date.now() + skew_ms;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* theme - light, dark, or what the system says. The choice is kept in this browser; boot.js
 * applies it before the first paint. Charts are pixels, so they are told to draw again. */

const KEY = 'sonde.theme';
const ORDER = ['system', 'light', 'dark'];

export function chosenTheme() {
    const theme = document.documentElement.dataset.theme;
    return ORDER.includes(theme) ? theme : 'system';
}

export function setTheme(theme) {
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
        if (theme === 'system') localStorage.removeItem(KEY);
        else localStorage.setItem(KEY, theme);
    } catch {
        /* Storage may be forbidden; the choice then lasts as long as the page. */
    }
    announce();
}

export function nextTheme() {
    const next = ORDER[(ORDER.indexOf(chosenTheme()) + 1) % ORDER.length];
    setTheme(next);
    return next;
}

let cached = null;

function announce() {
    cached = null;
    window.dispatchEvent(new Event('sonde-theme'));
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', announce);

/* The colours that canvas needs, read from the style sheet once per theme. */
export function colours() {
    if (cached) return cached;
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    cached = {
        series: Array.from({ length: 8 }, (_, index) => read(`--series-${index + 1}`)),
        ink: read('--ink'),
        muted: read('--muted'),
        grid: read('--grid'),
        surface: read('--surface'),
        limit: read('--limit'),
        heat_low: read('--heat-low'),
        heat_high: read('--heat-high'),
        accent: read('--accent'),
        accent_soft: read('--accent-soft'),
        critical: read('--critical'),
        warning: read('--warning'),
        hover: read('--hover'),
        faint: read('--faint'),
        veil: read('--veil'),
    };
    return cached;
}

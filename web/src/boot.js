/* SPDX-License-Identifier: Apache-2.0 */

/* boot - sets the chosen theme before anything is painted, so that no white page flashes up
 * at night. A classic script on purpose: modules run after the first paint. */
(function () {
    try {
        const theme = localStorage.getItem('sonde.theme');
        if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
    } catch {
        /* No storage: the system's theme it is. */
    }
})();

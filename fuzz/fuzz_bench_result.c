/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes: results whose every metric can be compared and written, or an error with a sentence.
 * What is written reads back as the same. */
#include "analysis/bench_result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct bench_results *results, const struct bench_results *again)
{
    MUST(results->count == again->count);
    for (size_t i = 0; i < results->count; i++) {
        MUST(results->results[i].metrics_count == again->results[i].metrics_count);
        for (size_t k = 0; k < results->results[i].metrics_count; k++)
            MUST(results->results[i].metrics[k].count == again->results[i].metrics[k].count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bench_results results CLEANUP(bench_results_done) = {0};
    struct bench_results again CLEANUP(bench_results_done) = {0};
    struct buf out CLEANUP(buf_done) = {0};
    struct json json = json_begin(&out);
    struct why why = WHY_INIT;

    if (bench_results_parse((struct str){(const char *)data, size}, "fuzz", &results, &why) !=
        ERR_NONE) {
        MUST(why.text[0] != '\0');
        return 0;
    }
    MUST(results.count > 0 && results.count <= BENCH_RESULTS_MAX);
    for (size_t i = 0; i < results.count; i++)
        MUST(results.results[i].metrics_count <= BENCH_METRICS_MAX);
    bench_results_write(&results, &json);
    if (bench_results_parse(buf_view(&out), "again", &again, &why) == ERR_NONE)
        check_same(&results, &again);
    return 0;
}

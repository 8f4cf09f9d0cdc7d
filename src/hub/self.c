/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/self.h"
#include "hub/hub.h"

void self_add(struct self *self, self_part collect, void *part)
{
    MUST(self->count < SELF_PARTS_MAX);
    self->parts[self->count].collect = collect;
    self->parts[self->count++].part = part;
}

enum err self_collect(const struct self *self, struct self_report *report, struct why *why)
{
    batch_hold(report->batch, report->pool);
    for (size_t i = 0; i < self->count; i++)
        TRY(self->parts[i].collect(self->parts[i].part, report, why));
    return ERR_NONE;
}

enum err self_write(struct self_report *report, const struct self_metric *metric, double value,
                    struct why *why)
{
    struct label pairs[LABEL_COUNT_MAX];
    const struct labels *labels;
    size_t count = 0;

    MUST(report->label_count + 2 <= ARRAY_COUNT(pairs));
    pairs[count++] = (struct label){LABEL_NAME, str_of(metric->name)};
    for (size_t i = 0; i < report->label_count; i++)
        pairs[count++] = report->labels[i];
    if (metric->label != NULL)
        pairs[count++] = (struct label){str_of(metric->label), str_of(metric->label_value)};
    TRY(label_pool_get(report->pool, pairs, count, &labels, why));
    if (report->with_infos) {
        struct metric_info info = {
            .name = str_of(metric->name), .help = str_of(metric->help), .kind = metric->kind};
        TRY(batch_info(report->batch, &info, why));
    }
    return batch_sample(report->batch, labels, report->time_ms, value, why);
}

enum err self_hub(void *part, struct self_report *report, struct why *why)
{
    struct hub_stats stats;

    hub_read_stats(part, &stats);
    const struct {
        struct self_metric metric;
        double value;
    } rows[] = {
        {{"sonde_hub_batches_total", "Batches taken in.", METRIC_COUNTER, NULL, NULL},
         (double)stats.batches},
        {{"sonde_hub_rows_total", "Rows committed.", METRIC_COUNTER, NULL, NULL},
         (double)stats.rows},
        {{"sonde_hub_rejected_rows_total", "Rows that a limit turned away.", METRIC_COUNTER, NULL,
          NULL},
         (double)stats.rejected_rows},
        {{"sonde_hub_refused_batches_total", "Batches answered \"later\" because too many waited.",
          METRIC_COUNTER, NULL, NULL},
         (double)stats.refused_batches},
        {{"sonde_hub_failed_batches_total", "Batches that could not be stored.", METRIC_COUNTER,
          NULL, NULL},
         (double)stats.failed_batches},
        {{"sonde_hub_commits_total", "Group commits.", METRIC_COUNTER, NULL, NULL},
         (double)stats.commits},
        {{"sonde_hub_commit_seconds_total", "Time spent in commits.", METRIC_COUNTER, NULL, NULL},
         (double)stats.commit_ns / 1e9},
        {{"sonde_hub_sink_errors_total", "Errors of exporters and live streams.", METRIC_COUNTER,
          NULL, NULL},
         (double)stats.sink_errors},
        {{"sonde_hub_waiting_batches", "Batches waiting to be written.", METRIC_GAUGE, NULL, NULL},
         (double)stats.waiting},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        TRY(self_write(report, &rows[i].metric, rows[i].value, why));
    return ERR_NONE;
}

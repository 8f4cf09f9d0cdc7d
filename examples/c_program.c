/* SPDX-License-Identifier: Apache-2.0 */
/* c_program - answers questions as a retrieval pipeline would, and knows how long each part took.
 *
 * With sonde installed:
 *
 *     cc c_program.c $(pkg-config --cflags --libs sonde) -lpthread -o c_program
 *     ./c_program
 *
 * prints a report and says which promises were broken; no daemon is needed. With one:
 *
 *     sonde serve &
 *     SONDE_ENDPOINT=http://127.0.0.1:7070 ./c_program
 *
 * the same shows in the dashboard, each answer as a trace. SONDE_LEVEL=detailed tells what the
 * slowest calls were about. The work is simulated: it only sleeps. */
#include <pthread.h>
#include <sonde/sonde.h>
#include <stdlib.h>
#include <time.h>

enum { ANSWERS = 200, THREADS = 2 };

/* What every part of the program needs: one handle, opened at the start. */
struct shop {
    struct sonde *sonde;
    struct sonde_counter *answers;
    struct sonde_gauge *queue;
};

static void work_us(long microseconds)
{
    const struct timespec length = {0, microseconds * 1000};

    (void)nanosleep(&length, NULL); /* Waking early does not matter. */
}

/* A timer over the rest of the block. It has a name, so it can be told of a failure. */
static bool retrieve(struct shop *shop, int question)
{
    SONDE_SCOPE_AS(timer, shop->sonde, "retrieval");
    char text[16];

    (void)snprintf(text, sizeof(text), "%d", question); /* Fits. */
    sonde_timer_note(&timer, "question", text);
    work_us(question % 50 == 0 ? 30000 : 1000);
    if (question % 40 == 7) {
        sonde_timer_fail(&timer); /* Nothing was found. */
        return false;
    }
    return true;
}

/* A call of a language model: everything that is known of it, and nothing that is not. */
static void generate(struct shop *shop, int question)
{
    struct sonde_llm_call call = SONDE_LLM_CALL_INIT;

    work_us(2000);
    call.backend = "openai";
    call.model = "gpt-4o";
    call.session_id = "demo";
    call.duration_ns = 2000000;
    call.first_token_ns = 400000;
    call.input_tokens = 800 + question;
    call.output_tokens = 120;
    call.cost_nano_usd = 3200000;
    sonde_llm_record(shop->sonde, &call, NULL);
}

/* A span: a timer with a place in a trace. What happens meanwhile on this thread belongs to it. */
static void answer(struct shop *shop, int question)
{
    SONDE_SPAN_SCOPE(scope, shop->sonde, "answer");

    sonde_span_note_integer(&scope.span, "question", question);
    if (!retrieve(shop, question)) {
        sonde_span_fail(&scope.span, "nothing found");
        return;
    }
    {
        SONDE_SCOPE(shop->sonde, "reranking");
        work_us(500);
    }
    generate(shop, question);
    sonde_count_add(shop->answers, 1);
}

static void *serve(void *argument)
{
    struct shop *shop = (struct shop *)argument;

    for (int question = 1; question <= ANSWERS / THREADS; question++) {
        sonde_gauge_set(shop->queue, ANSWERS / THREADS - question);
        answer(shop, question);
    }
    return NULL;
}

static void complain(void *self, const char *operation, const char *sentence)
{
    (void)operation; /* The sentence names it. */
    (void)fprintf((FILE *)self, "%s\n", sentence);
}

int main(void)
{
    struct shop shop;
    pthread_t threads[THREADS];

    shop.sonde = sonde_open(NULL);
    shop.answers = sonde_counter(shop.sonde, "answers");
    shop.queue = sonde_gauge(shop.sonde, "questions_waiting");
    (void)sonde_sla_set(shop.sonde, NULL, "max_p99_latency_ms", 1000);
    (void)sonde_sla_set(shop.sonde, "retrieval", "max_p95_latency_ms", 100);
    (void)sonde_sla_set(shop.sonde, "answer", "min_success_rate", 0.99);

    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, serve, &shop) != 0)
            return EXIT_FAILURE;
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL); /* Created above. */

    sonde_report_print(shop.sonde, stdout);
    size_t broken = sonde_sla_check(shop.sonde, complain, stdout);
    sonde_close(shop.sonde);
    return broken == 0 ? EXIT_SUCCESS : 2;
}

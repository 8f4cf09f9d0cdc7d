/* SPDX-License-Identifier: Apache-2.0 */
#include "export/answer.h"
#include "test.h"

#include <time.h>

static const struct http_header protobuf_type = {{"content-type", 12},
                                                 {"application/x-protobuf", 22}};

static struct answer_meaning http(int status, const struct http_header *headers, size_t count,
                                  struct str body)
{
    struct answer_meaning meaning;

    answer_read(
        &(struct http_reply){
            .status = status, .headers = headers, .headers_count = count, .body = body},
        false, 1700000000000, &meaning);
    return meaning;
}

static struct answer_meaning grpc(const struct http_header *headers, size_t count, struct str body)
{
    struct answer_meaning meaning;

    answer_read(
        &(struct http_reply){
            .status = 200, .headers = headers, .headers_count = count, .body = body},
        true, 0, &meaning);
    return meaning;
}

TEST(statuses_of_http_mean_what_otlp_says)
{
    static const struct {
        int status;
        enum verdict verdict;
    } rows[] = {{200, VERDICT_ARRIVED},   {202, VERDICT_ARRIVED},  {429, VERDICT_LATER},
                {502, VERDICT_LATER},     {503, VERDICT_LATER},    {504, VERDICT_LATER},
                {413, VERDICT_TOO_LARGE}, {400, VERDICT_REFUSED},  {500, VERDICT_REFUSED},
                {401, VERDICT_MISTAKEN},  {404, VERDICT_MISTAKEN}, {302, VERDICT_MISTAKEN}};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        EXPECT(http(rows[i].status, NULL, 0, STR("")).verdict == rows[i].verdict);
}

TEST(retry_after_is_seconds_or_a_date_and_bounded)
{
    struct http_header header = {STR("Retry-After"), STR("7")};

    EXPECT(http(503, &header, 1, STR("")).wait_ns == INT64_C(7000000000));
    header.value = STR("Tue, 14 Nov 2023 22:13:50 GMT"); /* Thirty seconds after now. */
    EXPECT(http(503, &header, 1, STR("")).wait_ns == INT64_C(30000000000));
    header.value = STR("999999999999");
    EXPECT(http(503, &header, 1, STR("")).wait_ns == INT64_C(3600000000000));
    header.value = STR("soon");
    EXPECT(http(503, &header, 1, STR("")).wait_ns == 0);
    header.value = STR("Mon, 13 Nov 2023 22:13:50 GMT");
    EXPECT(http(503, &header, 1, STR("")).wait_ns == 0);
}

TEST(partial_success_is_counted_and_told)
{
    struct answer_meaning meaning =
        http(200, &protobuf_type, 1, STR("\x0a\x0a\x08\x02\x12\x06too ol"));

    EXPECT(meaning.verdict == VERDICT_ARRIVED && meaning.rejected_items == 2);
    EXPECT(strstr(meaning.why.text, "too ol") != NULL);
    meaning = http(200, &protobuf_type, 1, STR(""));
    EXPECT(meaning.verdict == VERDICT_ARRIVED && meaning.why.text[0] == '\0');
    meaning = http(200, &protobuf_type, 1, STR("\x0a\xff\xff\xff")); /* Broken: it arrived. */
    EXPECT(meaning.verdict == VERDICT_ARRIVED);
}

TEST(codes_of_grpc_mean_what_otlp_says)
{
    static const enum verdict verdicts[] = {
        VERDICT_ARRIVED,  VERDICT_LATER,   VERDICT_REFUSED,  VERDICT_REFUSED,   VERDICT_LATER,
        VERDICT_MISTAKEN, VERDICT_REFUSED, VERDICT_MISTAKEN, VERDICT_TOO_LARGE, VERDICT_REFUSED,
        VERDICT_LATER,    VERDICT_LATER,   VERDICT_MISTAKEN, VERDICT_REFUSED,   VERDICT_LATER,
        VERDICT_LATER,    VERDICT_MISTAKEN};
    char text[8];

    for (size_t i = 0; i < ARRAY_COUNT(verdicts); i++) {
        (void)snprintf(text, sizeof(text), "%zu", i);
        struct http_header header = {STR("grpc-status"), str_of(text)};
        EXPECT(grpc(&header, 1, STR("")).verdict == verdicts[i]);
    }
    EXPECT(grpc(NULL, 0, STR("")).verdict == VERDICT_MISTAKEN);
}

TEST(retry_info_makes_exhausted_a_later)
{
    /* Status { details: Any { "type.googleapis.com/google.rpc.RetryInfo", { { 3 s } } } } */
    const struct http_header headers[] = {
        {STR("grpc-status"), STR("8")},
        {STR("grpc-status-details-bin"),
         STR("Gi4KKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8SAgoA")},
    };
    const struct http_header told[] = {
        {STR("grpc-status"), STR("14")},
        {STR("grpc-status-details-bin"),
         STR("GjAKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8SBAoCCAM")},
    };

    EXPECT(grpc(headers, 2, STR("")).verdict == VERDICT_LATER);
    struct answer_meaning meaning = grpc(told, 2, STR(""));
    EXPECT(meaning.verdict == VERDICT_LATER && meaning.wait_ns == INT64_C(3000000000));
}

TEST_MAIN

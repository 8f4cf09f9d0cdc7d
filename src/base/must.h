/* SPDX-License-Identifier: Apache-2.0 */
/* must - states what only our own bug could break; stays on in releases.
 *
 * Input from outside is never a MUST: it is an `enum err`. Any thread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Ends the process with a plain sentence naming the condition and its place. */
#define MUST(condition) \
    (__builtin_expect(!!(condition), 1) ? (void)0 : must_failed(#condition, __FILE__, __LINE__))

/* Whatever comes back through `void *` carries its magic as the first member. */
#define MUST_BE(object, expected_magic) \
    MUST((object) != NULL && (object)->magic == (expected_magic))

/* Functions whose result may not be ignored, unless a cast to void says so. Stands first in a
 * declaration. (gcc's older spelling of it would complain about the cast, too.) */
#ifdef __clang__
#define CHECKED __attribute__((warn_unused_result))
#else
#define CHECKED [[nodiscard]]
#endif
#define PRINTF_LIKE(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))

/* CLEANUP(f) runs f(&variable) when the variable leaves its scope. */
#define CLEANUP(function) __attribute__((cleanup(function)))

/* TAKE(pointer) hands the pointer over and leaves NULL behind. */
#define TAKE(pointer)                                 \
    ({                                                \
        __typeof__(pointer) *take_from_ = &(pointer); \
        __typeof__(pointer) taken_ = *take_from_;     \
        *take_from_ = NULL;                           \
        taken_;                                       \
    })

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The object that embeds `member` at `pointer`. */
#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

_Noreturn void must_failed(const char *condition, const char *file, int line);

/* Out of memory ends the process with a plain sentence; budgets make it rare. */
_Noreturn void must_memory(uint64_t wanted_bytes);

/* For the library that lives in other people's programs, where nothing may end the process: runs
 * work(self), and returns false when memory ran out in the midst. What self does not hold then, and
 * work had taken, is lost. Not nested. */
bool must_try(void (*work)(void *self), void *self);

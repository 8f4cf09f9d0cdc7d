/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/disk_name.h"

#include "sources/scan.h"

static bool all_digits(struct str text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return text.size > 0;
}

static bool is_left_out(struct str name)
{
    static const char *const numbered[] = {"ram", "loop", "fd"};
    static const char *const lettered[] = {"hd", "sd", "vd", "xvd"};
    struct scan scan = scan_of(name);
    uint64_t number;

    for (size_t i = 0; i < ARRAY_COUNT(numbered); i++) {
        size_t size = strlen(numbered[i]);
        if (str_starts(name, str_of(numbered[i])))
            return all_digits((struct str){name.data + size, name.size - size});
    }
    for (size_t i = 0; i < ARRAY_COUNT(lettered); i++) {
        size_t size = strlen(lettered[i]) + 1;
        if (str_starts(name, str_of(lettered[i])) && name.size > size &&
            name.data[size - 1] >= 'a' && name.data[size - 1] <= 'z')
            return all_digits((struct str){name.data + size, name.size - size});
    }
    return scan_skip(&scan, STR("nvme")) && scan_u64(&scan, &number) &&
           scan_skip(&scan, STR("n")) && scan_u64(&scan, &number) && scan_skip(&scan, STR("p")) &&
           all_digits(scan_rest(&scan));
}

bool disk_is_told(struct str name)
{
    return name.size > 0 && !is_left_out(name);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc.h"
#include "test.h"

/* Vectors of RFC 3720, appendix B.4. */
TEST(published_vectors_come_out)
{
    uint8_t bytes[32];

    EXPECT(crc32c(0, "123456789", 9) == 0xe3069283);
    memset(bytes, 0, sizeof(bytes));
    EXPECT(crc32c(0, bytes, sizeof(bytes)) == 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    EXPECT(crc32c(0, bytes, sizeof(bytes)) == 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    EXPECT(crc32c(0, bytes, sizeof(bytes)) == 0x46dd794e);
}

TEST(a_sum_can_be_taken_in_parts)
{
    uint32_t part = crc32c(0, "1234", 4);

    EXPECT(crc32c(part, "56789", 5) == 0xe3069283);
    EXPECT(crc32c(0, "", 0) == 0);
}

TEST_MAIN

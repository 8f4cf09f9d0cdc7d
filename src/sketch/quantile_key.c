/* SPDX-License-Identifier: Apache-2.0 */
/* Bound i of S is the least fraction whose double is not below 2^(i/S): the ceiling of
 * (2^(i/S) - 1) * 2^52, computed with sixty digits. The last closes the octave, so that the
 * comparison with the bound behind the last bucket needs no special case. */
#include "sketch/quantile_key.h"

#include <math.h>

/* clang-format off */
const uint64_t quantile_coarse_bounds[QUANTILE_COARSE + 1] = {
    0x0, 0x51ed35254d7b, 0xa57de9c16bc8, 0xfaba81d4e5e0, 0x151ab8c56eea3,
    0x1aa59c4115e7e, 0x204ce10811782, 0x2611186bae675, 0x2bf2d6a54f7db, 0x31f2b2e54f85d,
    0x381147622f887, 0x3e4f316812c30, 0x44ad116889e7c, 0x4b2b8b0aaf3c8, 0x51cb453b9536d,
    0x588cea3f093be, 0x5f7127c0ac32a, 0x6678aee5629f8, 0x6da4345d1e0ae, 0x74f47075017a0,
    0x7c6a1f29e2ce7, 0x8406003b2ae5d, 0x8bc8d73e16610, 0x93b36bb158fff, 0x9bc68911258c0,
    0xa402feeb9c533, 0xac69a0f5a241d, 0xb4fb472022b1b, 0xbdb8cdadbe121, 0xc6a31548e794e,
    0xcfbb031a741a5, 0xd90180e09c9e4, 0xe2777d0676771, 0xec1deabbe3c15, 0xf5f5c20dfe5f3,
    0x10000000000000,
};

const uint8_t quantile_coarse_guess[64] = {
    0, 0, 1, 2, 3, 3, 4, 5, 5, 6, 7, 8, 8, 9, 9, 10,
    11, 11, 12, 13, 13, 14, 14, 15, 16, 16, 17, 17, 18, 18, 19, 19,
    20, 20, 21, 22, 22, 23, 23, 24, 24, 24, 25, 25, 26, 26, 27, 27,
    28, 28, 29, 29, 30, 30, 30, 31, 31, 32, 32, 32, 33, 33, 34, 34,
};

const uint64_t quantile_fine_bounds[QUANTILE_FINE + 1] = {
    0x0, 0xa26fe0d1ae3, 0x14546d36cca7, 0x1e8851937a17, 0x28c2af3c1ff5,
    0x33038a4c549b, 0x3d4ae6e249a3, 0x4798c91ecd92, 0x51ed35254d7b, 0x5c482f1bd6ac,
    0x66a9bb2b1858, 0x7111dd7e6542, 0x7b809a43b568, 0x85f5f5aba7b6, 0x9071f3e983ad,
    0x9af499333b1c, 0xa57de9c16bc8, 0xb00de9cf6124, 0xbaa49d9b1602, 0xc54209653648,
    0xcfe6317120a2, 0xda911a04e83f, 0xe542c7695680, 0xeffb3de9ecb8, 0xfaba81d4e5e0,
    0x10580977b3855, 0x1104d83309794, 0x11b21494b75f3, 0x125fbee250665, 0x130dd76193e32,
    0x13bc5e586d6be, 0x146b540cf4f46, 0x151ab8c56eea3, 0x15ca8cc84c50f, 0x167ad05c2adea,
    0x172b83c7d517b, 0x17dca752426bf, 0x188e3b4297529, 0x19403fe025670, 0x19f2b5726b858,
    0x1aa59c4115e7e, 0x1b58f493fe422, 0x1c0cbeb32bdf9, 0x1cc0fae6d3bf8, 0x1d75a97758b26,
    0x1e2acaad4b76c, 0x1ee05ed16ad6a, 0x1f96662ca3c45, 0x204ce10811782, 0x2103cfacfd8d7,
    0x21bb3264e0205, 0x227309795feae, 0x232b553452630, 0x23e415dfbbd7d, 0x249d4bc5cf8f9,
    0x2556f730efe57, 0x2611186bae675, 0x26cbafc0cbf3c, 0x2786bd7b38d80, 0x284241e614ee3,
    0x28fe3d4cafbb8, 0x29baaffa888e3, 0x2a779a3b4e9c2, 0x2b34fc5ae1213, 0x2bf2d6a54f7db,
    0x2cb12966d954c, 0x2d6ff4ebeeab5, 0x2e2f398130066, 0x2eeef7736e8a3, 0x2faf2f0fac18e,
    0x306fe0a31b716, 0x31310c7b204e7, 0x31f2b2e54f85d, 0x32b4d42f6f276, 0x337770a7769c3,
    0x343a889b8ec61, 0x34fe1c5a121ee, 0x35c22c318cd7d, 0x3686b870bcf96, 0x374bc16692827,
    0x381147622f887, 0x38d74ab2e856f, 0x399dcba8438f7, 0x3a64ca91fa498, 0x3b2c47bff8329,
    0x3bf443825bae3, 0x3cbcbe2975f62, 0x3d85b805cb3ab, 0x3e4f316812c30, 0x3f192aa1370d7,
    0x3fe3a40255f01, 0x40ae9ddcc0b96, 0x417a1881fc50e, 0x42461443c157c, 0x43129173fc49a,
    0x43df9064cd9dc, 0x44ad116889e7c, 0x457b14d1b9f8c, 0x46499af31b007, 0x4718a41f9eae9,
    0x47e830aa6b53f, 0x48b840e6dc03f, 0x4988d52880b61, 0x4a59edc31e677, 0x4b2b8b0aaf3c8,
    0x4bfdad5362a28, 0x4cd054f19d71a, 0x4da38239fa0ed, 0x4e773581488da, 0x4f4b6f1c8ed23,
    0x50202f6108b3e, 0x50f576a4281ed, 0x51cb453b9536d, 0x52a19b7d2e796, 0x537879bf08e06,
    0x544fe0577004a, 0x5527cf9ce6407, 0x560047e624d26, 0x56d9498a1c004, 0x57b2d4dff339d,
    0x588cea3f093be, 0x596789fef4337, 0x5a42b47781e0c, 0x5b1e6a00b7bab, 0x5bfaaaf2d311f,
    0x5cd777a64934c, 0x5db4d073c7921, 0x5e92b5b433dd7, 0x5f7127c0ac32a, 0x605026f287396,
    0x612fb3a354494, 0x620fce2cdb8dd, 0x62f076e91e2a5, 0x63d1ae32565e5, 0x64b37462f7a97,
    0x6595c9d5aef01, 0x6678aee5629f8, 0x675c23ed32d2d, 0x684029487976e, 0x6924bf52ca6fc,
    0x6a09e667f3bcd, 0x6aef9ee3fd9e1, 0x6bd5e9232ab8f, 0x6cbcc581f83d6, 0x6da4345d1e0ae,
    0x6e8c36118ed5d, 0x6f74cafc784cf, 0x705df37b433e7, 0x7147afeb93bdc, 0x723200ab49491,
    0x731ce6187eeef, 0x740860918b744, 0x74f47075017a0, 0x75e11621afa35, 0x76ce51f6a0bb8,
    0x77bc24531bdc5, 0x78aa8d96a493f, 0x79998e20fb0bc, 0x7a8926521c2e8, 0x7b79568a41cee,
    0x7c6a1f29e2ce7, 0x7d5b8091b343c, 0x7e4d7b22a4a20, 0x7f400f3de5df4, 0x80333d44e39be,
    0x8127059948499, 0x821b689cfc528, 0x831066b22640d, 0x8406003b2ae5d, 0x84fc359aad81a,
    0x85f307338feaf, 0x86ea7568f2b65, 0x87e2809e355e8, 0x88db2936f66be, 0x89d46f97139ce,
    0x8ace5422aa0dc, 0x8bc8d73e16610, 0x8cc3f94df4e7a, 0x8dbfbab721c97, 0x8ebc1bdeb92db,
    0x8fb91d2a1763a, 0x90b6befed90b3, 0x91b501c2db3df, 0x92b3e5dc3bb7c, 0x93b36bb158fff,
    0x94b393a8d2928, 0x95b45e2989091, 0x96b5cb9a9e446, 0x97b7dc637595d, 0x98ba90ebb3e8a,
    0x99bde99b3febd, 0x9ac1e6da423bc, 0x9bc68911258c0, 0x9ccbd0a896d15, 0x9dd1be09856ba,
    0x9ed8519d23503, 0x9fdf8bcce533e, 0xa0e76d0282b58, 0xa1eff5a7f6883, 0xa2f926277e9e3,
    0xa402feeb9c533, 0xa50d805f14978, 0xa618aaecf01a8, 0xa7247f007b760, 0xa830fd0547591,
    0xa93e256728b37, 0xaa4bf89238e0b, 0xab5a76f2d5d39, 0xac69a0f5a241d, 0xad79770785cf8,
    0xae89f995ad3ae, 0xaf9b290d8a884, 0xb0ad05dcd52e0, 0xb1bf90718a406, 0xb2d2c939ec9de,
    0xb3e6b0a4851bb, 0xb4fb472022b1b, 0xb6108d1bdaa73, 0xb726830708bf9, 0xb83d29514f670,
    0xb954806a97df1, 0xba6c88c3126bf, 0xbb8542cb36816, 0xbc9eaef3c2eff, 0xbdb8cdadbe121,
    0xbed39f6a75f9b, 0xbfef249b809db, 0xc10b5db2bc078, 0xc2284b224e80b, 0xc345ed5ca6c11,
    0xc46444d47c1c8, 0xc58351fcceb10, 0xc6a31548e794e, 0xc7c38f2c59051, 0xc8e4c01afe939,
    0xca06a888fd560, 0xcb2948eac4143, 0xcc4ca1b50b76e, 0xcd70b35cd636d, 0xce957e57714b7,
    0xcfbb031a741a5, 0xd0e1421bc0a62, 0xd2083bd183be0, 0xd32ff0b2352d5, 0xd458613497eac,
    0xd5818dcfba488, 0xd6ab76faf623a, 0xd7d61d2df1148, 0xd90180e09c9e4, 0xda2da28b365f8,
    0xdb5a82a648425, 0xdc8821aaa8acb, 0xddb680117ab13, 0xdee59e542e3f6, 0xe0157cec8054f,
    0xe1461c547b2e1, 0xe2777d0676771, 0xe3a99f7d177cf, 0xe4dc8433515f2, 0xe6102ba465406,
    0xe744964be278c, 0xe879c4a5a6c6f, 0xe9afb72dde820, 0xeae66e6104cb9, 0xec1deabbe3c15,
    0xed562cbb94af7, 0xee8f34dd8042f, 0xefc9039f5ebbc, 0xf103997f381f5, 0xf23ef6fb646b5,
    0xf37b1c928bc85, 0xf4b80ac3a6bc9, 0xf5f5c20dfe5f3, 0xf73442f12c8b2, 0xf8738ded1c126,
    0xf9b3a38208f1a, 0xfaf4843080836, 0xfc36307961b3e, 0xfd78a8dddd34b, 0xfebbeddf75b0b,
    0x10000000000000,
};

const uint16_t quantile_fine_guess[512] = {
    0, 0, 1, 2, 3, 3, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11,
    12, 13, 13, 14, 15, 16, 16, 17, 18, 19, 20, 20, 21, 22, 23, 23,
    24, 25, 25, 26, 27, 28, 28, 29, 30, 31, 31, 32, 33, 34, 34, 35,
    36, 36, 37, 38, 39, 39, 40, 41, 41, 42, 43, 44, 44, 45, 46, 46,
    47, 48, 48, 49, 50, 51, 51, 52, 53, 53, 54, 55, 55, 56, 57, 57,
    58, 59, 60, 60, 61, 62, 62, 63, 64, 64, 65, 66, 66, 67, 68, 68,
    69, 70, 70, 71, 72, 72, 73, 74, 74, 75, 76, 76, 77, 77, 78, 79,
    79, 80, 81, 81, 82, 83, 83, 84, 85, 85, 86, 86, 87, 88, 88, 89,
    90, 90, 91, 92, 92, 93, 93, 94, 95, 95, 96, 97, 97, 98, 98, 99,
    100, 100, 101, 101, 102, 103, 103, 104, 105, 105, 106, 106, 107, 108, 108, 109,
    109, 110, 111, 111, 112, 112, 113, 114, 114, 115, 115, 116, 116, 117, 118, 118,
    119, 119, 120, 121, 121, 122, 122, 123, 124, 124, 125, 125, 126, 126, 127, 128,
    128, 129, 129, 130, 130, 131, 132, 132, 133, 133, 134, 134, 135, 136, 136, 137,
    137, 138, 138, 139, 139, 140, 141, 141, 142, 142, 143, 143, 144, 144, 145, 146,
    146, 147, 147, 148, 148, 149, 149, 150, 150, 151, 152, 152, 153, 153, 154, 154,
    155, 155, 156, 156, 157, 157, 158, 159, 159, 160, 160, 161, 161, 162, 162, 163,
    163, 164, 164, 165, 165, 166, 166, 167, 167, 168, 169, 169, 170, 170, 171, 171,
    172, 172, 173, 173, 174, 174, 175, 175, 176, 176, 177, 177, 178, 178, 179, 179,
    180, 180, 181, 181, 182, 182, 183, 183, 184, 184, 185, 185, 186, 186, 187, 187,
    188, 188, 189, 189, 190, 190, 191, 191, 192, 192, 193, 193, 194, 194, 195, 195,
    196, 196, 197, 197, 198, 198, 199, 199, 199, 200, 200, 201, 201, 202, 202, 203,
    203, 204, 204, 205, 205, 206, 206, 207, 207, 208, 208, 209, 209, 209, 210, 210,
    211, 211, 212, 212, 213, 213, 214, 214, 215, 215, 216, 216, 216, 217, 217, 218,
    218, 219, 219, 220, 220, 221, 221, 221, 222, 222, 223, 223, 224, 224, 225, 225,
    226, 226, 226, 227, 227, 228, 228, 229, 229, 230, 230, 230, 231, 231, 232, 232,
    233, 233, 234, 234, 234, 235, 235, 236, 236, 237, 237, 238, 238, 238, 239, 239,
    240, 240, 241, 241, 241, 242, 242, 243, 243, 244, 244, 244, 245, 245, 246, 246,
    247, 247, 247, 248, 248, 249, 249, 250, 250, 250, 251, 251, 252, 252, 253, 253,
    253, 254, 254, 255, 255, 256, 256, 256, 257, 257, 258, 258, 258, 259, 259, 260,
    260, 261, 261, 261, 262, 262, 263, 263, 263, 264, 264, 265, 265, 265, 266, 266,
    267, 267, 267, 268, 268, 269, 269, 270, 270, 270, 271, 271, 272, 272, 272, 273,
    273, 274, 274, 274, 275, 275, 276, 276, 276, 277, 277, 278, 278, 278, 279, 279,
};
/* clang-format on */

static int32_t per_octave(unsigned precision)
{
    return QUANTILE_COARSE << precision;
}

double quantile_key_lower(int32_t key, unsigned precision)
{
    int32_t fine = QUANTILE_FINE / per_octave(precision);
    int32_t octave = key / per_octave(precision);
    int32_t step = key % per_octave(precision);

    if (step < 0) {
        step += per_octave(precision);
        octave--;
    }
    return ldexp(1 + ldexp((double)quantile_fine_bounds[step * fine], -52), octave);
}

double quantile_key_value(int32_t key, unsigned precision)
{
    double lower = quantile_key_lower(key, precision);
    double ratio = exp2(1.0 / per_octave(precision));

    /* 2 * lower * upper / (lower + upper): as far from either end in ratio to it. */
    return lower * (2 * ratio / (1 + ratio));
}

double quantile_error(unsigned precision)
{
    double ratio = exp2(1.0 / per_octave(precision));

    return (ratio - 1) / (ratio + 1);
}

uint64_t quantile_rank(double q, uint64_t count)
{
    /* 0.07 * 100 is a little more than 7, and yet the seventh is meant. */
    double place = ceil(q * (double)count * (1 - 0x1p-50));

    return place < 1 ? 0 : place >= (double)count ? count - 1 : (uint64_t)place - 1;
}

int32_t quantile_key_min(unsigned precision)
{
    return -1022 * per_octave(precision);
}

int32_t quantile_key_max(unsigned precision)
{
    return 1024 * per_octave(precision) - 1;
}

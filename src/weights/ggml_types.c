#include "weights/ggml_types.h"

typedef struct known {
    const char *name; /* ggml's, of types that are not read; NULL for those that are */
    stapes__dtype dtype;
} known;

static const known types[] = {
    {NULL, STAPES__F32},  {NULL, STAPES__F16},  {NULL, STAPES__Q4_0}, {NULL, STAPES__Q4_1},
    {"Q4_2", 0},          {"Q4_3", 0},          {NULL, STAPES__Q5_0}, {NULL, STAPES__Q5_1},
    {NULL, STAPES__Q8_0}, {"Q8_1", 0},          {NULL, STAPES__Q2_K}, {NULL, STAPES__Q3_K},
    {NULL, STAPES__Q4_K}, {NULL, STAPES__Q5_K}, {NULL, STAPES__Q6_K}, {"Q8_K", 0},
    {"IQ2_XXS", 0},       {"IQ2_XS", 0},        {"IQ3_XXS", 0},       {"IQ1_S", 0},
    {"IQ4_NL", 0},        {"IQ3_S", 0},         {"IQ2_S", 0},         {"IQ4_XS", 0},
    {NULL, STAPES__I8},   {NULL, STAPES__I16},  {NULL, STAPES__I32},  {NULL, STAPES__I64},
    {NULL, STAPES__F64},  {"IQ1_M", 0},         {NULL, STAPES__BF16},
};

stapes_status stapes__ggml_type(uint64_t id, const char *name, size_t length, stapes__dtype *dtype,
                                stapes_error *err) {
    size_t count = sizeof types / sizeof *types;
    int shown = length > 80 ? 80 : (int)length;
    if (id < count && !types[id].name) {
        *dtype = types[id].dtype;
        return STAPES_OK;
    }
    stapes__fail(err, STAPES_E_UNSUPPORTED,
                 "tensor %.*s has the ggml type %llu%s%s, which is not read", shown, name,
                 (unsigned long long)id, id < count ? ", " : "", id < count ? types[id].name : "");
    stapes__hint(err, "use a file in F32, F16, BF16, Q4_0 to Q8_0 or Q2_K to Q6_K");
    return STAPES_E_UNSUPPORTED;
}

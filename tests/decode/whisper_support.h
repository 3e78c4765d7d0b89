/* Shared by the tests of Whisper's rules: a vocabulary that holds only the entries that the vectors
 * need, and short ways into JSON. */
#ifndef STAPES_TEST_WHISPER_SUPPORT_H
#define STAPES_TEST_WHISPER_SUPPORT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/whisper/layout.h"
#include "support.h"
#include "text/tokenizer.h"

static inline json_t *field(json_t *object, const char *name) {
    json_t *value = json_object_get(object, name);
    if (!value)
        fail_msg("the case has no %s", name);
    return value;
}

static inline int64_t whole(json_t *object, const char *name) {
    return json_integer_value(field(object, name));
}

static inline double number(json_t *object, const char *name) {
    return json_number_value(field(object, name));
}

static inline const char *string(json_t *object, const char *name) {
    return json_string_value(field(object, name));
}

/* An array of integers; free() the result. */
static inline int32_t *ids_of(json_t *array, size_t *count) {
    assert_true(json_is_array(array));
    *count = json_array_size(array);
    int32_t *ids = calloc(*count + 1, sizeof *ids);
    assert_non_null(ids);
    for (size_t i = 0; i < *count; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return ids;
}

static inline void assert_ids(const char *what, const int32_t *got, size_t count, json_t *want) {
    size_t n;
    int32_t *ids = ids_of(want, &n);
    for (size_t i = 0; i < n && i < count; i++)
        if (got[i] != ids[i])
            fail_msg("%s: id %zu is %d, not %d", what, i, (int)got[i], (int)ids[i]);
    if (n != count)
        fail_msg("%s: %zu ids, not %zu", what, count, n);
    free(ids);
}

static inline void assert_near(const char *what, double got, double want, double tolerance) {
    if (!(got - want <= tolerance && want - got <= tolerance))
        fail_msg("%s: %.9g, not %.9g", what, got, want);
}

static inline size_t base64_bytes(const char *text, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;
    unsigned bits = 0, have = 0;
    for (; *text && *text != '='; text++) {
        bits = bits << 6 | (unsigned)(strchr(digits, *text) - digits);
        have += 6;
        if (have >= 8)
            out[n++] = (char)(bits >> (have -= 8));
    }
    return n;
}

static inline stapes__whisper_layout layout_named(const char *name) {
    stapes__whisper_layout layout;
    stapes_error err;
    size_t vocabulary = strcmp(name, "en") == 0 ? 51864 : strcmp(name, "v3") == 0 ? 51866 : 51865;
    assert_ok(stapes__whisper_layout_of(vocabulary, &layout, &err), err);
    return layout;
}

/* The vocabulary of a layout from whisper/decode; entries that are not in it hold bytes that occur
 * in no text. */
static inline stapes__tokenizer *vocabulary_of(const char *layout) {
    enum { ROOM = 160 };
    bool english = strcmp(layout, "en") == 0;
    size_t count = english ? 50256 : 50257;
    vectors v = vectors_open("whisper/decode");
    char *bytes = calloc(count, ROOM);
    const uint8_t **tokens = calloc(count, sizeof *tokens);
    size_t *lengths = calloc(count, sizeof *lengths), i;
    assert_true(bytes && tokens && lengths);
    json_t *entry, *list = field(field(v.info, "vocabulary"), english ? "en" : "multi");
    for (i = 0; i < count; i++) {
        tokens[i] = (uint8_t *)bytes + i * ROOM;
        lengths[i] = (size_t)snprintf(bytes + i * ROOM, ROOM, "\xff\xff%zu", i);
    }
    json_array_foreach(list, i, entry) {
        size_t id = (size_t)json_integer_value(json_array_get(entry, 0));
        const char *text = json_string_value(json_array_get(entry, 1));
        assert_true(id < count && strlen(text) < ROOM);
        lengths[id] = base64_bytes(text, bytes + id * ROOM);
    }
    stapes__tokenizer *tokenizer = NULL;
    stapes_error err;
    assert_ok(stapes__tokenizer_open_bytes(&tokenizer, tokens, lengths, count, &err), err);
    free(bytes);
    free(tokens);
    free(lengths);
    vectors_close(&v);
    return tokenizer;
}

#endif

/* Tokenizers against tests/vectors/tokenizer: decoding, streaming, encoding, the readers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#include "base/file.h"
#include "text/tokenizer.h"

static const char *const V3_LIKE = "parakeet/tdt/model/tokenizer.model";

static stapes__tokenizer *open_file(const char *relative,
                                    stapes_status (*open)(stapes__tokenizer **, const char *,
                                                          size_t, stapes_error *)) {
    char path[4096], *data;
    size_t size;
    stapes_error err = {0};
    stapes__tokenizer *t;
    assert_ok(
        stapes__read_file(vectors_path(path, sizeof path, relative), 1 << 20, &data, &size, &err),
        err);
    if (open)
        assert_ok(open(&t, data, size, &err), err);
    else
        assert_ok(stapes__tokenizer_open_sentencepiece(&t, data, size, &err), err);
    free(data);
    return t;
}

static size_t read_ids(const json_t *list, int32_t *ids) {
    size_t n = json_array_size(list);
    assert_true(n <= 256);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return n;
}

static void check_text(const stapes__tokenizer *t, const int32_t *ids, size_t n, unsigned flags,
                       const json_t *want, bool stable) {
    stapes__buf out = {0};
    stapes_error err = {0};
    assert_ok(stable ? stapes__tokenizer_decode_stable(t, ids, n, flags, &out, &err)
                     : stapes__tokenizer_decode(t, ids, n, flags, &out, &err),
              err);
    if (out.length != json_string_length(want) ||
        (out.length && memcmp(out.data, json_string_value(want), out.length) != 0))
        fail_msg("decoded \"%s\", want \"%s\"", out.data ? out.data : "", json_string_value(want));
    stapes__buf_free(&out);
}

static void check_literal(const stapes__tokenizer *t, const int32_t *ids, size_t n, unsigned flags,
                          const char *want) {
    json_t *text = json_string(want);
    check_text(t, ids, n, flags, text, false);
    json_decref(text);
}

static void decodes_like_the_references(void **state) {
    (void)state;
    vectors v = vectors_open("tokenizer");
    stapes__tokenizer *sp = open_file(V3_LIKE, NULL);
    stapes__tokenizer *json =
        open_file("parakeet/tdt/model/tokenizer.json", stapes__tokenizer_open_json);
    assert_int_equal(stapes__tokenizer_size(sp), 128);
    assert_int_equal(stapes__tokenizer_size(json), 128); /* <blank> is no piece */
    static const char *const groups[] = {"sentencepiece_encode_then_decode",
                                         "sentencepiece_sequences"};
    size_t i, cases = 0;
    for (size_t g = 0; g < 2; g++) {
        json_t *row;
        json_array_foreach(json_object_get(v.info, groups[g]), i, row) {
            int32_t ids[256];
            size_t n = read_ids(json_object_get(row, "ids"), ids);
            check_text(sp, ids, n, STAPES__DECODE_SPECIALS, json_object_get(row, "sentencepiece"),
                       false);
            check_text(json, ids, n, STAPES__DECODE_PLAIN,
                       json_object_get(row, "transformers_skip_special"), false);
            stapes__buf pieces = {0};
            for (size_t k = 0; k < n; k++)
                stapes__buf_puts(&pieces, stapes__tokenizer_piece(sp, ids[k]));
            assert_string_equal(pieces.data ? pieces.data : "",
                                json_string_value(json_object_get(row, "pieces")));
            stapes__buf_free(&pieces);
            cases++;
        }
    }
    assert_int_equal(cases, 29);
    stapes__tokenizer_close(&sp);
    stapes__tokenizer_close(&json);
    vectors_close(&v);
}

static void streams_stable_text(void **state) {
    (void)state;
    vectors v = vectors_open("tokenizer");
    stapes__tokenizer *sp = open_file(V3_LIKE, NULL);
    size_t i, k;
    json_t *row, *text;
    json_array_foreach(json_object_get(v.info, "sentencepiece_streamed"), i, row) {
        int32_t ids[256];
        read_ids(json_object_get(row, "ids"), ids);
        json_array_foreach(json_object_get(row, "text_after_each_token"), k, text) {
            check_text(sp, ids, k + 1, STAPES__DECODE_SPECIALS, text, true);
        }
    }
    stapes__tokenizer_close(&sp);
    vectors_close(&v);
}

static void decodes_byte_fallback(void **state) {
    (void)state;
    vectors v = vectors_open("tokenizer");
    stapes__tokenizer *t = open_file("tokenizer/byte_fallback.model", NULL);
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(json_object_get(v.info, "byte_fallback"), "cases"), i, row) {
        int32_t ids[256];
        size_t n = read_ids(json_object_get(row, "ids"), ids);
        check_text(t, ids, n, STAPES__DECODE_SPECIALS, json_object_get(row, "sentencepiece"),
                   false);
        for (size_t k = 0; k < n; k++)
            assert_string_equal(
                stapes__tokenizer_piece(t, ids[k]),
                json_string_value(json_array_get(json_object_get(row, "pieces"), k)));
    }
    assert_int_equal(i, 12);
    /* Two of three bytes are held back while more may come. */
    int32_t part[] = {279, 251, 172};
    stapes__buf out = {0};
    stapes_error err = {0};
    assert_ok(stapes__tokenizer_decode_stable(t, part, 3, 0, &out, &err), err);
    assert_string_equal(out.data, "the");
    stapes__buf_free(&out);
    int32_t *ids;
    size_t n;
    assert_ok(stapes__tokenizer_encode(t, "日本 Ω ok", &ids, &n, &err), err);
    static const int32_t want[] = {370, 251, 172, 186, 251, 177, 193, 370, 227, 190, 285, 393};
    assert_int_equal(n, sizeof want / sizeof *want);
    assert_memory_equal(ids, want, sizeof want);
    free(ids);
    stapes__tokenizer_close(&t);
    vectors_close(&v);
}

static void encodes_like_the_references(void **state) {
    (void)state;
    vectors v = vectors_open("tokenizer");
    stapes__tokenizer *t[2] = {
        open_file(V3_LIKE, NULL),
        open_file("parakeet/tdt/model/tokenizer.json", stapes__tokenizer_open_json)};
    static const char *const keys[] = {"sentencepiece", "tokenizer.json"};
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(v.info, "encode"), i, row) {
        for (size_t k = 0; k < 2; k++) {
            int32_t want[256], *ids;
            size_t n = read_ids(json_object_get(row, keys[k]), want), got;
            const char *text = json_string_value(json_object_get(row, "text"));
            stapes_error err = {0};
            assert_ok(stapes__tokenizer_encode(t[k], text, &ids, &got, &err), err);
            if (got != n || memcmp(ids, want, n * sizeof *ids) != 0)
                fail_msg("%s encodes \"%s\" otherwise", keys[k], text);
            free(ids);
        }
    }
    assert_int_equal(i, 11);
    stapes_error err = {0};
    int32_t *ids;
    size_t n;
    for (size_t k = 0; k < 2; k++) { /* atomic pieces, empty text, unknown characters as one */
        assert_ok(stapes__tokenizer_encode(t[k], "", &ids, &n, &err), err);
        assert_int_equal(n, 0);
        free(ids);
        assert_ok(stapes__tokenizer_encode(t[k], "e<|en|>", &ids, &n, &err), err);
        assert_true(n >= 2);
        assert_int_equal(ids[n - 1], 7);
        free(ids);
        assert_ok(stapes__tokenizer_encode(t[k], "e\xe6\x97\xa5\xe6\x9c\xac", &ids, &n, &err), err);
        assert_int_equal(ids[n - 1], 0);
        assert_int_not_equal(ids[n - 2], 0);
        free(ids);
    }
    stapes__tokenizer_close(&t[0]);
    stapes__tokenizer_close(&t[1]);
    vectors_close(&v);
}

static void knows_nemo_spacing(void **state) {
    (void)state;
    vectors v = vectors_open("tokenizer");
    json_t *rule = json_object_get(v.info, "nemo_space_before_punctuation"), *row;
    stapes__tokenizer *t = open_file(V3_LIKE, NULL);
    size_t i;
    json_array_foreach(json_object_get(rule, "cases"), i, row) {
        const char *text = json_string_value(json_array_get(row, 0));
        stapes__buf out = {0};
        stapes__tokenizer_nemo_space(t, text, strlen(text), &out);
        assert_string_equal(out.data, json_string_value(json_array_get(row, 1)));
        stapes__buf_free(&out);
    }
    assert_int_equal(i, 6);
    static const uint32_t marks[] = {'!', '"', '\'', ',', '-', '.', ':', ';', '?', 0xa1, 0xbf};
    size_t found = 0, k = 0;
    for (uint32_t cp = 0; cp < 0x3000; cp++) {
        bool listed = k < sizeof marks / sizeof *marks && marks[k] == cp;
        assert_int_equal(stapes__tokenizer_punctuation(t, cp), listed);
        k += listed;
        found += listed;
    }
    assert_int_equal(found,
                     json_array_size(json_object_get(rule, "characters of this vocabulary")));
    /* through decoding: "the" "▁" "." with a space that may still go while streaming */
    static const int32_t ids[] = {23, 65, 78};
    check_literal(t, ids, 3, STAPES__DECODE_NEMO_SPACE, "the.");
    check_literal(t, ids, 3, STAPES__DECODE_PLAIN, "the .");
    stapes__buf out = {0};
    stapes_error err = {0};
    assert_ok(stapes__tokenizer_decode_stable(t, ids, 2, STAPES__DECODE_NEMO_SPACE, &out, &err),
              err);
    assert_string_equal(out.data, "the");
    stapes__buf_free(&out);
    stapes__tokenizer_close(&t);
    vectors_close(&v);
}

static void keeps_specials_and_unknown_apart(void **state) {
    (void)state;
    stapes__tokenizer *t = open_file(V3_LIKE, NULL);
    assert_int_equal(stapes__tokenizer_type(t, 0), STAPES__PIECE_UNKNOWN);
    assert_false(stapes__tokenizer_special(t, 0));
    assert_true(stapes__tokenizer_special(t, 2));   /* <pad> */
    assert_true(stapes__tokenizer_special(t, 7));   /* <|en|> */
    assert_false(stapes__tokenizer_special(t, 12)); /* a digit, user-defined */
    assert_false(stapes__tokenizer_special(t, 999));
    assert_null(stapes__tokenizer_piece(t, -1));
    assert_int_equal(stapes__tokenizer_find(t, "<|de|>"), 8);
    assert_int_equal(stapes__tokenizer_find(t, "no such piece"), -1);
    static const int32_t ids[] = {7, 23, 0, 66, 128, -5, 3};
    check_literal(t, ids, 7, STAPES__DECODE_PLAIN, "thee");
    check_literal(t, ids, 7, STAPES__DECODE_UNKNOWN, "the \xe2\x81\x87 e");
    stapes__tokenizer_close(&t);
}

/* ---- byte-level ---- */

enum { WHISPER_SIZE = 51865 };

static uint8_t *from_hex(const char *hex, size_t *length) {
    *length = strlen(hex) / 2;
    uint8_t *bytes = malloc(*length + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < *length; i++) {
        unsigned value;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
        bytes[i] = (uint8_t)value;
    }
    return bytes;
}

/* A vocabulary of Whisper's size whose pieces are those that the cases name. */
typedef struct byte_vocabulary {
    uint8_t *owned[WHISPER_SIZE];
    const uint8_t *tokens[WHISPER_SIZE];
    size_t lengths[WHISPER_SIZE];
} byte_vocabulary;

static void set_token(byte_vocabulary *b, int32_t id, const char *hex) {
    free(b->owned[id]);
    b->owned[id] = from_hex(hex, &b->lengths[id]);
    b->tokens[id] = b->owned[id];
}

static void set_text(byte_vocabulary *b, int32_t id, const char *text) {
    char hex[256] = "";
    for (size_t i = 0; text[i]; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)text[i]);
    set_token(b, id, hex);
}

static byte_vocabulary *new_vocabulary(void) {
    byte_vocabulary *b = calloc(1, sizeof *b);
    assert_non_null(b);
    for (int i = 0; i < WHISPER_SIZE; i++)
        b->tokens[i] = (const uint8_t *)"";
    return b;
}

static stapes__tokenizer *close_vocabulary(byte_vocabulary *b, size_t count) {
    stapes__tokenizer *t;
    stapes_error err = {0};
    assert_ok(stapes__tokenizer_open_bytes(&t, b->tokens, b->lengths, count, &err), err);
    for (int i = 0; i < WHISPER_SIZE; i++)
        free(b->owned[i]);
    free(b);
    return t;
}

static void decodes_byte_level(void **state) {
    (void)state;
    vectors v = vectors_open("tokenizer");
    size_t i, k;
    json_t *row, *hex, *text;
    json_array_foreach(json_object_get(v.info, "whisper"), i, row) {
        int32_t ids[256];
        size_t n = read_ids(json_object_get(row, "ids"), ids);
        byte_vocabulary *b = new_vocabulary();
        json_array_foreach(json_object_get(row, "bytes_of_each_token"), k, hex) {
            set_token(b, ids[k], json_string_value(hex));
        }
        stapes__tokenizer *t = close_vocabulary(b, WHISPER_SIZE);
        assert_true(stapes__tokenizer_byte_level(t));
        json_array_foreach(json_object_get(row, "decode_each_token_alone"), k, text) {
            check_text(t, &ids[k], 1, STAPES__DECODE_SPECIALS, text, false);
        }
        json_array_foreach(json_object_get(row, "may_be_shown_after_each_token"), k, text) {
            check_text(t, ids, k + 1, STAPES__DECODE_SPECIALS, text, true);
        }
        check_text(t, ids, n, STAPES__DECODE_SPECIALS, json_object_get(row, "decode"), false);
        stapes__tokenizer_close(&t);
    }
    assert_int_equal(i, 24);
    vectors_close(&v);
}

static void decodes_broken_byte_level(void **state) {
    (void)state;
    vectors v = vectors_open("tokenizer");
    stapes__tokenizer *t[2];
    for (size_t k = 0; k < 2; k++) {
        byte_vocabulary *b = new_vocabulary();
        set_text(b, 6890, "日");
        set_text(b, 257, " a");
        set_text(b, 4879, " hi");
        set_text(b, 50257, "<|endoftext|>");
        set_text(b, 50258, "<|startoftranscript|>");
        set_text(b, 50364, "<|0.00|>");
        set_text(b, 50414, "<|1.00|>");
        /* Whisper's decode() drops what is not below its first time stamp. */
        t[k] = close_vocabulary(b, k == 0 ? 50364 : WHISPER_SIZE);
    }
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(v.info, "whisper_broken_or_special"), i, row) {
        int32_t ids[256];
        size_t n = read_ids(json_object_get(row, "ids"), ids);
        check_text(t[0], ids, n, STAPES__DECODE_SPECIALS, json_object_get(row, "decode"), false);
        check_text(t[1], ids, n, STAPES__DECODE_SPECIALS,
                   json_object_get(row, "decode_with_timestamps"), false);
    }
    assert_int_equal(i, 5);
    static const int32_t ids[] = {50258, 4879, 50364};
    check_literal(t[1], ids, 3, STAPES__DECODE_PLAIN, " hi");
    stapes__tokenizer_close(&t[0]);
    stapes__tokenizer_close(&t[1]);
    vectors_close(&v);
}

static void reads_byte_level_json(void **state) {
    (void)state;
    static const char text[] =
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"h\":0,\"i\":1,\"\\u0120\":2,\"hi\":3,"
        "\"\\u0120hi\":4,\"\\u00c3\":5,\"\\u00a9\":6,\"!\":7},"
        "\"merges\":[\"h i\",\"\\u0120 hi\"]},"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
        "\"decoder\":{\"type\":\"ByteLevel\"},"
        "\"added_tokens\":[{\"id\":8,\"content\":\"<|end|>\",\"special\":true}]}";
    stapes__tokenizer *t;
    stapes_error err = {0};
    assert_ok(stapes__tokenizer_open_json(&t, text, sizeof text - 1, &err), err);
    assert_true(stapes__tokenizer_byte_level(t));
    static const int32_t ids[] = {4, 5, 6, 8};
    check_literal(t, ids, 4, STAPES__DECODE_PLAIN, " hi\xc3\xa9");
    check_literal(t, ids, 4, STAPES__DECODE_SPECIALS, " hi\xc3\xa9<|end|>");
    int32_t *got;
    size_t n;
    assert_ok(stapes__tokenizer_encode(t, "hi hi\xc3\xa9!<|end|>", &got, &n, &err), err);
    static const int32_t want[] = {3, 4, 5, 6, 7, 8};
    assert_int_equal(n, 6);
    assert_memory_equal(got, want, sizeof want);
    free(got);
    stapes__tokenizer_close(&t);
}

/* ---- lists ---- */

static stapes__tokenizer *lines(const char *text) {
    stapes__tokenizer *t;
    stapes_error err = {0};
    assert_ok(stapes__tokenizer_open_lines(&t, text, strlen(text), &err), err);
    return t;
}

static void reads_line_forms(void **state) {
    (void)state;
    static const char *const forms[] = {
        "<unk>\r\n\xe2\x96\x81the\r\nre\r\n",
        "re 2\n<unk> 0\n\xe2\x96\x81the 1\n<blk> 3\n",
        "<unk>\t0\n\xe2\x96\x81the\t-1.5\nre\t-2\n",
    };
    for (size_t i = 0; i < 3; i++) {
        stapes__tokenizer *t = lines(forms[i]);
        assert_int_equal(stapes__tokenizer_size(t), 3);
        assert_int_equal(stapes__tokenizer_find(t, "\xe2\x96\x81the"), 1);
        assert_int_equal(stapes__tokenizer_type(t, 0), STAPES__PIECE_UNKNOWN);
        static const int32_t ids[] = {1, 2};
        check_literal(t, ids, 2, STAPES__DECODE_PLAIN, "there");
        stapes__tokenizer_close(&t);
    }
    stapes__tokenizer *t = open_file("parakeet/tdt/model/vocab.txt", stapes__tokenizer_open_lines);
    assert_int_equal(stapes__tokenizer_size(t), 128);
    assert_int_equal(stapes__tokenizer_find(t, "<|en|>"), 7);
    stapes__tokenizer_close(&t);
    static const char *const pieces[] = {"a", "\xe2\x96\x81"
                                              "b"};
    stapes_error err = {0};
    assert_ok(stapes__tokenizer_open_pieces(&t, pieces, 2, &err), err);
    static const int32_t ids[] = {0, 1};
    check_literal(t, ids, 2, STAPES__DECODE_PLAIN, "a b");
    stapes__tokenizer_close(&t);
}

static void reads_rank_files(void **state) {
    (void)state;
    static const char text[] = "aA== 0\naQ== 1\nIA== 2\naGk= 3\nIGhp 4\n= 5\n";
    stapes__tokenizer *t;
    stapes_error err = {0};
    assert_ok(stapes__tokenizer_open_tiktoken(&t, text, sizeof text - 1, &err), err);
    static const int32_t ids[] = {3, 4, 1};
    check_literal(t, ids, 3, STAPES__DECODE_PLAIN, "hi hii");
    int32_t *got;
    size_t n;
    assert_ok(stapes__tokenizer_encode(t, "hi hii", &got, &n, &err), err);
    assert_int_equal(n, 3);
    assert_memory_equal(got, ids, sizeof ids);
    free(got);
    stapes__tokenizer_close(&t);
    assert_int_equal(stapes__tokenizer_open_tiktoken(&t, "aA= 0\n", 6, &err),
                     STAPES_E_MODEL_DAMAGED);
    assert_null(t);
}

/* A unigram model in memory: pieces with scores, <unk>, and the name of its normaliser. */
static void encodes_unigram(void **state) {
    (void)state;
    static const struct {
        const char *text;
        float score;
        char type;
    } list[] = {{"<unk>", 0, 2},
                {"\xe2\x96\x81", -4, 1},
                {"a", -3, 1},
                {"b", -3, 1},
                {"\xe2\x96\x81"
                 "ab",
                 -5, 1},
                {"ba", -3.5f, 1},
                {"<|en|>", 0, 4},
                {"fi", -1, 1}};
    stapes__buf model = {0};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        unsigned char head[4] = {0x0a, (unsigned char)(strlen(list[i].text) + 9), 0x0a,
                                 (unsigned char)strlen(list[i].text)};
        unsigned char tail[7] = {0x15, 0, 0, 0, 0, 0x18, (unsigned char)list[i].type};
        memcpy(tail + 1, &list[i].score, 4); /* the format is little-endian, as the host is */
        stapes__buf_append(&model, head, 4);
        stapes__buf_puts(&model, list[i].text);
        stapes__buf_append(&model, tail, 7);
    }
    static const char rules[] = "\x12\x02\x18\x01\x1a\x0a\x0a\x08nmt_nfkc";
    stapes__buf_append(&model, rules, sizeof rules - 1);
    stapes__tokenizer *t;
    stapes_error err = {0};
    assert_ok(stapes__tokenizer_open_sentencepiece(&t, model.data, model.length, &err), err);
    stapes__buf_free(&model);
    static const struct {
        const char *text;
        int32_t ids[6];
        size_t count;
    } cases[] = {
        {"ab", {4}, 1},                      /* -5 beats -4-3-3 */
        {"aba", {4, 2}, 2},                  /* -8 beats -10.5 */
        {" a\tb<|en|>", {1, 2, 1, 3, 6}, 5}, /* folded space, atomic piece */
        {"\xef\xac\x81?!", {1, 7, 0}, 3},    /* the ligature by NFKC, one <unk> for two */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t *ids;
        size_t n;
        assert_ok(stapes__tokenizer_encode(t, cases[i].text, &ids, &n, &err), err);
        if (n != cases[i].count || memcmp(ids, cases[i].ids, n * sizeof *ids) != 0)
            fail_msg("\"%s\" is encoded otherwise", cases[i].text);
        free(ids);
    }
    stapes__tokenizer_close(&t);
}

static void refuses_damage(void **state) {
    (void)state;
    stapes_error err = {0};
    stapes__tokenizer *t;
    static const char *const bad_json[] = {
        "",
        "[]",
        "{\"model\":{\"type\":\"BPE\"}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1}}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":99999999999}}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0}}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a c\"]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[3]}}",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"a\":1}}}",
    };
    for (size_t i = 0; i < sizeof bad_json / sizeof *bad_json; i++) {
        assert_int_equal(stapes__tokenizer_open_json(&t, bad_json[i], strlen(bad_json[i]), &err),
                         STAPES_E_MODEL_DAMAGED);
        assert_null(t);
        assert_true(strlen(err.message) > 10);
    }
    static const char words[] = "{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}}";
    assert_int_equal(stapes__tokenizer_open_json(&t, words, sizeof words - 1, &err),
                     STAPES_E_UNSUPPORTED);
    static const char short_piece[] = "\x0a\x7f\x0a\x01";
    assert_int_equal(stapes__tokenizer_open_sentencepiece(&t, short_piece, 4, &err),
                     STAPES_E_MODEL_DAMAGED);
    assert_int_equal(stapes__tokenizer_open_sentencepiece(&t, NULL, 0, &err),
                     STAPES_E_MODEL_DAMAGED);
    assert_null(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_like_the_references),
        cmocka_unit_test(streams_stable_text),
        cmocka_unit_test(decodes_byte_fallback),
        cmocka_unit_test(encodes_like_the_references),
        cmocka_unit_test(knows_nemo_spacing),
        cmocka_unit_test(keeps_specials_and_unknown_apart),
        cmocka_unit_test(decodes_byte_level),
        cmocka_unit_test(decodes_broken_byte_level),
        cmocka_unit_test(reads_byte_level_json),
        cmocka_unit_test(reads_line_forms),
        cmocka_unit_test(reads_rank_files),
        cmocka_unit_test(encodes_unigram),
        cmocka_unit_test(refuses_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

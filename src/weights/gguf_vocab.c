#include "weights/gguf_vocab.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/mem.h"

/* GPT-2's byte-level characters: printable Latin-1 stands for itself, the other 68 bytes in order
 * for U+0100 and up. */
static bool is_own_byte(int byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/* -1 for characters that stand for no byte. */
static int byte_of(int32_t character) {
    if (character < 256)
        return character >= 0 && is_own_byte(character) ? character : -1;
    int32_t wanted = character - 256;
    for (int byte = 0; byte < 256; byte++)
        if (!is_own_byte(byte) && wanted-- == 0)
            return byte;
    return -1;
}

/* Appends the bytes of a token; false when it is no byte-level text. */
static bool append_bytes(const char *text, size_t length, uint8_t *out, size_t *at) {
    const utf8proc_uint8_t *in = (const utf8proc_uint8_t *)text;
    while (length > 0) {
        utf8proc_int32_t code;
        utf8proc_ssize_t step = utf8proc_iterate(in, (utf8proc_ssize_t)length, &code);
        int byte = step > 0 ? byte_of(code) : -1;
        if (byte < 0)
            return false;
        out[(*at)++] = (uint8_t)byte;
        in += step;
        length -= (size_t)step;
    }
    return true;
}

/* The tokens before <|endoftext|>, and the room that their text takes. */
static stapes_status measure(const json_t *list, size_t *count, size_t *room, stapes_error *err) {
    *count = 0;
    *room = 1;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_string(item))
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "tokenizer.ggml.tokens holds something else than strings");
        if (strcmp(json_string_value(item), "<|endoftext|>") == 0)
            break;
        *room += json_string_length(item);
        ++*count;
    }
    return STAPES_OK;
}

static stapes_status byte_tokens(stapes__container *c, const json_t *list, stapes_error *err) {
    size_t count, room, at = 0;
    stapes_status status = measure(list, &count, &room, err);
    if (status == STAPES_OK)
        status = stapes__container_make_tokens(c, count, err);
    if (status != STAPES_OK)
        return status;
    c->tokens_owned = stapes__calloc(room, 1);
    if (!c->tokens_owned)
        return stapes__fail_memory(err, "the vocabulary");
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        c->tokens[i] = c->tokens_owned + at;
        if (!append_bytes(json_string_value(item), json_string_length(item), c->tokens_owned, &at))
            return stapes__fail(err, STAPES_E_MODEL_DAMAGED,
                                "tokenizer.ggml.tokens: token %zu is no byte-level text", i);
        c->token_lengths[i] = (size_t)(c->tokens_owned + at - c->tokens[i]);
    }
    return STAPES_OK;
}

static stapes_status sentencepiece(stapes__container *c, const json_t *item, stapes_error *err) {
    const char *text = json_string_value(item);
    size_t length = json_string_length(item), padding = 0;
    bool ok = length > 0 && length % 4 == 0 && length < INT_MAX && !strpbrk(text, " \t\r\n-");
    while (ok && padding < 2 && text[length - 1 - padding] == '=')
        padding++;
    c->tokenizer_owned = stapes__calloc(length / 4 * 3 + 1, 1);
    if (!c->tokenizer_owned)
        return stapes__fail_memory(err, "the tokenizer");
    int decoded = ok ? EVP_DecodeBlock((unsigned char *)c->tokenizer_owned,
                                       (const unsigned char *)text, (int)length)
                     : -1;
    if (decoded < 0)
        return stapes__fail(err, STAPES_E_MODEL_DAMAGED, "asr.tokenizer.spm_model is no base64");
    c->tokenizer = c->tokenizer_owned;
    c->tokenizer_size = (size_t)decoded - padding;
    c->tokenizer_kind = STAPES__TOKENIZER_SENTENCEPIECE;
    return STAPES_OK;
}

stapes_status stapes__gguf_vocab(stapes__container *c, const json_t *metadata, stapes_error *err) {
    const json_t *model = json_object_get(metadata, "asr.tokenizer.spm_model");
    if (json_is_string(model) && json_string_length(model) > 0)
        return sentencepiece(c, model, err);
    const json_t *kind = json_object_get(metadata, "tokenizer.ggml.model");
    const json_t *list = json_object_get(metadata, "tokenizer.ggml.tokens");
    if (json_is_string(kind) && strcmp(json_string_value(kind), "gpt2") == 0 && json_is_array(list))
        return byte_tokens(c, list, err);
    return STAPES_OK;
}

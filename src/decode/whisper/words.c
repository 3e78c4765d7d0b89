/* Text side of the words: splitting and merging. */
#include "decode/whisper/words.h"

#include <stdlib.h>
#include <string.h>

#include "decode/whisper/score.h"
#include "text/utf8.h"

void stapes__whisper_words_free(stapes__whisper_words *words) {
    for (size_t i = 0; i < words->count; i++)
        free(words->items[i].text);
    free(words->items);
    *words = (stapes__whisper_words){0};
}

stapes_status stapes__whisper_words_add(stapes__whisper_words *words, const char *text,
                                        size_t length, size_t first, size_t count,
                                        stapes_error *err) {
    if (words->count == words->capacity) {
        size_t capacity = words->capacity ? 2 * words->capacity : 32;
        stapes__whisper_word *items = stapes__realloc(words->items, capacity, sizeof *words->items);
        if (!items)
            return stapes__fail_memory(err, "words");
        words->items = items;
        words->capacity = capacity;
    }
    char *copy = stapes__strndup(text, length);
    if (!copy)
        return stapes__fail_memory(err, "words");
    words->items[words->count++] =
        (stapes__whisper_word){.text = copy, .first = first, .count = count};
    return STAPES_OK;
}

bool stapes__whisper_unspaced(const char *language_code) {
    static const char *const codes[] = {"zh", "ja", "th", "lo", "my", "yue"};
    for (size_t i = 0; language_code && i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i], language_code) == 0)
            return true;
    return false;
}

/* Bytes of tokens, specials spelled out. */
static void put_token(const stapes__whisper_layout *layout, const stapes__tokenizer *tokenizer,
                      int32_t id, stapes__buf *out) {
    if (id >= layout->eot) {
        stapes__whisper_special_text(layout, id, out);
        return;
    }
    size_t length = 0;
    const char *bytes = stapes__tokenizer_bytes(tokenizer, id, &length);
    if (bytes)
        stapes__buf_append(out, bytes, length);
}

/* Characters of valid UTF-8, and the index of the first U+FFFD (-1 = none). */
static size_t characters(const char *text, size_t length, ptrdiff_t *broken) {
    size_t n = 0;
    *broken = -1;
    for (size_t i = 0; i < length; n++) {
        stapes__utf8 c = stapes__utf8_next(text + i, length - i);
        if (c.cp == 0xfffd && *broken < 0)
            *broken = (ptrdiff_t)n;
        i += c.length;
    }
    return n;
}

/* Moves *at forward to character `index` (*passed counts those already passed) and tells whether
 * it is U+FFFD. */
static bool broken_at(const stapes__buf *text, size_t index, size_t *at, size_t *passed) {
    for (; *passed < index && *at < text->length; ++*passed)
        *at += stapes__utf8_next(text->data + *at, text->length - *at).length;
    return *at < text->length &&
           stapes__utf8_next(text->data + *at, text->length - *at).cp == 0xfffd;
}

/* Groups of tokens whose bytes are whole characters (or broken in the full text as well). */
static stapes_status split_characters(const stapes__whisper_layout *layout,
                                      const stapes__tokenizer *tokenizer, const int32_t *tokens,
                                      size_t count, stapes__whisper_words *words,
                                      stapes_error *err) {
    stapes__buf bytes = {0}, full = {0}, group = {0};
    for (size_t i = 0; i < count; i++)
        put_token(layout, tokenizer, tokens[i], &bytes);
    stapes__utf8_clean(&full, bytes.data, bytes.length, false);
    bytes.length = 0;
    stapes_status status = STAPES_OK;
    size_t first = 0, offset = 0, at = 0, passed = 0;
    for (size_t i = 0; status == STAPES_OK && i < count; i++) {
        put_token(layout, tokenizer, tokens[i], &bytes);
        group.length = 0;
        stapes__utf8_clean(&group, bytes.data, bytes.length, false);
        ptrdiff_t broken;
        size_t n = characters(group.data, group.length, &broken), at_group = at, skip = passed;
        bool whole = broken < 0 || i + 1 == count ||
                     broken_at(&full, offset + (size_t)broken, &at_group, &skip);
        if (!whole)
            continue;
        status = stapes__whisper_words_add(words, group.length ? group.data : "", group.length,
                                           first, i + 1 - first, err);
        offset += n;
        broken_at(&full, offset, &at, &passed);
        bytes.length = 0;
        first = i + 1;
    }
    if (status == STAPES_OK && (bytes.failed || full.failed || group.failed))
        status = stapes__fail_memory(err, "words");
    stapes__buf_free(&bytes);
    stapes__buf_free(&full);
    stapes__buf_free(&group);
    return status;
}

/* The word stripped of white space occurs in `set` (an empty one does). */
static bool stripped_in(const char *text, const char *set) {
    size_t length = strlen(text);
    const char *stripped = stapes__whisper_strip(text, &length);
    return length == 0 || memmem(set, strlen(set), stripped, length) != NULL;
}

/* Appends `tail` to the word; false when memory is short. */
static bool extend(stapes__whisper_word *word, const char *tail) {
    size_t have = strlen(word->text), more = strlen(tail);
    char *text = stapes__realloc(word->text, have + more + 1, 1);
    if (!text)
        return false;
    memcpy(text + have, tail, more + 1);
    word->text = text;
    return true;
}

/* Joins groups into words: a new one begins with a space, a special id or punctuation. */
static stapes_status join_groups(const stapes__whisper_layout *layout, const int32_t *tokens,
                                 stapes__whisper_words *words, stapes_error *err) {
    static const char ascii[] = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    size_t kept = 0;
    stapes_status status = STAPES_OK;
    for (size_t i = 0; i < words->count; i++) {
        stapes__whisper_word *group = &words->items[i];
        bool opens = kept == 0 || tokens[group->first] >= layout->eot || group->text[0] == ' ' ||
                     stripped_in(group->text, ascii);
        if (opens || status != STAPES_OK) {
            words->items[kept++] = *group;
            continue;
        }
        stapes__whisper_word *word = &words->items[kept - 1];
        if (!extend(word, group->text))
            status = stapes__fail_memory(err, "words");
        word->count += group->count;
        free(group->text);
    }
    words->count = kept;
    return status;
}

stapes_status stapes__whisper_split(const stapes__whisper_layout *layout,
                                    const stapes__tokenizer *tokenizer, const int32_t *tokens,
                                    size_t count, bool unspaced, stapes__whisper_words *words,
                                    stapes_error *err) {
    if (count == 0)
        return STAPES_OK;
    stapes_status status = split_characters(layout, tokenizer, tokens, count, words, err);
    return status != STAPES_OK || unspaced ? status : join_groups(layout, tokens, words, err);
}

static bool ends_with_space(const char *text) {
    size_t length = strlen(text);
    return length > 0 && text[length - 1] == ' ';
}

/* `from` becomes part of `into`; `before`: on its left. False when memory is short. */
static bool absorb(stapes__whisper_word *into, stapes__whisper_word *from, bool before) {
    if (before) {
        if (!extend(from, into->text))
            return false;
        char *text = into->text;
        into->text = from->text;
        from->text = text;
        into->first = from->count ? from->first : into->first;
    } else if (!extend(into, from->text)) {
        return false;
    } else if (into->count == 0) {
        into->first = from->first;
    }
    into->count += from->count;
    from->count = 0;
    from->text[0] = 0;
    return true;
}

stapes_status stapes__whisper_merge(stapes__whisper_words *words, const char *prepended,
                                    const char *appended, stapes_error *err) {
    stapes__whisper_word *w = words->items;
    bool fine = true;
    if (words->count < 2)
        return STAPES_OK;
    for (size_t i = words->count - 1, j = i; i-- > 0;) {
        if (w[i].text[0] == ' ' && stripped_in(w[i].text, prepended))
            fine = fine && absorb(&w[j], &w[i], true);
        else
            j = i;
    }
    for (size_t i = 0, j = 1; j < words->count; j++) {
        if (!ends_with_space(w[i].text) && strstr(appended, w[j].text))
            fine = fine && absorb(&w[i], &w[j], false);
        else
            i = j;
    }
    return fine ? STAPES_OK : stapes__fail_memory(err, "words");
}

#include "weights/yaml.h"

#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"

typedef struct frame {
    json_t *node; /* array or object; owned by its parent, or by `root` */
    char *key;    /* of an object: the key whose value comes next */
} frame;

typedef struct builder {
    frame stack[STAPES__YAML_MAX_DEPTH];
    int depth;
    json_t *root;
    int documents;
    locale_t locale; /* "C": numbers have a point, whatever the program's locale says */
    stapes_error *err;
} builder;

static stapes_status refuse(builder *b, const yaml_event_t *event, stapes_status code,
                            const char *what) {
    return stapes__fail(b->err, code, "the YAML has %s in line %zu", what,
                        event->start_mark.line + 1);
}

static bool one_of(const char *text, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, list[i]) == 0)
            return true;
    return false;
}

/* [-+]? digits | 0o octal | 0x hexadecimal; NULL when it is none of them. */
static json_t *integer_of(const char *text, locale_t locale) {
    const char *digits = text + (*text == '-' || *text == '+');
    int base = 10;
    if (digits == text && digits[0] == '0' && (digits[1] == 'o' || digits[1] == 'x')) {
        base = digits[1] == 'o' ? 8 : 16;
        digits += 2;
    }
    const char *allowed = base == 8    ? "01234567"
                          : base == 10 ? "0123456789"
                                       : "0123456789abcdefABCDEF";
    if (!*digits || digits[strspn(digits, allowed)])
        return NULL;
    errno = 0;
    long long value = strtoll(base == 10 ? text : digits, NULL, base);
    if (errno == ERANGE)
        return json_real(strtod_l(text, NULL, locale));
    return json_integer(value);
}

/* [-+]? (. digits | digits (. digits?)?) ([eE] [-+]? digits)? */
static json_t *real_of(const char *text, locale_t locale) {
    static const char decimal[] = "0123456789";
    const char *at = text + (*text == '-' || *text == '+');
    size_t whole = strspn(at, decimal), part = 0;
    at += whole;
    if (*at == '.') {
        at++;
        part = strspn(at, decimal);
        at += part;
    }
    if (whole + part == 0)
        return NULL;
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '-' || *at == '+';
        size_t exponent = strspn(at, decimal);
        if (exponent == 0)
            return NULL;
        at += exponent;
    }
    /* A value too large for a double gives NULL here, and so stays a string. */
    return *at ? NULL : json_real(strtod_l(text, NULL, locale));
}

static json_t *scalar_of(const builder *b, const yaml_event_t *event) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const trues[] = {"true", "True", "TRUE"};
    static const char *const falses[] = {"false", "False", "FALSE"};
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && length < 64) {
        if (one_of(text, nulls, sizeof nulls / sizeof *nulls))
            return json_null();
        if (one_of(text, trues, sizeof trues / sizeof *trues))
            return json_true();
        if (one_of(text, falses, sizeof falses / sizeof *falses))
            return json_false();
        json_t *number = integer_of(text, b->locale);
        if (!number)
            number = real_of(text, b->locale);
        if (number)
            return number;
    }
    return json_stringn(text, length);
}

/* Puts a value (taken over) where it belongs. */
static stapes_status place(builder *b, const yaml_event_t *event, json_t *value) {
    if (!value)
        return refuse(b, event, STAPES_E_MODEL_DAMAGED, "text that is not UTF-8");
    if (b->depth == 0) {
        b->root = value;
        return STAPES_OK;
    }
    frame *top = &b->stack[b->depth - 1];
    int failed;
    if (json_is_array(top->node)) {
        failed = json_array_append_new(top->node, value);
    } else {
        if (json_object_get(top->node, top->key)) {
            json_decref(value);
            return refuse(b, event, STAPES_E_MODEL_DAMAGED, "the same key twice");
        }
        failed = json_object_set_new(top->node, top->key, value);
        free(top->key);
        top->key = NULL;
    }
    return failed ? refuse(b, event, STAPES_E_MODEL_DAMAGED, "text that is not UTF-8") : STAPES_OK;
}

static bool wants_key(const builder *b) {
    return b->depth > 0 && json_is_object(b->stack[b->depth - 1].node) &&
           !b->stack[b->depth - 1].key;
}

static stapes_status on_scalar(builder *b, const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (event->data.scalar.anchor)
        return refuse(b, event, STAPES_E_UNSUPPORTED, "an anchor");
    if (event->data.scalar.tag)
        return refuse(b, event, STAPES_E_UNSUPPORTED, "a tag");
    if (memchr(text, 0, length))
        return refuse(b, event, STAPES_E_MODEL_DAMAGED, "a NUL character");
    if (!wants_key(b))
        return place(b, event, scalar_of(b, event));
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(text, "<<") == 0)
        return refuse(b, event, STAPES_E_UNSUPPORTED, "a merge key");
    char *key = stapes__strndup(text, length);
    if (!key)
        return stapes__fail_memory(b->err, "the configuration");
    b->stack[b->depth - 1].key = key;
    return STAPES_OK;
}

static stapes_status on_start(builder *b, const yaml_event_t *event, json_t *node,
                              const yaml_char_t *anchor, const yaml_char_t *tag) {
    stapes_status status = STAPES_OK;
    if (!node)
        return stapes__fail_memory(b->err, "the configuration");
    if (anchor)
        status = refuse(b, event, STAPES_E_UNSUPPORTED, "an anchor");
    else if (tag)
        status = refuse(b, event, STAPES_E_UNSUPPORTED, "a tag");
    else if (wants_key(b))
        status = refuse(b, event, STAPES_E_UNSUPPORTED, "a key that is no scalar");
    else if (b->depth == STAPES__YAML_MAX_DEPTH)
        status = refuse(b, event, STAPES_E_MODEL_DAMAGED, "too deep nesting");
    if (status != STAPES_OK) {
        json_decref(node);
        return status;
    }
    status = place(b, event, node);
    if (status == STAPES_OK)
        b->stack[b->depth++] = (frame){node, NULL};
    return status;
}

static stapes_status on_event(builder *b, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return refuse(b, event, STAPES_E_UNSUPPORTED, "an alias");
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(b, event, json_array(), event->data.sequence_start.anchor,
                        event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return on_start(b, event, json_object(), event->data.mapping_start.anchor,
                        event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return STAPES_OK;
    case YAML_DOCUMENT_START_EVENT:
        if (++b->documents > 1)
            return refuse(b, event, STAPES_E_UNSUPPORTED, "a second document");
        return STAPES_OK;
    default:
        return STAPES_OK;
    }
}

static stapes_status parse_events(builder *b, yaml_parser_t *parser) {
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            if (parser->error == YAML_MEMORY_ERROR)
                return stapes__fail_memory(b->err, "the configuration");
            return stapes__fail(b->err, STAPES_E_MODEL_DAMAGED,
                                "the YAML is broken in line %zu: %s", parser->problem_mark.line + 1,
                                parser->problem ? parser->problem : "unknown problem");
        }
        bool end = event.type == YAML_STREAM_END_EVENT;
        stapes_status status = on_event(b, &event);
        yaml_event_delete(&event);
        if (status != STAPES_OK || end)
            return status;
    }
}

stapes_status stapes__yaml_parse(json_t **out, const char *data, size_t size, stapes_error *err) {
    *out = NULL;
    builder b = {.err = err, .locale = newlocale(LC_ALL_MASK, "C", (locale_t)0)};
    yaml_parser_t parser;
    if (b.locale == (locale_t)0 || !yaml_parser_initialize(&parser)) {
        if (b.locale != (locale_t)0)
            freelocale(b.locale);
        return stapes__fail_memory(err, "the configuration");
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)data, size);
    stapes_status status = parse_events(&b, &parser);
    yaml_parser_delete(&parser);
    freelocale(b.locale);
    for (int i = 0; i < b.depth; i++)
        free(b.stack[i].key);
    if (status == STAPES_OK && !b.root)
        status = stapes__fail(err, STAPES_E_MODEL_DAMAGED, "the YAML is empty");
    if (status != STAPES_OK) {
        json_decref(b.root);
        return status;
    }
    *out = b.root;
    return STAPES_OK;
}

#include "eval/numbers.h"

#include <stdio.h>
#include <string.h>

static bool digit(char c) {
    return c >= '0' && c <= '9';
}

bool stapes__number_is_numeric(const char *text) {
    size_t whole = 0, fraction = 0;
    while (digit(text[whole]))
        whole++;
    if (whole == 0)
        return false;
    if (text[whole] == 0)
        return true;
    if (text[whole] != '.')
        return false;
    text += whole + 1;
    while (digit(text[fraction]))
        fraction++;
    return fraction > 0 && text[fraction] == 0;
}

void stapes__buf_set(stapes__buf *buf, const char *text, size_t length) {
    buf->length = 0;
    stapes__buf_append(buf, text, length);
}

static void append_zeros(stapes__buf *buf, size_t count) {
    for (size_t i = 0; i < count; i++)
        stapes__buf_append(buf, "0", 1);
}

/* Takes leading zeros off, keeping one digit. */
static void strip_zeros(stapes__buf *buf) {
    size_t zeros = 0;
    while (zeros + 1 < buf->length && buf->data[zeros] == '0')
        zeros++;
    if (zeros) {
        memmove(buf->data, buf->data + zeros, buf->length - zeros + 1);
        buf->length -= zeros;
    }
}

bool stapes__number_scale(const char *text, int zeros, stapes__buf *out) {
    size_t whole = 0, fraction = 0, places = (size_t)zeros;
    while (digit(text[whole]))
        whole++;
    const char *rest = text + whole;
    if (*rest == '.')
        rest++;
    while (digit(rest[fraction]))
        fraction++;
    if (whole + fraction == 0 || rest[fraction] != 0)
        return false;
    while (fraction > 0 && rest[fraction - 1] == '0')
        fraction--;
    if (fraction > places)
        return false;
    stapes__buf_set(out, text, whole);
    stapes__buf_append(out, rest, fraction);
    append_zeros(out, places - fraction);
    strip_zeros(out);
    return true;
}

/* to += from, both plain digit strings without signs. */
static void add_digits(stapes__buf *to, const stapes__buf *from) {
    stapes__buf sum = {0};
    size_t length = (to->length > from->length ? to->length : from->length) + 1;
    append_zeros(&sum, length);
    if (sum.failed || to->failed || from->failed) {
        to->failed = true;
        stapes__buf_free(&sum);
        return;
    }
    int carry = 0;
    for (size_t i = 0; i < length; i++) {
        int value = carry;
        if (i < to->length)
            value += to->data[to->length - 1 - i] - '0';
        if (i < from->length)
            value += from->data[from->length - 1 - i] - '0';
        sum.data[length - 1 - i] = (char)('0' + value % 10);
        carry = value / 10;
    }
    strip_zeros(&sum);
    stapes__buf_set(to, sum.data, sum.length);
    stapes__buf_free(&sum);
}

void stapes__number_multiply_rest(stapes__buf *number, int zeros) {
    stapes__buf product = {0};
    size_t rest = number->length < 3 ? number->length : 3;
    if (rest)
        stapes__buf_append(&product, number->data + number->length - rest, rest);
    append_zeros(&product, (size_t)zeros);
    for (size_t i = 0; i < rest; i++)
        number->data[number->length - 1 - i] = '0';
    add_digits(number, &product);
    stapes__buf_free(&product);
}

bool stapes__number_ends_in_zeros(const char *number, size_t digits) {
    size_t length = strlen(number);
    for (size_t i = 0; i < digits && i < length; i++)
        if (number[length - 1 - i] != '0')
            return false;
    return true;
}

void stapes__number_fill(stapes__buf *number, int value) {
    char text[16];
    size_t length = (size_t)snprintf(text, sizeof text, "%d", value);
    if (number->length <= length)
        stapes__buf_set(number, text, length);
    else
        memcpy(number->data + number->length - length, text, length);
}

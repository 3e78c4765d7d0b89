/* Outline: the text is copied once and cut into strings in place; the header line gives each known
 * column its number, every other line becomes one row. */
#include "eval/manifest.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/file.h"
#include "base/mem.h"

enum { PATH, SECONDS, SHA256, TEXT, COLUMNS };

static const char *const column_names[COLUMNS] = {"path", "seconds", "sha256", "text"};

/* Number of the field that holds each column, or -1. */
typedef struct header {
    int field[COLUMNS];
} header;

/* The line at *at, ended in place, with *at moved behind it; NULL at the end. */
static char *next_line(char **at) {
    char *line = *at;
    if (*line == 0)
        return NULL;
    char *end = line + strcspn(line, "\n");
    *at = *end ? end + 1 : end;
    *end = 0;
    if (end > line && end[-1] == '\r')
        end[-1] = 0;
    return line;
}

/* The same for the tab-separated fields of a line; NULL after the last. */
static char *next_field(char **at) {
    char *field = *at;
    if (!field)
        return NULL;
    char *end = strchr(field, '\t');
    *at = end ? end + 1 : NULL;
    if (end)
        *end = 0;
    return field;
}

static stapes_status check_text(const char *data, size_t size, stapes_error *err) {
    size_t line = 1;
    for (size_t i = 0; i < size;) {
        utf8proc_int32_t rune;
        utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)data + i,
                                                 (utf8proc_ssize_t)(size - i), &rune);
        if (used <= 0 || rune == 0) {
            stapes__fail(err, STAPES_E_UNSUPPORTED, "line %zu: %s", line,
                         used <= 0 ? "not UTF-8 text" : "holds a NUL byte");
            stapes__hint(err, "a manifest is UTF-8 text with tabs between the columns");
            return STAPES_E_UNSUPPORTED;
        }
        line += rune == '\n';
        i += (size_t)used;
    }
    return STAPES_OK;
}

static stapes_status parse_header(char *line, header *columns, stapes_error *err) {
    for (int c = 0; c < COLUMNS; c++)
        columns->field[c] = -1;
    int number = 0;
    for (char *field; (field = next_field(&line)); number++) {
        for (int c = 0; c < COLUMNS; c++) {
            if (strcmp(field, column_names[c]) != 0)
                continue;
            if (columns->field[c] >= 0)
                return stapes__fail(err, STAPES_E_UNSUPPORTED, "line 1: two columns named \"%s\"",
                                    field);
            columns->field[c] = number;
        }
    }
    if (columns->field[PATH] >= 0)
        return STAPES_OK;
    stapes__fail(err, STAPES_E_UNSUPPORTED, "line 1: no column \"path\"");
    stapes__hint(err, "the first line names the columns: path, seconds, sha256, text");
    return STAPES_E_UNSUPPORTED;
}

static bool is_sha256(const char *text) {
    return strspn(text, "0123456789abcdefABCDEF") == 64 && text[64] == 0;
}

/* Digits with at most one point; strtod alone would take "inf", "0x1p3" and the locale's comma. */
static bool parse_seconds(const char *text, double *out) {
    size_t whole = strspn(text, "0123456789");
    const char *rest = text + whole;
    size_t fraction = *rest == '.' ? strspn(++rest, "0123456789") : 0;
    if (rest[fraction] != 0 || whole + fraction == 0 || whole > 12)
        return false;
    double value = 0, unit = 1;
    for (size_t i = 0; i < whole; i++)
        value = value * 10 + (text[i] - '0');
    for (size_t i = 0; i < fraction; i++) {
        unit /= 10;
        value += unit * (rest[i] - '0');
    }
    *out = value;
    return true;
}

static stapes_status parse_row(char *text, const header *columns, stapes__manifest_row *row,
                               stapes_error *err) {
    const char *fields[COLUMNS] = {NULL, NULL, NULL, NULL};
    int number = 0;
    for (char *field; (field = next_field(&text)); number++)
        for (int c = 0; c < COLUMNS; c++)
            if (columns->field[c] == number)
                fields[c] = field;
    for (int c = 0; c < COLUMNS; c++)
        if (columns->field[c] >= 0 && !fields[c])
            return stapes__fail(err, STAPES_E_UNSUPPORTED,
                                "line %zu: %d fields, column \"%s\" is number %d", row->line,
                                number, column_names[c], columns->field[c] + 1);
    row->path = fields[PATH];
    row->text = fields[TEXT] ? fields[TEXT] : "";
    row->sha256 = fields[SHA256] ? fields[SHA256] : "";
    if (!*row->path)
        return stapes__fail(err, STAPES_E_UNSUPPORTED, "line %zu: the path is empty", row->line);
    if (*row->sha256 && !is_sha256(row->sha256))
        return stapes__fail(err, STAPES_E_UNSUPPORTED,
                            "line %zu: sha256 is not 64 hexadecimal digits", row->line);
    if (fields[SECONDS] && *fields[SECONDS] && !parse_seconds(fields[SECONDS], &row->seconds))
        return stapes__fail(err, STAPES_E_UNSUPPORTED,
                            "line %zu: seconds is \"%.40s\", not a number", row->line,
                            fields[SECONDS]);
    return STAPES_OK;
}

static stapes_status parse_rows(stapes__manifest *out, char *at, stapes_error *err) {
    header columns;
    char *first = next_line(&at);
    if (!first)
        return stapes__fail(err, STAPES_E_UNSUPPORTED, "line 1: the manifest is empty");
    stapes_status status = parse_header(first, &columns, err);
    if (status != STAPES_OK)
        return status;
    out->has_text = columns.field[TEXT] >= 0;
    out->has_seconds = columns.field[SECONDS] >= 0;
    out->has_sha256 = columns.field[SHA256] >= 0;
    size_t lines = 1, number = 1;
    for (const char *c = at; *c; c++)
        lines += *c == '\n';
    out->rows = stapes__calloc(lines, sizeof *out->rows);
    if (!out->rows)
        return stapes__fail_memory(err, "rows of a manifest");
    for (char *line; (line = next_line(&at));) {
        number++;
        if (!*line)
            continue;
        stapes__manifest_row *row = &out->rows[out->n_rows];
        row->line = number;
        status = parse_row(line, &columns, row, err);
        if (status != STAPES_OK)
            return status;
        out->n_rows++;
    }
    return STAPES_OK;
}

stapes_status stapes__manifest_parse(stapes__manifest *out, const char *data, size_t size,
                                     stapes_error *err) {
    memset(out, 0, sizeof *out);
    stapes_status status = check_text(data, size, err);
    if (status != STAPES_OK)
        return status;
    if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        data += 3;
        size -= 3;
    }
    out->data = stapes__strndup(size ? data : "", size);
    status = out->data ? parse_rows(out, out->data, err)
                       : stapes__fail_memory(err, "text of a manifest");
    if (status != STAPES_OK)
        stapes__manifest_free(out);
    return status;
}

stapes_status stapes__manifest_open(stapes__manifest *out, const char *path, stapes_error *err) {
    char *data = NULL;
    size_t size = 0;
    memset(out, 0, sizeof *out);
    stapes_status status = stapes__read_file(path, (size_t)256 << 20, &data, &size, err);
    if (status != STAPES_OK)
        return status;
    status = stapes__manifest_parse(out, data, size, err);
    free(data);
    if (status != STAPES_OK) {
        stapes__prefix(err, "%s", path);
        return status;
    }
    const char *base = stapes__path_base(path);
    out->folder = base == path ? stapes__strdup(".") : stapes__strndup(path, (size_t)(base - path));
    if (!out->folder) {
        stapes__manifest_free(out);
        return stapes__fail_memory(err, "folder of a manifest");
    }
    return STAPES_OK;
}

char *stapes__manifest_file(const stapes__manifest *manifest, const stapes__manifest_row *row) {
    if (row->path[0] == '/' || !manifest->folder || strcmp(manifest->folder, ".") == 0)
        return stapes__strdup(row->path);
    return stapes__path_join(manifest->folder, row->path);
}

void stapes__manifest_free(stapes__manifest *manifest) {
    free(manifest->rows);
    free(manifest->folder);
    free(manifest->data);
    memset(manifest, 0, sizeof *manifest);
}

/* Writing transcripts: to standard output, or to files that appear whole or not at all. */
#include "transcribe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static stapes_status fail_errno(stapes_error *err, int errnum, const char *what, const char *path) {
    bool full = errnum == ENOSPC || errnum == EDQUOT;
    *err = (stapes_error){.code = full ? STAPES_E_DISK_FULL : STAPES_E_IO};
    snprintf(err->message, sizeof(err->message), "%s: %s: %s", path, what, strerror(errnum));
    snprintf(err->hint, sizeof(err->hint), "%s",
             full ? "Free some space or choose another place with --output-dir"
                  : "Check the path and its permissions");
    return err->code;
}

static stapes_status fail_memory(stapes_error *err) {
    *err = (stapes_error){.code = STAPES_E_MEMORY};
    snprintf(err->message, sizeof(err->message), "not enough memory for the output");
    return err->code;
}

/* Creates the folders that a path needs, not its last part. */
static stapes_status make_parents(const char *path, stapes_error *err) {
    char *copy = strdup(path);
    if (!copy)
        return fail_memory(err);
    stapes_status status = STAPES_OK;
    for (char *at = copy + 1; *at && status == STAPES_OK; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            status = fail_errno(err, errno, "cannot create the folder", copy);
        *at = '/';
    }
    free(copy);
    return status;
}

static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool write_bytes(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

static stapes_status write_direct(const char *path, const char *bytes, size_t size,
                                  stapes_error *err) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, errno, "cannot write", path);
    bool ok = write_bytes(fd, bytes, size);
    int error = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        error = errno;
    }
    return ok ? STAPES_OK : fail_errno(err, error, "cannot write", path);
}

/* Under another name beside the target, then renamed: readers see the old file or the new one. */
static stapes_status write_whole(const char *path, const char *bytes, size_t size,
                                 stapes_error *err) {
    size_t capacity = strlen(path) + 32;
    char *temporary = malloc(capacity);
    if (!temporary)
        return fail_memory(err);
    snprintf(temporary, capacity, "%s.part-%ld", path, (long)getpid());
    stapes_status status = STAPES_OK;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        status = fail_errno(err, errno, "cannot write", path);
    } else {
        bool ok = write_bytes(fd, bytes, size);
        int error = errno;
        if (close(fd) != 0 && ok) {
            ok = false;
            error = errno;
        }
        if (ok && rename(temporary, path) != 0) {
            ok = false;
            error = errno;
        }
        if (!ok) {
            unlink(temporary);
            status = fail_errno(err, error, "cannot write", path);
        }
    }
    free(temporary);
    return status;
}

static bool into_stream(void *user, const char *bytes, size_t count) {
    return fwrite(bytes, 1, count, user) == count;
}

static const char *source_name(const input *in) {
    return strcmp(in->path, "-") == 0 ? "stdin" : in->path;
}

static void set_params(const writing *w, const input *in, stapes_write_params *params) {
    *params = (stapes_write_params){.struct_size = sizeof(*params),
                                    .words = w->args->words,
                                    .paragraph = w->args->paragraph,
                                    .timestamps = w->args->timestamps,
                                    .max_line = w->args->max_line,
                                    .first_number = w->args->first_number,
                                    .source = in ? source_name(in) : "",
                                    .model = w->model};
}

/* The result as a format shows it: with the channel in the text where the format has no field. */
static stapes_result view_for(const transcript *t, const char *format) {
    stapes_result view = t->view;
    if (t->labelled && cli_has_word("txt srt vtt lrc tsv", format))
        view.segments = t->labelled;
    return view;
}

static stapes_status render(const writing *w, const input *in, const char *format, char **bytes,
                            size_t *size, stapes_error *err) {
    stapes_write_params params;
    stapes_result view = view_for(in->result, format);
    *bytes = NULL;
    FILE *memory = open_memstream(bytes, size);
    if (!memory)
        return fail_memory(err);
    set_params(w, in, &params);
    stapes_status status = stapes_result_write(&view, format, &params, into_stream, memory, err);
    if (fclose(memory) != 0 && status == STAPES_OK)
        status = fail_memory(err);
    return status;
}

/* "target.srt"; a device or pipe is named as it is. free() it. */
static char *output_path(const input *in, const char *format) {
    size_t capacity = strlen(in->target) + strlen(format) + 2;
    char *path = malloc(capacity);
    if (path)
        snprintf(path, capacity, in->direct ? "%s" : "%s.%s", in->target, format);
    return path;
}

static stapes_status write_file(const input *in, const char *path, const char *bytes, size_t size,
                                stapes_error *err) {
    if (in->direct)
        return write_direct(path, bytes, size, err);
    if (strcmp(in->path, "-") != 0 && same_file(path, in->path)) {
        *err = (stapes_error){.code = STAPES_E_USAGE};
        snprintf(err->message, sizeof(err->message), "%s: this is the recording itself", path);
        snprintf(err->hint, sizeof(err->hint), "Choose another name with --output");
        return err->code;
    }
    stapes_status status = make_parents(path, err);
    return status == STAPES_OK ? write_whole(path, bytes, size, err) : status;
}

static stapes_status write_format(const writing *w, const input *in, const char *format,
                                  bool to_file, stapes_error *err) {
    char *bytes = NULL;
    size_t size = 0;
    stapes_status status = render(w, in, format, &bytes, &size, err);
    if (status == STAPES_OK && !to_file) {
        cli_write(w->c, bytes, size); /* its failure is told at the end */
    } else if (status == STAPES_OK) {
        char *path = output_path(in, format);
        status = path ? write_file(in, path, bytes, size, err) : fail_memory(err);
        if (status == STAPES_OK)
            cli_detail(w->c, "wrote %s", path);
        free(path);
    }
    free(bytes);
    return status;
}

stapes_status transcribe_write(const writing *w, const input *in, stapes_error *err) {
    const cli_list *formats = &w->args->formats;
    stapes_status status = STAPES_OK;
    for (size_t i = 0; i < formats->count && status == STAPES_OK; i++) {
        if (!in->result->streamed)
            status = write_format(w, in, formats->items[i], in->target != NULL, err);
    }
    if (status == STAPES_OK && in->target && w->c->common.json)
        status = write_format(w, in, "jsonl", false, err);
    return status;
}

bool transcribe_outputs_exist(const writing *w, const input *in) {
    const cli_list *formats = &w->args->formats;
    struct stat info;
    for (size_t i = 0; in->target && !in->direct && i < formats->count; i++) {
        char *path = output_path(in, formats->items[i]);
        bool there = path && stat(path, &info) == 0;
        free(path);
        if (!there)
            return false;
    }
    return in->target && !in->direct;
}

bool transcribe_can_stream(const writing *w, const inputs *list) {
    const transcribe_args *args = w->args;
    bool plain = args->formats.count == 1 && strcmp(args->formats.items[0], "txt") == 0 &&
                 !args->paragraph && args->channel_index != CHANNEL_SPLIT && args->jobs == 1;
    return plain && list->count > 0 && !list->items[0].target;
}

void transcribe_stream_segment(const writing *w, const stapes_segment *segment) {
    stapes_write_params params;
    stapes_segment copy = *segment;
    copy.start += w->args->offset;
    copy.end += w->args->offset;
    stapes_result one = {.text = copy.text, .language = "", .n_segments = 1, .segments = &copy};
    set_params(w, NULL, &params);
    stapes_error err;
    if (stapes_result_write(&one, "txt", &params, cli_write, w->c, &err) == STAPES_OK)
        cli_flush(w->c);
}

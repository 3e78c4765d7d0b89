/* Which recordings are meant, and where their text goes. */
#include "transcribe.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* What a folder is searched for. A file that is named is tried whatever it is called. */
static const char audio_extensions[] =
    "wav wave flac mp3 ogg oga opus m4a m4b mp4 mov mkv webm aac aif aiff aifc au caf w64 rf64 wma "
    "amr 3gp ac3 mka mpga mpeg mp2 snd";

static input *add_input(inputs *list, const char *path, size_t inside) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 16;
        input *items = realloc(list->items, capacity * sizeof(*items));
        if (!items)
            return NULL;
        list->items = items;
        list->capacity = capacity;
    }
    input *in = &list->items[list->count];
    *in = (input){.path = strdup(path)};
    if (!in->path)
        return NULL;
    in->inside = in->path + inside;
    list->count++;
    return in;
}

static void set_error(input *in, stapes_status code, const char *message, const char *hint) {
    in->error.code = code;
    snprintf(in->error.message, sizeof(in->error.message), "%s: %s", in->path, message);
    snprintf(in->error.hint, sizeof(in->error.hint), "%s", hint);
}

static bool is_audio_name(const char *name) {
    const char *dot = strrchr(name, '.');
    char lower[8];
    size_t length = dot ? strlen(dot + 1) : 0;
    if (length == 0 || length >= sizeof(lower))
        return false;
    for (size_t i = 0; i <= length; i++)
        lower[i] = dot[1 + i] >= 'A' && dot[1 + i] <= 'Z' ? (char)(dot[1 + i] + 32) : dot[1 + i];
    return cli_has_word(audio_extensions, lower);
}

/* Order of a folder: by the bytes of the names, the same on every machine and in every locale. */
static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

typedef struct folder {
    inputs *list;
    size_t prefix; /* bytes of path before the part inside the folder */
    bool recursive;
    size_t found, skipped; /* recordings, subfolders not entered */
    bool no_memory;
} folder;

static void visit(folder *f, FTS *tree, FTSENT *entry) {
    bool hidden = entry->fts_level > 0 && entry->fts_name[0] == '.';
    input *in = NULL;
    switch (entry->fts_info) {
    case FTS_D:
        if (hidden || (entry->fts_level > 0 && !f->recursive)) {
            f->skipped += !hidden;
            fts_set(tree, entry, FTS_SKIP);
        }
        return;
    case FTS_F:
        if (hidden || !is_audio_name(entry->fts_name))
            return;
        in = add_input(f->list, entry->fts_path, f->prefix);
        break;
    case FTS_DNR:
    case FTS_ERR:
        in = add_input(f->list, entry->fts_path, f->prefix);
        if (in)
            set_error(in, STAPES_E_AUDIO, strerror(entry->fts_errno), "Check its permissions.");
        break;
    default:
        return;
    }
    f->found++;
    f->no_memory = f->no_memory || !in;
}

static stapes_status add_folder(inputs *list, const char *path, bool recursive) {
    size_t length = strlen(path);
    char *copy = strdup(path);
    if (!copy)
        return STAPES_E_MEMORY;
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = 0;
    char *const roots[] = {copy, NULL};
    folder f = {.list = list, .recursive = recursive, .prefix = length + (copy[length - 1] != '/')};
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    FTSENT *entry;
    while (tree && !f.no_memory && (entry = fts_read(tree)))
        visit(&f, tree, entry);
    bool opened = tree != NULL;
    if (tree)
        fts_close(tree);
    free(copy);
    if (!opened || f.no_memory)
        return STAPES_E_MEMORY;
    if (f.found > 0)
        return STAPES_OK;
    input *in = add_input(list, path, 0);
    if (!in)
        return STAPES_E_MEMORY;
    set_error(in, STAPES_E_AUDIO, "the folder holds no recordings",
              f.skipped ? "Its subfolders are searched with --recursive."
                        : "Files are known by their extensions; name others one by one.");
    return STAPES_OK;
}

static stapes_status add_word(inputs *list, const char *word, bool recursive) {
    struct stat info;
    bool is_stdin = strcmp(word, "-") == 0;
    if (!is_stdin && stat(word, &info) == 0 && S_ISDIR(info.st_mode))
        return add_folder(list, word, recursive);
    int error = is_stdin || stat(word, &info) == 0 ? 0 : errno;
    const char *slash = strrchr(word, '/');
    input *in = add_input(list, word, slash && slash[1] ? (size_t)(slash + 1 - word) : 0);
    if (!in)
        return STAPES_E_MEMORY;
    if (is_stdin)
        in->inside = "stdin";
    if (error)
        set_error(in, STAPES_E_AUDIO, error == ENOENT ? "no such file" : strerror(error),
                  error == ENOENT ? "Check the name." : "Check the path and its permissions.");
    return STAPES_OK;
}

stapes_status transcribe_find_inputs(inputs *list, const cli_list *words, bool recursive) {
    stapes_status status = STAPES_OK;
    for (size_t i = 0; i < words->count && status == STAPES_OK; i++)
        status = add_word(list, words->items[i], recursive);
    return status;
}

/* Length of a name without its extension; a leading dot is no extension. */
static size_t stem_length(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return dot && dot > name ? (size_t)(dot - path) : strlen(path);
}

static bool taken(const inputs *list, size_t before, const char *target) {
    for (size_t i = 0; i < before; i++) {
        if (list->items[i].target && strcmp(list->items[i].target, target) == 0)
            return true;
    }
    return false;
}

/* "dir/talk", or when that is taken "dir/talk.mp3", then "dir/talk.mp3-2" and so on. */
static char *folder_target(const inputs *list, size_t index, const char *dir) {
    const char *inside = list->items[index].inside;
    size_t capacity = strlen(dir) + strlen(inside) + 32;
    char *target = malloc(capacity);
    if (!target)
        return NULL;
    const char *slash = *dir && dir[strlen(dir) - 1] == '/' ? "" : "/";
    snprintf(target, capacity, "%s%s%.*s", dir, slash, (int)stem_length(inside), inside);
    for (int n = 1; taken(list, index, target); n++) {
        if (n == 1)
            snprintf(target, capacity, "%s%s%s", dir, slash, inside);
        else
            snprintf(target, capacity, "%s%s%s-%d", dir, slash, inside, n);
    }
    return target;
}

/* --output as given, or without the extension of the only format: both `-of talk` and
 * `-of talk.srt` make talk.srt. */
static char *file_target(const transcribe_args *args, bool *direct) {
    struct stat info;
    size_t length = strlen(args->output);
    *direct = stat(args->output, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
    if (!*direct && args->formats.count == 1) {
        size_t stem = stem_length(args->output);
        if (stem < length && strcasecmp(args->output + stem + 1, args->formats.items[0]) == 0)
            length = stem;
    }
    return strndup(args->output, length);
}

stapes_status transcribe_choose_targets(inputs *list, const transcribe_args *args) {
    bool to_file = args->output && strcmp(args->output, "-") != 0;
    for (size_t i = 0; i < list->count && (to_file || args->output_dir); i++) {
        input *in = &list->items[i];
        if (to_file)
            in->target = file_target(args, &in->direct);
        else
            in->target = folder_target(list, i, args->output_dir);
        if (!in->target)
            return STAPES_E_MEMORY;
    }
    return STAPES_OK;
}

void transcribe_free_inputs(inputs *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].path);
        free(list->items[i].target);
        transcribe_free_transcript(&list->items[i].result);
    }
    free(list->items);
    *list = (inputs){0};
}

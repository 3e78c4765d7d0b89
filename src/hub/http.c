#include "hub/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "stapes/version.h"

#define MAX_REDIRECTS 10
#define CONNECT_SECONDS 20L

struct stapes__http {
    CURL *curl;
    int stall_seconds;
    char words[CURL_ERROR_SIZE];
};

/* One hop of a fetch. */
typedef struct hop {
    CURL *curl;
    const stapes__http_sink *sink;
    stapes__http_reply *reply;
    bool from_hub, begun;
    stapes_status stopped; /* what the sink returned, OK while it goes on */
} hop;

/* ---- headers -------------------------------------------------------------------------------- */

static void copy_value(char *out, size_t capacity, const char *value, size_t length) {
    size_t n = 0;
    for (size_t i = 0; i < length && n + 1 < capacity; i++)
        if ((unsigned char)value[i] >= 0x20 && (unsigned char)value[i] < 0x7f)
            out[n++] = value[i];
    out[n] = 0;
}

/* An ETag without its weakness mark and quotes. */
static void copy_bare_etag(char *out, size_t capacity, const char *value, size_t length) {
    if (length >= 2 && value[0] == 'W' && value[1] == '/') {
        value += 2;
        length -= 2;
    }
    if (length >= 2 && value[0] == '"' && value[length - 1] == '"') {
        value++;
        length -= 2;
    }
    copy_value(out, capacity, value, length);
}

/* A decimal count at *at, advancing it; -1 when there is none or it is beyond 2^60. */
static int64_t take_count(const char **at, const char *end) {
    int64_t value = 0;
    const char *start = *at;
    for (; *at < end && isdigit((unsigned char)**at); (*at)++) {
        if (value > ((int64_t)1 << 60) / 10)
            return -1;
        value = value * 10 + (**at - '0');
    }
    return *at > start ? value : -1;
}

static int64_t whole_count(const char *value, size_t length) {
    const char *at = value, *end = value + length;
    int64_t count = take_count(&at, end);
    return at == end ? count : -1;
}

/* "bytes 100-199/200" */
static void parse_content_range(stapes__http_reply *reply, const char *value, size_t length) {
    const char *at = value, *end = value + length;
    if (length < 6 || strncasecmp(at, "bytes ", 6) != 0)
        return;
    at += 6;
    int64_t begin = take_count(&at, end);
    if (begin < 0 || at == end || *at++ != '-' || take_count(&at, end) < begin)
        return;
    if (at == end || *at++ != '/')
        return;
    reply->range_begin = begin;
    reply->range_total = take_count(&at, end);
}

static void reset_hop_headers(stapes__http_reply *reply) {
    reply->length = reply->range_begin = reply->range_total = reply->retry_after = -1;
    reply->etag[0] = reply->reason[0] = 0;
}

static bool is_header(const char *line, size_t name_length, const char *name) {
    return strlen(name) == name_length && strncasecmp(line, name, name_length) == 0;
}

static void take_header(hop *h, const char *line, size_t name_length, const char *value,
                        size_t length) {
    stapes__http_reply *reply = h->reply;
    if (is_header(line, name_length, "content-length")) {
        reply->length = whole_count(value, length);
    } else if (is_header(line, name_length, "content-range")) {
        parse_content_range(reply, value, length);
    } else if (is_header(line, name_length, "retry-after")) {
        reply->retry_after = whole_count(value, length);
    } else if (is_header(line, name_length, "x-error-message")) {
        copy_value(reply->reason, sizeof reply->reason, value, length);
    } else if (is_header(line, name_length, "etag")) {
        copy_value(reply->etag, sizeof reply->etag, value, length);
        if (h->from_hub && !reply->linked)
            copy_bare_etag(reply->hub_etag, sizeof reply->hub_etag, value, length);
    } else if (h->from_hub && is_header(line, name_length, "x-linked-etag")) {
        copy_bare_etag(reply->hub_etag, sizeof reply->hub_etag, value, length);
        reply->linked = true;
    } else if (h->from_hub && is_header(line, name_length, "x-linked-size")) {
        reply->linked_size = whole_count(value, length);
    } else if (h->from_hub && is_header(line, name_length, "x-repo-commit")) {
        copy_value(reply->commit, sizeof reply->commit, value, length);
    }
}

static bool has_body(long status) {
    return status == 200 || status == 206;
}

static stapes_status begin_once(hop *h) {
    if (h->begun)
        return STAPES_OK;
    h->begun = true;
    return h->sink->begin(h->sink->user, h->reply);
}

static size_t on_header(char *line, size_t size, size_t count, void *user) {
    hop *h = user;
    size_t total = size * count, length = total;
    while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == '\n'))
        length--;
    if (length >= 5 && strncmp(line, "HTTP/", 5) == 0) {
        reset_hop_headers(h->reply);
        return total;
    }
    if (length == 0) { /* the headers are complete */
        curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &h->reply->status);
        if (has_body(h->reply->status))
            h->stopped = begin_once(h);
        return h->stopped == STAPES_OK ? total : 0;
    }
    const char *colon = memchr(line, ':', length);
    if (!colon)
        return total;
    const char *value = colon + 1, *end = line + length;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    take_header(h, line, (size_t)(colon - line), value, (size_t)(end - value));
    return total;
}

/* ---- body ----------------------------------------------------------------------------------- */

static size_t on_data(char *bytes, size_t size, size_t count, void *user) {
    hop *h = user;
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &h->reply->status);
    if (!has_body(h->reply->status))
        return size * count; /* the page of a redirect or an error */
    h->stopped = begin_once(h);
    if (h->stopped == STAPES_OK)
        h->stopped = h->sink->data(h->sink->user, bytes, size * count);
    return h->stopped == STAPES_OK ? size * count : 0;
}

static int on_tick(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total,
                   curl_off_t up_now) {
    (void)total;
    (void)now;
    (void)up_total;
    (void)up_now;
    hop *h = user;
    if (h->stopped == STAPES_OK)
        h->stopped = h->sink->tick(h->sink->user);
    return h->stopped == STAPES_OK ? 0 : 1;
}

/* ---- URLs ----------------------------------------------------------------------------------- */

/* Scheme, host and port of a URL as "https://host:443"; false when it is not an http(s) URL. */
static bool origin_of(const char *url, char *out, size_t capacity, bool *private_channel) {
    CURLU *parts = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL;
    bool good = parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    if (good) {
        bool secure = strcmp(scheme, "https") == 0;
        good = secure || strcmp(scheme, "http") == 0;
        bool local = strcmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0 ||
                     strcmp(host, "[::1]") == 0;
        *private_channel = secure || local;
        int written = snprintf(out, capacity, "%s://%s:%s", scheme, host, port);
        good = good && written > 0 && (size_t)written < capacity;
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return good;
}

/* ---- one hop -------------------------------------------------------------------------------- */

static struct curl_slist *add_header(struct curl_slist *list, bool *failed, const char *name,
                                     const char *value) {
    stapes__buf line = {0};
    stapes__buf_printf(&line, "%s: %s", name, value);
    struct curl_slist *longer = line.failed ? NULL : curl_slist_append(list, line.data);
    *failed = *failed || !longer;
    stapes__buf_free(&line);
    return longer ? longer : list;
}

static void set_protocols(CURL *curl) {
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static void set_options(stapes__http *http, hop *h, const char *url, struct curl_slist *headers) {
    CURL *curl = http->curl;
    curl_easy_reset(curl); /* keeps connections */
    http->words[0] = 0;
    set_protocols(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "stapes/" STAPES_VERSION_STRING);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->words);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)http->stall_seconds);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, h);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, h);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_tick);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, h);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

static stapes__http_outcome classify(CURLcode code) {
    switch (code) {
    case CURLE_OK:
        return STAPES__HTTP_DONE;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return STAPES__HTTP_REFUSED;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return STAPES__HTTP_CONNECT;
    default:
        return STAPES__HTTP_BROKEN;
    }
}

static stapes_status run_hop(stapes__http *http, hop *h, const char *url,
                             const stapes__http_get *get, bool with_token,
                             stapes__http_outcome *outcome, stapes_error *err) {
    bool failed = false;
    char range[64];
    struct curl_slist *headers = NULL;
    if (with_token) {
        stapes__buf bearer = {0};
        stapes__buf_printf(&bearer, "Bearer %s", get->token);
        headers = add_header(headers, &failed, "Authorization", bearer.failed ? "" : bearer.data);
        failed = failed || bearer.failed;
        stapes__buf_free(&bearer);
    }
    if (get->range_begin > 0) {
        snprintf(range, sizeof range, "bytes=%lld-", (long long)get->range_begin);
        headers = add_header(headers, &failed, "Range", range);
        if (get->if_range)
            headers = add_header(headers, &failed, "If-Range", get->if_range);
    }
    if (failed) {
        curl_slist_free_all(headers);
        return stapes__fail_memory(err, "a request");
    }
    set_options(http, h, url, headers);
    CURLcode code = curl_easy_perform(http->curl);
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &h->reply->status);
    curl_slist_free_all(headers);
    if (code == CURLE_OK && has_body(h->reply->status))
        h->stopped = begin_once(h);
    *outcome = h->stopped != STAPES_OK ? STAPES__HTTP_STOPPED : classify(code);
    if (*outcome == STAPES__HTTP_STOPPED)
        return h->stopped;
    if (*outcome == STAPES__HTTP_DONE)
        return STAPES_OK;
    return stapes__fail(err, STAPES_E_NETWORK, "%s: %s", url,
                        http->words[0] ? http->words : curl_easy_strerror(code));
}

/* ---- a fetch -------------------------------------------------------------------------------- */

stapes_status stapes__http_open(stapes__http **out, int stall_seconds, stapes_error *err) {
    *out = NULL;
    stapes__http *http = stapes__calloc(1, sizeof *http);
    if (!http)
        return stapes__fail_memory(err, "the HTTP client");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(http);
        return stapes__fail(err, STAPES_E_NETWORK, "libcurl cannot start");
    }
    http->stall_seconds = stall_seconds;
    http->curl = curl_easy_init();
    if (!http->curl) {
        stapes__http_close(&http);
        return stapes__fail_memory(err, "the HTTP client");
    }
    *out = http;
    return STAPES_OK;
}

void stapes__http_close(stapes__http **http) {
    if (*http) {
        curl_easy_cleanup((*http)->curl);
        curl_global_cleanup();
        free(*http);
    }
    *http = NULL;
}

/* The URL that an answer redirects to, as a fresh string; NULL when it does not. */
static char *redirect_target(CURL *curl, long status) {
    char *target = NULL;
    if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308)
        curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &target);
    return target ? stapes__strdup(target) : NULL;
}

static stapes_status refuse(stapes__http_outcome *outcome, stapes_error *err, const char *url,
                            const char *why) {
    *outcome = STAPES__HTTP_REFUSED;
    return stapes__fail(err, STAPES_E_NETWORK, "%s: %s", url, why);
}

stapes_status stapes__http_fetch(stapes__http *http, stapes__http_get *get,
                                 const stapes__http_sink *sink, stapes__http_reply *reply,
                                 stapes__http_outcome *outcome, stapes_error *err) {
    char hub[512], here[512];
    bool private_channel, secure_start = strncasecmp(get->url, "https:", 6) == 0;
    memset(reply, 0, sizeof *reply);
    reset_hop_headers(reply);
    reply->linked_size = -1;
    if (!origin_of(get->url, hub, sizeof hub, &private_channel))
        return refuse(outcome, err, get->url, "is not an http or https address");
    char *url = stapes__strdup(get->url);
    stapes_status status = url ? STAPES_OK : stapes__fail_memory(err, "a request");
    *outcome = STAPES__HTTP_REFUSED;
    for (int hops = 0; status == STAPES_OK; hops++) {
        if (!origin_of(url, here, sizeof here, &private_channel)) {
            status = refuse(outcome, err, get->url, "redirects to something that is not http");
            break;
        }
        if (secure_start && strncmp(here, "https:", 6) != 0) {
            status = refuse(outcome, err, get->url, "redirects from https to plain http");
            break;
        }
        bool at_hub = strcmp(hub, here) == 0;
        hop h = {http->curl, sink, reply, at_hub, false, STAPES_OK};
        status = run_hop(http, &h, url, get, get->token && at_hub && private_channel, outcome, err);
        char *next = status == STAPES_OK ? redirect_target(http->curl, reply->status) : NULL;
        if (!next)
            break;
        free(url);
        url = next;
        if (hops >= MAX_REDIRECTS)
            status = refuse(outcome, err, get->url, "too many redirects");
        else if (at_hub && get->redirected)
            status = get->redirected(sink->user, reply, get);
        if (status != STAPES_OK && hops < MAX_REDIRECTS)
            *outcome = STAPES__HTTP_STOPPED;
    }
    free(url);
    return status;
}

const char *stapes__http_library(void) {
    return curl_version();
}

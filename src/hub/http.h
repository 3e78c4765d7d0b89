/* HTTP GET for downloads, on libcurl: redirects followed here rather than by the library, so that
 * the access token goes to the hub alone and the hub's own headers are told from a mirror's. Proxy
 * variables (https_proxy, no_proxy, ...) are libcurl's and work as usual. */
#ifndef STAPES_HUB_HTTP_H
#define STAPES_HUB_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define STAPES__ETAG_SIZE 256

/* What the answer's headers said. Strings are "" and counts -1 when absent. */
typedef struct stapes__http_reply {
    long status;
    int64_t length;                   /* Content-Length of this answer */
    int64_t range_begin, range_total; /* Content-Range */
    char etag[STAPES__ETAG_SIZE];     /* as sent, quotes included, by whoever sent the body */
    char hub_etag[STAPES__ETAG_SIZE]; /* bare; X-Linked-ETag or ETag, from the hub itself */
    bool linked;                      /* hub_etag came as X-Linked-ETag: a SHA-256 */
    int64_t linked_size;              /* X-Linked-Size, from the hub itself */
    char commit[STAPES__ETAG_SIZE];   /* X-Repo-Commit, from the hub itself */
    char reason[160];                 /* X-Error-Message */
    int64_t retry_after;              /* seconds */
} stapes__http_reply;

/* What a GET does with the answer. Each returns STAPES_OK or the code that ends the transfer. */
typedef struct stapes__http_sink {
    void *user;
    /* Before the body of the final answer with status 200 or 206 (also of an empty one). */
    stapes_status (*begin)(void *user, const stapes__http_reply *reply);
    stapes_status (*data)(void *user, const void *bytes, size_t count);
    /* Several times a second, also while nothing arrives. */
    stapes_status (*tick)(void *user);
} stapes__http_sink;

typedef struct stapes__http_get {
    const char *url;
    const char *token;    /* bearer token for the hub, NULL = none */
    int64_t range_begin;  /* > 0: ask for the bytes from there */
    const char *if_range; /* strong ETag that the range depends on, NULL = none */
    /* Called with the hub's headers when it redirects, before the next hop; may change the range.
     * NULL = no interest. */
    stapes_status (*redirected)(void *user, const stapes__http_reply *reply,
                                struct stapes__http_get *get);
} stapes__http_get;

typedef enum stapes__http_outcome {
    STAPES__HTTP_DONE,    /* a complete answer; look at reply->status */
    STAPES__HTTP_STOPPED, /* the sink ended it: the returned status is the sink's */
    STAPES__HTTP_CONNECT, /* nobody answered: name, connection, TLS, proxy */
    STAPES__HTTP_BROKEN,  /* the answer broke off or stalled */
    STAPES__HTTP_REFUSED  /* never to be repeated: bad URL, too many or forbidden redirects */
} stapes__http_outcome;

typedef struct stapes__http stapes__http;

/* stall_seconds: silence that counts as broken off. On failure *out is NULL. */
stapes_status stapes__http_open(stapes__http **out, int stall_seconds, stapes_error *err);
void stapes__http_close(stapes__http **http);

/* Fetches, following at most 10 redirects (none from https to http, none to other schemes). The
 * token goes only to the scheme, host and port of get->url, and over plain http only to this
 * machine. Returns OK for DONE; for STOPPED the sink's status (err untouched); otherwise NETWORK
 * or ARGUMENT with a report naming the URL. */
stapes_status stapes__http_fetch(stapes__http *http, stapes__http_get *get,
                                 const stapes__http_sink *sink, stapes__http_reply *reply,
                                 stapes__http_outcome *outcome, stapes_error *err);

/* "libcurl/7.88.1 OpenSSL/3.0.11 ..." Static storage. */
const char *stapes__http_library(void);

#endif

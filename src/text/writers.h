/* Inside of stapes_result_write: what the files of the formats share. */
#ifndef STAPES_TEXT_WRITERS_H
#define STAPES_TEXT_WRITERS_H

#include "base/error.h"
#include "base/mem.h"
#include "stapes/stapes.h"

/* The output: bytes gather in `buf` and go to the caller in pieces of some kilobytes. */
typedef struct stapes__sink {
    stapes_write_fn write;
    void *user;
    stapes__buf buf;
    bool refused; /* the caller returned false; nothing more is sent */
} stapes__sink;

/* Hands on what has gathered, when it is enough or `all` is set. */
void stapes__sink_flush(stapes__sink *sink, bool all);

/* Seconds as whole units (1000 = milliseconds), rounded; 0 for what is negative or not finite. */
long long stapes__units(double seconds, int per_second);

/* One function for each format. `params` is complete. */
typedef stapes_status (*stapes__writer)(const stapes_result *result,
                                        const stapes_write_params *params, stapes__sink *sink,
                                        stapes_error *err);

stapes_status stapes__write_json(const stapes_result *result, const stapes_write_params *params,
                                 stapes__sink *sink, stapes_error *err);
stapes_status stapes__write_jsonl(const stapes_result *result, const stapes_write_params *params,
                                  stapes__sink *sink, stapes_error *err);
stapes_status stapes__write_srt(const stapes_result *result, const stapes_write_params *params,
                                stapes__sink *sink, stapes_error *err);
stapes_status stapes__write_vtt(const stapes_result *result, const stapes_write_params *params,
                                stapes__sink *sink, stapes_error *err);

#endif

/* Words of a window into its segments: clean-up of their times, and what looks invented
 * (spec/whisper 12, 13). */
#ifndef STAPES_DECODE_WHISPER_WORD_TIMES_H
#define STAPES_DECODE_WHISPER_WORD_TIMES_H

#include "decode/whisper/longform.h"

/* Clips implausible words of the alignment, merges punctuation and hands the words to the
 * segments, whose starts and ends are reconciled with them. offset: seconds where the window
 * begins; last_speech: end of the speech before it. The words' texts move to the segments. */
stapes_status stapes__whisper_place_words(stapes__whisper_segment *segments, size_t count,
                                          int32_t eot, stapes__whisper_words *alignment,
                                          double offset, double last_speech, const char *prepend,
                                          const char *append, stapes_error *err);

/* End of the last word of the segments, else of the last segment; false when there is none. */
bool stapes__whisper_last_end(const stapes__whisper_segment *segments, size_t count, double *end);

/* Over its first 8 words that are not punctuation, the words are so long, short or improbable that
 * the segment is probably not speech. False for NULL and without words. */
bool stapes__whisper_anomalous(const stapes__whisper_segment *segment);

/* Puts segments and words in order: no overlap with what ended at *last_end, nothing backwards,
 * nothing after `duration`, words inside their segment. *last_end moves on. */
void stapes__whisper_order_times(stapes__whisper_segment *segments, size_t count, double duration,
                                 double *last_end);

#endif

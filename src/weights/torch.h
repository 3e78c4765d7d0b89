/* Checkpoints of torch.save (.ckpt inside a .nemo, .pt): a zip of data.pkl and raw storages. */
#ifndef STAPES_WEIGHTS_TORCH_H
#define STAPES_WEIGHTS_TORCH_H

#include "weights/container_internal.h"

/* Adds every tensor of a checkpoint in memory to the container: views into `data`, except those
 * that are not contiguous there, which are copied into blocks of the container (at most as many
 * bytes as the checkpoint has). *extra (may be NULL) receives the plain values beside the state
 * dictionary, an object to release with json_decref. Reports as pickle.h and torch_zip.h say. */
stapes_status stapes__torch_read(stapes__container *c, const uint8_t *data, size_t size,
                                 json_t **extra, stapes_error *err);

/* Opens a checkpoint file by itself; its plain values (Whisper's "dims") become the container's
 * configuration. */
stapes_status stapes__torch_open_file(stapes__container *c, const char *path, stapes_error *err);

#endif

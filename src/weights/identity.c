/* The identity of a set of weights, comparable between containers. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "weights/container_internal.h"

/* Present in .nemo and absent in safetensors, or without influence on any result. */
static bool counted(const char *canonical) {
    static const char tracked[] = ".num_batches_tracked";
    size_t length = strlen(canonical), tail = sizeof tracked - 1;
    if (strncmp(canonical, "preprocessor.", 13) == 0)
        return false;
    if (strcmp(canonical, "mel_filters") == 0)
        return false;
    return length < tail || strcmp(canonical + length - tail, tracked) != 0;
}

static bool hash_u64(EVP_MD_CTX *hash, uint64_t value) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(value >> 8 * i);
    return EVP_DigestUpdate(hash, bytes, sizeof bytes) == 1;
}

static bool hash_tensor(EVP_MD_CTX *hash, const char *name, const stapes__tensor *tensor) {
    const char *dtype = stapes__dtype_name(tensor->dtype);
    bool ok = EVP_DigestUpdate(hash, name, strlen(name) + 1) == 1 &&
              EVP_DigestUpdate(hash, dtype, strlen(dtype) + 1) == 1 &&
              hash_u64(hash, (uint64_t)tensor->n_dims);
    for (int i = 0; ok && i < tensor->n_dims; i++)
        ok = hash_u64(hash, (uint64_t)tensor->shape[i]);
    return ok && (tensor->bytes == 0 || EVP_DigestUpdate(hash, tensor->data, tensor->bytes) == 1);
}

stapes_status stapes__container_identity(const stapes__container *c, char hex[65],
                                         stapes_error *err) {
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool ok = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; ok && i < c->table.count; i++) {
        const stapes__table_key *key = &c->table.by_canonical[i];
        const stapes__tensor *tensor = &c->table.tensors[key->index];
        if (counted(key->name)) {
            ok = hash_tensor(hash, key->name, tensor);
            stapes__container_release(c, tensor); /* so that memory stays flat */
        }
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    ok = ok && EVP_DigestFinal_ex(hash, digest, &length) == 1 && length == 32;
    EVP_MD_CTX_free(hash);
    if (!ok)
        return stapes__fail(err, STAPES_E_INTERNAL, "%s: cannot compute SHA-256", c->path);
    for (unsigned i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return STAPES_OK;
}

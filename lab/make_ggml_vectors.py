#!/usr/bin/env python3
"""Files of ggml and GGUF for tests/vectors/ggml. The writer of GGUF, the quantisation and the
values of every block type come from PyPI's gguf (0.19); the ggml .bin files are written here as
whisper.cpp's converter lays them out.

model-f16.bin   tests/vectors' tiny Whisper (argument: folder with its model.safetensors), f16
blocks.bin      a smaller Whisper with random weights, its matrices in every block type of 32
blocks.gguf     the encoder of that one, every block type of 256, metadata of every type
asr.gguf        NVIDIA's keys and the planar layout of Q8_0
tensors.safetensors, case.json   blocks and their values; shape, type and sums of every tensor

usage: make_ggml_vectors.py FOLDER
"""
import base64
import json
import pathlib
import struct
import sys

import gguf
import numpy as np
import whisper
from gguf import GGMLQuantizationType as T
from gguf.quants import dequantize, quantize
from safetensors.numpy import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent / "tests/vectors"
OUT = ROOT / "ggml"
ASSETS = pathlib.Path(whisper.__file__).parent / "assets"
TYPES = [T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K]
# Where a block keeps its half-precision scales.
HALVES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82],
          T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}
rng = np.random.default_rng(4)


def random_blocks(kind, rows, columns):
    """Any bytes but for the scales, which are small and of both signs."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 256, (rows * columns // block, size), dtype=np.uint8)
    for at in HALVES[kind]:
        scales = rng.uniform(-2e-3, 2e-3, len(raw)).astype("<f2")
        raw[:, at:at + 2] = scales.view(np.uint8).reshape(-1, 2)
    return raw.reshape(rows, -1)


def pack(kind, values):
    if kind == T.F32:
        return values.astype("<f4")
    if kind == T.F16:
        return values.astype("<f2")
    return quantize(values.astype(np.float32), kind)


def openai_names(weights):
    """Names of transformers to those of OpenAI. spec/whisper.md 14."""
    table = [("model.", ""), ("encoder_attn_layer_norm", "cross_attn_ln"),
             ("encoder_attn", "cross_attn"), ("self_attn_layer_norm", "attn_ln"),
             ("self_attn", "attn"), ("final_layer_norm", "mlp_ln"), ("layers", "blocks"),
             ("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value"), ("out_proj", "out"),
             ("fc1", "mlp.0"), ("fc2", "mlp.2"), ("embed_positions.weight", "positional_embedding"),
             ("embed_tokens", "token_embedding"), ("encoder.layer_norm", "encoder.ln_post"),
             ("decoder.layer_norm", "decoder.ln")]
    out = {}
    for name, value in weights.items():
        for old, new in table:
            name = name.replace(old, new)
        out[name] = value
    return out


def describe(name, kind, shape, values):
    values = np.asarray(values, np.float64)
    return {"name": name, "dtype": kind.name, "shape": list(shape), "sum": float(values.sum()),
            "sum_abs": float(np.abs(values).sum())}


def write_bin(path, header, filters, tokens, tensors):
    """tensors: name, kind, shape, raw, values. Returns their descriptions."""
    with open(path, "wb") as f:
        f.write(struct.pack("<i11i", 0x67676D6C, *header))
        f.write(struct.pack("<2i", *filters.shape) + filters.astype("<f4").tobytes())
        f.write(struct.pack("<i", len(tokens)))
        for token in tokens:
            f.write(struct.pack("<i", len(token)) + token)
        for name, kind, shape, raw, _ in tensors:
            f.write(struct.pack("<3i", len(shape), len(name), kind.value))
            f.write(struct.pack(f"<{len(shape)}i", *reversed(shape)) + name.encode())
            f.write(raw.tobytes())
    return [describe(name, kind, shape, values) for name, kind, shape, _, values in tensors]


def tensor(name, values, kind):
    """One tensor as whisper.cpp stores it: biases of convolutions get a second size."""
    if name in ("encoder.conv1.bias", "encoder.conv2.bias"):
        values = values.reshape(-1, 1)
    if values.ndim == 1 or name.endswith(("positional_embedding", "conv1.bias", "conv2.bias")):
        kind = T.F32
    elif values.ndim == 3 or values.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0]:
        kind = T.F16
    raw = pack(kind, values)
    plain = kind in (T.F32, T.F16)
    return name, kind, values.shape, raw, raw if plain else dequantize(raw, kind)


def byte_tokens(count):
    lines = (ASSETS / "multilingual.tiktoken").read_bytes().split()
    return [base64.b64decode(t) for t in lines[:2 * count:2]]


def small_model(d, mels, audio_ctx, text_ctx, vocab):
    """Random weights of one encoder and one decoder layer."""
    def normal(*shape):
        return rng.normal(0, shape[-1] ** -0.5, shape).astype(np.float32)

    w = {"encoder.positional_embedding": normal(audio_ctx, d),
         "encoder.conv1.weight": normal(d, mels, 3), "encoder.conv1.bias": normal(d),
         "encoder.conv2.weight": normal(d, d, 3), "encoder.conv2.bias": normal(d)}

    def linear(name, n, k, bias=True):
        w[name + ".weight"] = normal(n, k)
        if bias:
            w[name + ".bias"] = normal(n)

    def norm(name):
        w[name + ".weight"], w[name + ".bias"] = normal(d), normal(d)

    def layer(prefix, attentions):
        for a in attentions:
            norm(prefix + a + "_ln")
            for part in ("query", "key", "value", "out"):
                linear(f"{prefix}{a}.{part}", d, d, part != "key")
        norm(prefix + "mlp_ln")
        linear(prefix + "mlp.0", 4 * d, d)
        linear(prefix + "mlp.2", d, 4 * d)

    layer("encoder.blocks.0.", ["attn"])
    norm("encoder.ln_post")
    w["decoder.positional_embedding"] = normal(text_ctx, d)
    w["decoder.token_embedding.weight"] = normal(vocab, d)
    layer("decoder.blocks.0.", ["attn", "cross_attn"])
    norm("decoder.ln")
    return w


def write_gguf(path, arch, metadata, tensors):
    out = gguf.GGUFWriter(path, arch)
    metadata(out)
    for name, kind, _, raw, _ in tensors:
        plain = kind in (T.F32, T.F16)
        out.add_tensor(name, np.ascontiguousarray(raw), raw_dtype=None if plain else kind)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return [describe(name, kind, shape, values) for name, kind, shape, _, values in tensors]


def whisper_metadata(out):
    for side, values in (("encoder", (16, 32, 1, 2)), ("decoder", (8, 32, 1, 2))):
        for key, value in zip(("context_length", "embedding_length", "block_count",
                               "attention.head_count"), values):
            out.add_uint32(f"whisper.{side}.{key}", value)
    out.add_uint64("whisper.encoder.mels_count", 8)
    out.add_uint8("test.u8", 200)
    out.add_int8("test.i8", -100)
    out.add_uint16("test.u16", 60000)
    out.add_int16("test.i16", -30000)
    out.add_int32("test.i32", -2000000000)
    out.add_int64("test.i64", -(1 << 62))
    out.add_float32("test.f32", 0.25)
    out.add_float64("test.f64", 1e300)
    out.add_bool("test.bool", True)
    out.add_array("test.nested", [[1, 2], [3], [4, 5, 6]])
    out.add_tokenizer_model("gpt2")
    out.add_token_list(["!", "\u0120the", "\u010a", "\u00e2\u0124\u00ac", "<|endoftext|>"])


def asr_metadata(out):
    out.add_string("asr.head_type", "tdt")
    out.add_string("asr.encoder.q8_layout", "tensor_planar_v1")
    model = (ROOT / "tokenizer/byte_fallback.model").read_bytes()
    out.add_string("asr.tokenizer.spm_model", base64.b64encode(model).decode())


def planar(raw):
    """Every value, then every scale."""
    blocks = raw.reshape(-1, 34)
    joined = np.concatenate([blocks[:, 2:].reshape(-1), blocks[:, :2].reshape(-1)])
    return joined.reshape(raw.shape)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    case = {"case": "ggml", "pins": "ggml .bin, GGUF, block types",
            "reference": {"gguf": "0.19.0", "numpy": np.__version__},
            "made": "lab/make_ggml_vectors.py; sums are over the dequantised values in float64"}
    weights = openai_names(load_file(pathlib.Path(sys.argv[1]) / "model.safetensors"))
    filters = np.load(ASSETS / "mel_filters.npz")["mel_80"]
    header = [469, 200, 48, 2, 2, 64, 48, 2, 2, 80, 1]
    case["model-f16.bin"] = write_bin(OUT / "model-f16.bin", header, filters, byte_tokens(256),
                                      [tensor(n, v, T.F16) for n, v in weights.items()])

    small = small_model(32, 8, 16, 8, 48)
    tensors = [tensor(n, v, TYPES[i % 5]) for i, (n, v) in enumerate(small.items())]
    header = [48, 16, 32, 2, 1, 8, 32, 2, 1, 8, 2008]
    case["blocks.bin"] = write_bin(OUT / "blocks.bin", header, filters[:8], byte_tokens(40), tensors)
    encoder = [t for t in tensors if t[0].startswith("encoder.") or "token_emb" in t[0]]
    for kind in TYPES[5:]:
        raw = random_blocks(kind, 2, 256)
        encoder.append((f"extra.{kind.name}", kind, (2, 256), raw, dequantize(raw, kind)))
    case["blocks.gguf"] = write_gguf(OUT / "blocks.gguf", "whisper", whisper_metadata, encoder)

    values = rng.normal(0, 0.1, (4, 64)).astype(np.float32)
    raw = quantize(values, T.Q8_0)
    asr = [(n, T.Q8_0, (4, 64), planar(raw) if n.startswith("encoder.") else raw,
            dequantize(raw, T.Q8_0)) for n in ("encoder.layers.0.x.weight", "joint.enc.weight")]
    case["asr.gguf"] = write_gguf(OUT / "asr.gguf", "asr", asr_metadata, asr)

    blocks = {}
    for kind in TYPES:
        raw = random_blocks(kind, 3, 256 if "K" in kind.name else 32)
        blocks[f"{kind.name}/raw"] = raw.reshape(-1).astype(np.int32)
        blocks[f"{kind.name}/values"] = dequantize(raw, kind).astype(np.float32).reshape(-1)
    save_file(blocks, OUT / "tensors.safetensors")
    text = json.dumps(case).replace('{"name"', '\n{"name"')
    (OUT / "case.json").write_text(text + "\n")


main()

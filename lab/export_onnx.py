#!/usr/bin/env python3
"""Exports the networks of a Hugging Face ParakeetForTDT folder to ONNX, for comparisons of speed and values.

  encoder.onnx    features [B, T, mels] float32 (normalised log-mel) -> frames [B, T', d_model]
  predictor.onnx  token [B] int64, h and c [layers, B, H] -> guess [B, H], h', c'; the blank counts as a zero vector
  joint.onnx      frame [B, d_model], guess [B, H] -> logits [B, vocabulary + durations], the projection of the
                  frame included
  export.json     versions, sizes and SHA-256 of all files, largest differences between torch and ONNX Runtime

Everything is float32, full attention, without padding masks: the frames of a batch are all valid. Weights of more
than 1 GB go into one file of external data beside the graph.

--random v3 first makes a folder of the shapes of parakeet-tdt-0.6b-v3 with random weights (627 million parameters)
unless there is one: with the program `random_model` of a build of stapes when --tool names it, otherwise with
transformers' own initialisation.

Needs PyPI's torch, transformers, onnx, onnxruntime.

  lab/export_onnx.py --model models/nano --out ~/onnx/nano
  lab/export_onnx.py --random v3 --tool build/tests/random_model --model ~/random-v3 --out ~/onnx/v3
"""
import argparse
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

OPSET = 17
EXTERNAL_ABOVE = 10**9
LENGTHS = (503, 1370)  # mel frames of the check: 5.03 s and 13.7 s, neither a multiple of 8

V3 = {
    "vocab_size": 8193, "blank_token_id": 8192, "pad_token_id": 2, "decoder_hidden_size": 640, "num_decoder_layers": 2,
    "durations": [0, 1, 2, 3, 4], "hidden_act": "relu", "max_symbols_per_step": 10,
    "encoder_config": {
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 8,
        "num_key_value_heads": 8, "num_mel_bins": 128, "conv_kernel_size": 9, "scale_input": False,
        "attention_bias": False, "convolution_bias": False, "max_position_embeddings": 5000, "subsampling_factor": 8,
        "subsampling_conv_channels": 256, "subsampling_conv_kernel_size": 3, "subsampling_conv_stride": 2,
    },
}  # fmt: skip


class Encoder(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.encoder = model.encoder

    def forward(self, features):
        return self.encoder(input_features=features, attention_mask=None).last_hidden_state


class Predictor(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.decoder, self.blank = model.decoder, model.config.blank_token_id

    def forward(self, token, h, c):
        spoken = (token != self.blank).to(torch.float32)[:, None]
        embedded = self.decoder.embedding(token) * spoken
        hidden, (h, c) = self.decoder.lstm(embedded[:, None], (h, c))
        return self.decoder.decoder_projector(hidden)[:, 0], h, c


class Joint(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.projector, self.joint = model.encoder_projector, model.joint

    def forward(self, frame, guess):
        return self.joint(encoder_hidden_states=self.projector(frame), decoder_hidden_states=guess)


def make_random(folder, tool, seed):
    """A folder of v3's shapes, unless it is there."""
    if os.path.exists(os.path.join(folder, "config.json")):
        return
    if tool:
        subprocess.run([tool, "--seed", str(seed), folder], check=True)
        return
    from transformers import ParakeetForTDT, ParakeetTDTConfig

    torch.manual_seed(seed)
    ParakeetForTDT(ParakeetTDTConfig(**V3)).save_pretrained(folder)


def parts(model):
    """Name, module, example inputs, names of inputs and outputs, dynamic axes."""
    config, g = model.config, torch.Generator().manual_seed(1)
    encoder, hidden, layers = config.encoder_config, config.decoder_hidden_size, config.num_decoder_layers

    def noise(*shape):
        return torch.randn(*shape, generator=g)

    state = {1: "batch"}
    return [
        ("encoder", Encoder(model), lambda b, t: (noise(b, t, encoder.num_mel_bins),), ["features"], ["frames"],
         {"features": {0: "batch", 1: "time"}, "frames": {0: "batch", 1: "frames"}}),
        ("predictor", Predictor(model),
         lambda b, t: (torch.randint(config.vocab_size, (b,), generator=g), noise(layers, b, hidden), noise(layers, b, hidden)),
         ["token", "h", "c"], ["guess", "h_out", "c_out"],
         {"token": {0: "batch"}, "h": state, "c": state, "guess": {0: "batch"}, "h_out": state, "c_out": state}),
        ("joint", Joint(model), lambda b, t: (noise(b, encoder.hidden_size), noise(b, hidden)),
         ["frame", "guess"], ["logits"], {"frame": {0: "batch"}, "guess": {0: "batch"}, "logits": {0: "batch"}}),
    ]  # fmt: skip


def export(module, example, inputs, outputs, axes, target):
    """Writes one graph; afterwards there is either one file, or a graph and one file of weights."""
    module.eval()  # the exporter puts back the mode of the outermost module
    size = sum(p.numel() * p.element_size() for p in module.parameters())
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as folder:
        raw = os.path.join(folder, "raw.onnx")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module, example, raw, dynamo=False, opset_version=OPSET, input_names=inputs,
                output_names=outputs, dynamic_axes=axes, do_constant_folding=True,
            )  # fmt: skip
        assert not module.training
        if size <= EXTERNAL_ABOVE:
            shutil.move(raw, target)
            return
        graph = onnx.load(raw)
    data = os.path.basename(target) + ".data"
    if os.path.exists(os.path.join(os.path.dirname(target), data)):
        os.unlink(os.path.join(os.path.dirname(target), data))
    onnx.save_model(graph, target, save_as_external_data=True, all_tensors_to_one_file=True, location=data)


def largest_difference(target, module, make_inputs, names):
    """Largest |torch - ONNX Runtime| over two lengths, batch 1 and 2, with the largest value seen."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(target, options, providers=["CPUExecutionProvider"])
    worst = largest = 0.0
    for batch, frames in zip((1, 2), LENGTHS):
        inputs = make_inputs(batch, frames)
        wanted = module(*inputs)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        found = session.run(None, {name: value.numpy() for name, value in zip(names, inputs)})
        for a, b in zip(wanted, found):
            if a.shape != b.shape:
                sys.exit(f"{target}: shape {b.shape} where torch has {tuple(a.shape)}")
            worst = max(worst, float(np.abs(a.numpy() - b).max()))
            largest = max(largest, float(np.abs(b).max()))
    return {"max_abs_difference": worst, "max_abs_value": largest}


def describe(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return {"bytes": os.path.getsize(path), "sha256": digest.hexdigest()}


def main():
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=os.path.join(here, "models", "nano"), help="folder [models/nano]")
    parser.add_argument("--out", required=True, help="folder of the ONNX files")
    parser.add_argument("--random", choices=["v3"], help="make the folder --model with random weights first")
    parser.add_argument("--tool", help="with --random: the program random_model")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--attention", default="eager", choices=["eager", "sdpa"], help="form of the exported attention")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    if options.random:
        inside = os.path.commonpath([here, os.path.abspath(options.model)]) == here
        if inside:
            sys.exit(f"--random: {options.model} is inside the repository; name a folder outside with --model")
        make_random(options.model, options.tool, options.seed)
    from transformers import ParakeetForTDT

    start = time.time()
    model = ParakeetForTDT.from_pretrained(options.model, dtype=torch.float32, attn_implementation=options.attention)
    model.eval()
    os.makedirs(options.out, exist_ok=True)
    meta = {
        "model": os.path.basename(os.path.abspath(options.model)),
        "weights": describe(os.path.join(options.model, "model.safetensors")),
        "parameters": sum(p.numel() for p in model.parameters()),
        "opset": OPSET, "attention": options.attention,
        "mel_frames_checked": list(LENGTHS),
        "versions": {n: importlib.metadata.version(n) for n in ("torch", "transformers", "onnx", "onnxruntime")},
        "files": {}, "checks": {},
    }  # fmt: skip
    for name, module, make_inputs, inputs, outputs, axes in parts(model):
        target = os.path.join(os.path.abspath(options.out), name + ".onnx")
        export(module, make_inputs(1, 200), inputs, outputs, axes, target)
        check = largest_difference(target, module, make_inputs, inputs)
        meta["checks"][name] = check
        for file in (target, target + ".data"):
            if os.path.exists(file):
                meta["files"][os.path.basename(file)] = describe(file)
        print(f"{name}: {check} {time.time() - start:.0f} s", file=sys.stderr)
        if check["max_abs_difference"] > 1e-4 * max(1.0, check["max_abs_value"]):
            sys.exit(f"{target}: differs from torch")
    with open(os.path.join(options.out, "export.json"), "w", encoding="utf-8") as file:
        json.dump(meta, file, indent=1)
        file.write("\n")
    print(json.dumps(meta, indent=1))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Reference tensors of a prompt-conditioned model: a tiny Nemotron3_5AsrForRNNT with random weights,
run in float64 by transformers 5.17 on the features of tests/vectors/parakeet. Writes
tests/vectors/parakeet/prompt (model folder, tensors.safetensors, case.json)."""
import json
import pathlib
import shutil

import torch
from safetensors.torch import load_file, save_file
from transformers import Nemotron3_5AsrConfig, Nemotron3_5AsrForRNNT, __version__

ROOT = pathlib.Path(__file__).resolve().parent.parent / "tests/vectors"
OUT = ROOT / "parakeet/prompt"
torch.set_grad_enabled(False)

base = json.loads((ROOT / "streaming/cache_aware_hf/model/config.json").read_text())
encoder = {k: v for k, v in base["encoder_config"].items() if k != "num_key_value_heads"}
config = Nemotron3_5AsrConfig(
    vocab_size=129, blank_token_id=128, decoder_hidden_size=48, num_decoder_layers=2,
    pad_token_id=2, num_prompts=128, prompt_intermediate_size=40, encoder_config=encoder)
torch.manual_seed(11)
model = Nemotron3_5AsrForRNNT(config).eval()
for name, p in model.named_parameters():
    if p.dim() > 1:
        p.copy_(torch.randn_like(p) / p[0].numel() ** 0.5)
    elif name.endswith("bias"):
        p.copy_(0.1 * torch.randn_like(p))
(OUT / "model").mkdir(parents=True, exist_ok=True)
model.save_pretrained(OUT / "model")
for name in ("tokenizer.model", "tokenizer_config.json", "vocab.txt"):
    shutil.copy(ROOT / "parakeet/tdt/model" / name, OUT / "model" / name)

model = model.double()
mel = load_file(ROOT / "parakeet/features/tensors.safetensors")["mel128/b"].double()[None]
tensors = {}
for prompt in (9, 101):
    out = model.get_audio_features(mel, prompt_ids=torch.tensor([prompt]))
    tensors["encoder/b"] = out.last_hidden_state[0].contiguous()
    tensors[f"projected/{prompt}"] = out.pooler_output[0].contiguous()
save_file(tensors, OUT / "tensors.safetensors")
(OUT / "case.json").write_text(json.dumps({
    "case": "parakeet/prompt",
    "pins": "prompt projector of nemotron-3.5 between encoder and joint, for prompts 9 (de) and 101 (auto)",
    "reference": {"transformers": __version__, "torch": torch.__version__.split("+")[0]},
    "made": "lab/make_prompt_vectors.py: random weights, float64 run (softmax and positions in float32 inside transformers), features parakeet/features mel128/b",
    "tensors": {k: {"shape": list(v.shape), "dtype": "float64"} for k, v in tensors.items()},
}, indent=1) + "\n")
print({k: (tuple(v.shape), float(v.abs().mean())) for k, v in tensors.items()})

#!/usr/bin/env python3
"""Reference token sequences of a FastConformer-TDT checkpoint from transformers' ParakeetForTDT.

For every clip of a manifest: greedy TDT decoding (batch 1, float32, CPU) of the same 16 kHz PCM that
stapes reads, with the model's modules from transformers and a decoding loop written here, so that the
frame, duration and top-two margin of every decision can be kept. Two feature sources:

  formula    log-mel from the definition in float64, normalised, rounded to float32 once (what stapes does)
  extractor  transformers' ParakeetFeatureExtractor (float32 throughout)

The stored ids are those of `formula`; where the extractor's ids differ, both are kept. Written as
JSON lines, gzip-compressed: a first line {"meta": ...}, then one object per clip:

  path, seconds, frames (encoder frames), ids, at (frame of each token), durations,
  margins (per token: the smallest top-1/top-2 distance, over both heads, of the decisions since the token
  before; one more value for what follows the last token), margin (the smallest), text,
  words (hits, substitutions, deletions, insertions after normalisation),
  extractor (only where its ids differ): ids, margin

Needs PyPI's torch, transformers, librosa, soundfile, soxr, jiwer, openai-whisper, sentencepiece.

  lab/reference_tokens.py --data ../data --set librispeech --out tests/data-reference/nano-librispeech.jsonl.gz
"""
import argparse
import csv
import gzip
import hashlib
import importlib.metadata
import json
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import soundfile
import soxr
import torch

RATE, HOP, WINDOW, N_FFT, PREEMPHASIS = 16000, 160, 400, 512, 0.97
MAX_SYMBOLS = 10


def read_audio(path):
    """Mono float32 at 16 kHz: the channels' mean, soxr VHQ unless the rate is already right."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float64).astype(np.float32)
    if rate != RATE:
        mono = soxr.resample(mono, rate, RATE, quality="VHQ")
    return np.ascontiguousarray(mono, dtype=np.float32)


def slaney_filters(bins):
    """[bins, 257] triangular filters of unit area, equally spaced on Slaney's mel scale, 0 to 8000 Hz."""
    step = np.log(6.4) / 27
    top = 15 + np.log(RATE / 2 / 1000) / step
    mels = np.linspace(0, top, bins + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(step * (mels - 15)))
    hertz = np.arange(N_FFT // 2 + 1) * (RATE / N_FFT)
    rising = (hertz[None, :] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hertz[None, :]) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.clip(np.minimum(rising, falling), 0, None) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return filters.astype(np.float32).astype(np.float64)


def formula_features(samples, filters):
    """[T, bins] float32, T = samples // 160: everything in float64, rounded at the end."""
    x = samples.astype(np.float64)
    count = len(x) // HOP
    emphasised = np.concatenate([x[:1], x[1:] - PREEMPHASIS * x[:-1]])
    padded = np.concatenate([np.zeros(WINDOW // 2), emphasised, np.zeros(WINDOW)])
    taps = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    places = HOP * np.arange(count)[:, None] + np.arange(WINDOW)[None, :]
    spectrum = np.fft.rfft(padded[places] * taps, N_FFT, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    mel = np.log(power @ filters.T + 2.0**-24)
    centred = mel - mel.mean(axis=0)
    deviation = np.sqrt((centred**2).sum(axis=0) / (count - 1)) if count > 1 else np.zeros(mel.shape[1])
    return (centred / (deviation + 1e-5)).astype(np.float32)


def gap(values):
    """Index of the largest value (the lowest such index) and its distance to the next largest."""
    best = int(np.argmax(values))
    rest = np.delete(values, best)
    return best, float(values[best] - rest.max())


class Greedy:
    """Encoder, predictor and joint of ParakeetForTDT, and the label-looping greedy decoder."""

    def __init__(self, folder):
        from transformers import AutoProcessor, ParakeetForTDT

        self.processor = AutoProcessor.from_pretrained(folder)
        self.model = ParakeetForTDT.from_pretrained(folder, dtype=torch.float32).eval()
        config = self.model.config
        self.blank, self.durations = config.blank_token_id, list(config.durations)
        self.layers, self.width = config.num_decoder_layers, config.decoder_hidden_size
        self.filters = slaney_filters(config.encoder_config.num_mel_bins)

    def extractor_features(self, samples):
        batch = self.processor.feature_extractor(samples, sampling_rate=RATE, return_tensors="pt")
        return batch["input_features"], batch["attention_mask"]

    def encode(self, features, mask):
        """Projected encoder frames [T', width]."""
        out = self.model.get_audio_features(input_features=features, attention_mask=mask)
        valid = int(out.attention_mask.sum())
        return out.pooler_output[0, :valid]

    def predict(self, label, state):
        embedded = self.model.decoder.embedding(torch.tensor([[label]]))
        if label == self.blank:
            embedded = torch.zeros_like(embedded)
        hidden, state = self.model.decoder.lstm(embedded, state)
        return self.model.decoder.decoder_projector(hidden)[0, 0], state

    def decode(self, encoded):
        """Greedy TDT; at most MAX_SYMBOLS labels on one frame, then one forced step."""
        zeros = torch.zeros(self.layers, 1, self.width)
        guess, state = self.predict(self.blank, (zeros, zeros))
        ids, at, durations, margins = [], [], [], []
        t, repeated, pending = 0, 0, float("inf")
        while t < len(encoded):
            logits = self.model.joint(guess, encoded[t]).numpy()
            label, label_gap = gap(logits[: self.blank + 1])
            index, duration_gap = gap(logits[self.blank + 1 :])
            duration = self.durations[index]
            pending = min(pending, label_gap, duration_gap)
            if label == self.blank:
                t += max(duration, 1)
                continue
            repeated = repeated + 1 if at and at[-1] == t else 1
            ids.append(label)
            at.append(t)
            durations.append(duration)
            margins.append(round(pending, 6))
            pending = float("inf")
            t += duration
            guess, state = self.predict(label, state)
            if t < len(encoded) and duration == 0 and repeated >= MAX_SYMBOLS:
                t += 1
        margins.append(round(pending, 6) if pending != float("inf") else None)
        return ids, at, durations, margins

    def text(self, ids):
        # grouping, the tokenizer's default, is CTC's rule: it would drop doubled tokens here
        return self.processor.tokenizer.decode(ids, skip_special_tokens=True, group_tokens=False).strip()

    def generate(self, features, mask):
        """Ids of transformers' own generate(), for comparison."""
        out = self.model.generate(input_features=features, attention_mask=mask)
        skipped = {self.blank, self.model.generation_config.pad_token_id}
        return [i for i in out.sequences[0].tolist() if i not in skipped]


def smallest(margins):
    known = [m for m in margins if m is not None]
    return min(known) if known else None


def recognise(greedy, samples):
    """One clip's record (without path) from both feature sources."""
    if len(samples) < HOP:
        return {"frames": 0, "ids": [], "at": [], "durations": [], "margins": [None], "margin": None, "text": ""}
    features = torch.from_numpy(formula_features(samples, greedy.filters))[None]
    encoded = greedy.encode(features, torch.ones(features.shape[:2], dtype=torch.bool))
    ids, at, durations, margins = greedy.decode(encoded)
    record = {"frames": len(encoded), "ids": ids, "at": at, "durations": durations, "margins": margins}
    record.update(margin=smallest(margins), text=greedy.text(ids))
    other = greedy.decode(greedy.encode(*greedy.extractor_features(samples)))
    if other[0] != ids:
        record["extractor"] = {"ids": other[0], "margin": smallest(other[3]), "text": greedy.text(other[0])}
    return record


def word_counts(references, texts):
    """[hits, substitutions, deletions, insertions] of every clip."""
    import jiwer
    from whisper.normalizers import EnglishTextNormalizer

    normalise, counts = EnglishTextNormalizer(), []
    for reference, text in zip(references, texts):
        out = jiwer.process_words(normalise(reference), normalise(text))
        counts.append([out.hits, out.substitutions, out.deletions, out.insertions])
    return counts


def word_errors(counts, texts):
    hits, substitutions, deletions, insertions = np.sum(counts, axis=0).tolist()
    words = hits + substitutions + deletions
    return {
        "wer": (substitutions + deletions + insertions) / words, "words": words,
        "substitutions": substitutions, "deletions": deletions, "insertions": insertions,
        "empty": sum(1 for t in texts if not t.strip()),
    }  # fmt: skip


def versions():
    names = ["torch", "transformers", "numpy", "jiwer", "openai-whisper", "soundfile", "soxr"]
    found = {name: importlib.metadata.version(name) for name in names}
    return {**found, "libsndfile": soundfile.__libsndfile_version__}


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def main():
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=os.path.join(here, "models", "nano"))
    parser.add_argument("--data", default=os.environ.get("STAPES_DATA", os.path.join(here, "..", "shared", "data")))
    parser.add_argument("--set", default="librispeech", help="folder of the manifest's paths [librispeech]")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--check", type=int, default=5, help="clips to compare with transformers' generate() [5]")
    parser.add_argument("--out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    greedy = Greedy(options.model)
    with open(os.path.join(options.data, "manifest.tsv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows = [row for row in rows if row["path"].startswith(options.set + "/")]
    rows = rows[: options.limit] if options.limit else rows
    records, start = [], time.time()
    for number, row in enumerate(rows):
        samples = read_audio(os.path.join(options.data, row["path"]))
        record = {"path": row["path"], "seconds": round(len(samples) / RATE, 6), **recognise(greedy, samples)}
        if number < options.check:
            own = record.get("extractor", record)["ids"]
            if greedy.generate(*greedy.extractor_features(samples)) != own:
                sys.exit(f"{row['path']}: generate() gives other ids than the loop of this script")
        records.append(record)
        if number % 20 == 0:
            print(f"{number + 1}/{len(rows)} {time.time() - start:.0f} s  {record['text'][:80]}", file=sys.stderr)
    references = [row["text"] for row in rows]
    texts = [r["text"] for r in records]
    other = [r.get("extractor", r)["text"] for r in records]
    counts = word_counts(references, texts)
    for record, count in zip(records, counts):
        record["words"] = count
    meta = {
        "model": os.path.basename(os.path.abspath(options.model)),
        "weights_sha256": sha256(os.path.join(options.model, "model.safetensors")),
        "set": options.set, "clips": len(records), "seconds": round(sum(r["seconds"] for r in records), 3),
        "max_symbols": MAX_SYMBOLS, "versions": versions(), "normaliser": "whisper english",
        "formula": word_errors(counts, texts),
        "extractor": word_errors(word_counts(references, other), other),
        "differing": sum(1 for r in records if "extractor" in r),
        "compared_with_generate": min(options.check, len(rows)),
    }  # fmt: skip
    print(json.dumps(meta, indent=1))
    if options.out:
        lines = [json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in [{"meta": meta}] + records]
        with open(options.out, "wb") as file:
            file.write(gzip.compress(("\n".join(lines) + "\n").encode(), 9, mtime=0))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes tests/vectors/whisper/decode/case.json: what openai-whisper answers when numbers that any
language can repeat stand in for its networks.

decode      one window, greedy and beam, prompts, prefix, limits: logits are a hash of the tokens
alignment   word times of one window: attention scores are noise, logits favour the text
longform    the seek loop with word times and skipped silence: decoder and alignment are scripted
vocabulary  the few entries of the two rank files that these cases and the rules' cases need

usage: make_whisper_vectors.py [rules/case.json]"""
import base64
import json
import pathlib
import sys

import numpy as np
import torch
import whisper
from whisper import decoding as WD
from whisper import timing as WT
from whisper.tokenizer import get_tokenizer

WX = sys.modules["whisper.transcribe"]
ROOT = pathlib.Path(__file__).resolve().parent.parent
RULES = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/vectors/whisper/rules/case.json"
TK = {"en": get_tokenizer(False), "multi": get_tokenizer(True, num_languages=99, language="en", task="transcribe"),
      "v3": get_tokenizer(True, num_languages=100, language="en", task="transcribe")}
VOCABULARY = {"en": 51864, "multi": 51865, "v3": 51866}
torch.set_num_threads(1)
U32 = np.uint64(0xFFFFFFFF)


def hashed(history, layout):
    """Logits that follow `history`: noise in [0, 8) of 24 bits, one favourite text token, now and
    then a favourite timestamp, and an eot that grows with the length."""
    h = 2166136261
    for t in history:
        h = ((h ^ int(t)) * 16777619) & 0xFFFFFFFF
    v = np.arange(VOCABULARY[layout], dtype=np.uint64)
    z = (v * np.uint64(2654435761)) & U32
    z = ((z ^ np.uint64(h)) * np.uint64(2246822519)) & U32
    x = ((z >> np.uint64(8)).astype(np.float32) / np.float32(2**24)) * np.float32(8)
    tk = TK[layout]
    x[300 + (h >> 3) % 20000] += np.float32(7)
    if h % 5 == 0:
        x[tk.timestamp_begin + len(history) * 4] += np.float32(14)
    x[tk.eot] += np.float32(0.5) * np.float32(len(history) % 64)
    return x


class HashedInference:
    layout = None

    def __init__(self, model, initial_token_length):
        pass

    def logits(self, tokens, audio_features):
        rows = [[hashed(row[:n + 1].tolist(), self.layout) for n in range(len(row))] for row in tokens]
        return torch.tensor(np.array(rows))

    def rearrange_kv_cache(self, source_indices):
        pass

    def cleanup_caching(self):
        pass


class Dims:
    n_mels, n_audio_ctx, n_text_ctx, n_audio_state = 80, 1500, 448, 4


def decode_cases():
    out = []

    def case(name, layout, **options):
        HashedInference.layout = layout

        class Model:
            is_multilingual, num_languages, dims = layout != "en", 100 if layout == "v3" else 99, Dims
        o = WD.DecodingOptions(fp16=False, language="en", **options)
        r = WD.DecodingTask(Model, o).run(torch.zeros(1, 1500, 4))[0]
        initial = WD.DecodingTask(Model, o).initial_tokens
        out.append({"name": name, "layout": layout, "options": options, "initial_tokens": list(initial), "tokens": r.tokens,
                    "avg_logprob": r.avg_logprob, "no_speech_prob": r.no_speech_prob})
    real, WD.PyTorchInference = WD.PyTorchInference, HashedInference
    for layout in ("multi", "v3", "en"):
        case("greedy", layout)
        case("beam 5", layout, beam_size=5)
    case("beam 5, patience 2", "multi", beam_size=5, patience=2.0)
    case("beam 3, length penalty", "multi", beam_size=3, length_penalty=0.6)
    case("prompt", "multi", prompt=[50364, 472, 732, 51764])
    case("long prompt", "multi", prompt=list(range(400, 700)), beam_size=2)
    case("prefix", "multi", prefix=[472, 732], sample_len=20)
    case("few samples", "multi", sample_len=3)
    case("few samples, beam", "multi", sample_len=3, beam_size=4)
    case("no timestamps", "multi", without_timestamps=True)
    case("translate, nothing suppressed", "multi", task="translate", suppress_tokens="", suppress_blank=False)
    case("some suppressed", "multi", suppress_tokens="11,13,50257", sample_len=30)
    case("no limit for the first timestamp", "multi", max_initial_timestamp=None)
    WD.PyTorchInference = real
    return out


def lcg(n, seed, amp):
    out, s = np.empty(n, np.float64), seed
    for i in range(n):
        s = (s * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = ((s >> 16) - 32768) / 32768.0 * amp
    return out


class Hookable:
    def __init__(self, f):
        self.f, self.hook = f, None

    def register_forward_hook(self, hook):
        self.hook = hook
        return self

    def remove(self):
        self.hook = None


class AttentionModel:
    """Two layers of two heads; scores are noise plus a ridge along the tokens."""
    device = torch.device("cpu")

    def __init__(self, seed, frames):
        self.seed, self.frames = seed, frames
        self.dims = type("D", (), {"n_text_layer": 2})
        self.alignment_heads = torch.tensor([[False, True], [True, True]]).to_sparse()
        self.decoder = type("X", (), {})()
        self.decoder.blocks = [type("B", (), {"cross_attn": Hookable(None)})() for _ in range(2)]

    def __call__(self, mel, tokens):
        n = tokens.shape[-1]
        noise = lcg(4 * n * self.frames, self.seed, 2.0).reshape(4, n, self.frames)
        for t in range(n):
            at = (t * self.frames) // n
            noise[:, t, at:at + 1 + self.frames // n] += 4.0
        qk = torch.tensor(np.pad(noise, ((0, 0), (0, 0), (0, 1500 - self.frames))).astype(np.float32)).reshape(2, 2, n, 1500)
        for i, b in enumerate(self.decoder.blocks):
            b.cross_attn.hook(None, None, (None, qk[i][None]))
        logits = torch.zeros(1, n, VOCABULARY["multi"])
        for t in range(n - 1):
            logits[0, t, tokens[0, t + 1]] = 10.0 + t % 5
        return logits


def alignment_cases():
    out = []
    for k, (text, frames, language) in enumerate([(" Hello, world! It's 3.14 - isn't it?", 700, "en"), (" one two", 2999, "en"), ("これはテストです。", 240, "ja"),
                                                  (" one", 8, "en"), (' "Quoted" (text) and a-b.', 100, "en")]):
        tk = get_tokenizer(True, num_languages=99, language=language, task="transcribe")
        tokens = tk.encode(text)
        r = WT.find_alignment(AttentionModel(k + 1, frames // 2), tk, tokens, torch.zeros(80, 3000), frames)
        out.append({"language": language, "tokens": tokens, "frames": frames, "seed": k + 1,
                    "words": [[w.word, w.tokens, float(w.start), float(w.end), float(w.probability)] for w in r]})
    return out


class Script:
    is_multilingual, num_languages, device = True, 99, torch.device("cpu")
    dims = Dims

    def __init__(self, plan):
        self.plan, self.calls = plan, 0

    def decode(self, segment, options):
        r = self.plan[min(self.calls, len(self.plan) - 1)]
        self.calls += 1
        return WD.DecodingResult(audio_features=None, language="en", tokens=r["tokens"], text="", avg_logprob=r.get("avg_logprob", -0.3),
                                 no_speech_prob=r.get("no_speech_prob", 0.01), temperature=options.temperature, compression_ratio=1.2)


def word_longform_cases():
    tk = TK["multi"]

    def ts(seconds):
        return tk.timestamp_begin + round(seconds / 0.02)
    one, three, four = tk.encode(" one two"), tk.encode(" three."), tk.encode(" four five six")
    quoted = tk.encode(' "Quoted" (text) and a-b.')

    def pair(tokens, *more):
        return {"tokens": tokens, "times": [list(m) for m in more]}
    # times: start, end, probability per word before merging, in seconds of the window
    plans = [
        ("words follow the text", 40, {}, [pair([ts(0)] + one + [ts(4), ts(4)] + three + [ts(9), ts(9)] + four,
            (0.3, 0.6, .9), (0.6, 3.8, .8), (4.1, 4.8, .9), (4.8, 8.8, .5), (9.2, 9.5, .9), (9.5, 9.9, .9), (9.9, 10.6, .7))]),
        ("single ending", 45, {}, [pair([ts(0)] + one + [ts(12.5)], (0.5, 0.9, .9), (0.9, 12.4, .9))]),
        ("long first words after a pause", 35, {}, [pair([ts(0)] + four + [ts(25), ts(25)] + one, (0.0, 9.0, .9), (9.0, 17.0, .9), (17.0, 17.4, .9), (25.0, 25.3, .9), (25.3, 25.5, .9))]),
        ("punctuation is merged", 35, {}, [pair([ts(1)] + quoted + [ts(8)], (1.0, 1.4, .9), (1.4, 1.5, .9), (1.5, 2.1, .9), (2.1, 2.2, .9), (2.2, 2.4, .9), (2.4, 2.5, .9), (2.5, 4.9, .3), (4.9, 7.9, .9))]),
        ("gap before an anomalous segment", 50, {"hallucination_silence_threshold": 2.0}, [
            pair([ts(0)] + one + [ts(9)], (8.0, 8.05, .05), (8.05, 8.1, .05)), pair([ts(0)] + four + [ts(3)], (0.2, 0.5, .9), (0.5, 0.9, .9), (0.9, 1.4, .9))]),
        ("anomalous segment in silence is dropped", 65, {"hallucination_silence_threshold": 2.0}, [
            pair([ts(0)] + four + [ts(2), ts(2)] + one + [ts(15), ts(15)] + three + [ts(25), ts(25)] + one, (0.2, 0.5, .9), (0.5, 0.9, .9), (0.9, 1.4, .9), (14.0, 14.02, .1),
                 (14.02, 14.05, .1), (24.0, 24.5, .9), (24.5, 24.6, .9), (25.0, 25.4, .9), (25.4, 25.9, .9)),
            pair([ts(0)] + one + [ts(4)], (0.3, 0.6, .9), (0.6, 1.1, .8))]),
        ("anomalous last segment near the end", 20, {"hallucination_silence_threshold": 1.0}, [
            pair([ts(0)] + four + [ts(2), ts(2)] + one + [ts(19)], (0.2, 0.5, .9), (0.5, 0.9, .9), (0.9, 1.4, .9), (18.9, 19.3, .05), (19.3, 19.6, .05))]),
        ("nothing anomalous with the threshold", 50, {"hallucination_silence_threshold": 2.0}, [
            pair([ts(0)] + four + [ts(2), ts(2)] + one, (0.2, 0.5, .9), (0.5, 0.9, .9), (0.9, 1.4, .9), (2.1, 2.5, .9), (2.5, 28.5, .9)),
            pair([ts(0)] + one + [ts(5)], (0.3, 0.6, .9), (0.6, 1.1, .8))]),
    ]
    out = []
    for name, seconds, options, plan in plans:
        frames, s, asked = seconds * 100, Script(plan), []

        def scripted(model, tokenizer, text_tokens, mel, num_frames, **kw):
            asked.append([len(text_tokens), num_frames])
            times = plan[min(s.calls, len(plan)) - 1]["times"]
            words, word_tokens = tokenizer.split_to_word_tokens(text_tokens + [tokenizer.eot])
            words, word_tokens = words[:-1], word_tokens[:-1]
            assert not text_tokens or len(words) <= len(times), (name, words)
            return [WT.WordTiming(w, t, np.float64(x[0]), np.float64(x[1]), x[2]) for w, t, x in zip(words, word_tokens, times)]
        WT.find_alignment = scripted
        WX.log_mel_spectrogram = lambda a, m, padding=0: torch.zeros(80, frames + 3000)
        r = WX.transcribe(s, np.zeros(16), fp16=False, language="en", verbose=None, word_timestamps=True, temperature=0.0, **options)
        out.append({"name": name, "content_frames": frames, "options": options, "answers": plan, "calls": s.calls, "alignments": asked, "text": r["text"],
                    "segments": [{"id": g["id"], "seek": g["seek"], "start": round(float(g["start"]), 6), "end": round(float(g["end"]), 6), "text": g["text"], "tokens": g["tokens"],
                                  "words": [[w["word"], round(float(w["start"]), 6), round(float(w["end"]), 6), w["probability"]] for w in g["words"]]} for g in r["segments"]]})
    return out


def ranks(name):
    path = pathlib.Path(whisper.__file__).parent / "assets" / (name + ".tiktoken")
    return {base64.b64decode(t): int(i) for t, i in (line.split() for line in path.read_text().splitlines() if line)}


def vocabulary(name, texts, ids):
    """Entries that can take part in encoding the texts, and those of the ids."""
    table = ranks(name)
    keep = {i: b for b, i in table.items() if len(b) == 1 or i in ids or any(b in t for t in texts)}
    return [[i, base64.b64encode(keep[i]).decode()] for i in sorted(keep)]


def main():
    rules = json.loads(RULES.read_text())
    symbols = list('"#()*+/:;<=>@[\\]^_`{|}~「」『』♩♪♫♬♭♮♯') + "<< >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪".split()
    texts = [w["text"] for w in rules["words"]] + [" " + s for s in symbols + ["-", "'"]] + [" one two", " three.", " four five six", " Names: Ada."]
    texts = [t.encode() for t in texts]
    head = {"case": "whisper/decode", "made": "lab/make_whisper_vectors.py with openai-whisper " + whisper.__version__ + ", torch " + torch.__version__,
            "decode": decode_cases(), "alignment": alignment_cases(), "longform": word_longform_cases()}
    ids = {t for c in head["decode"] for t in c["tokens"]}
    head["vocabulary"] = {"en": vocabulary("gpt2", texts, set()), "multi": vocabulary("multilingual", texts, ids)}
    lines = ",\n".join(' "%s": %s' % (k, json.dumps(v, ensure_ascii=False) if not isinstance(v, list) else
                                      "[\n  " + ",\n  ".join(json.dumps(x, ensure_ascii=False) for x in v) + "\n ]") for k, v in head.items())
    (ROOT / "tests/vectors/whisper/decode/case.json").write_text("{\n" + lines + "\n}\n")


main()

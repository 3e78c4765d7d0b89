"""Word error rates of a ParakeetForTDT folder with transformers in float32 on the CPU, one clip at a time.

    evaluate.py MODEL DATA OUT.tsv [--sets librispeech=649,ljspeech=99,commonvoice=50] [--noise 20]

DATA holds manifest.tsv (path, seconds, sha256, text).  A set given as NAME=N takes N clips, evenly spread.  WER by
the Whisper English normaliser.  `--noise N` adds N made files without speech (silence, coloured noise, tones,
clicks), which should give no text.  OUT.tsv: one line a clip.
"""
import argparse, os, time, warnings
import numpy as np, soundfile as sf, torch
from scipy.signal import resample_poly
from transformers import ParakeetForTDT, ParakeetProcessor
from whisper.normalizers import EnglishTextNormalizer
from metrics import edits

SR = 16000
warnings.filterwarnings('ignore', message='.*model-agnostic default.*')


def read(path):
    a, r = sf.read(path, dtype='float32')
    a = a.mean(1) if a.ndim > 1 else a
    return a if r == SR else resample_poly(a, SR // np.gcd(SR, r), r // np.gcd(SR, r)).astype(np.float32)


def speechless(n, seed=5):
    """n clips of 2 to 20 s, all kinds in turn"""
    rng = np.random.default_rng(seed)
    for i in range(n):
        m = int(rng.uniform(2, 20) * SR)
        t = np.arange(m) / SR
        white = rng.standard_normal(m)
        kind = ('silence', 'faint', 'white', 'brown', 'hum', 'chords', 'clicks', 'swell')[i % 8]
        a = {'silence': lambda: np.zeros(m), 'faint': lambda: 1e-4 * white, 'white': lambda: rng.uniform(0.01, 0.2) * white,
             'brown': lambda: np.convolve(white, np.exp(-np.arange(400) / 60), 'same') * 0.02,
             'hum': lambda: 0.2 * np.sin(2 * np.pi * 50 * t) + 0.1 * np.sin(2 * np.pi * 150 * t) + 0.005 * white,
             'chords': lambda: sum(0.08 * np.sin(2 * np.pi * t * 110 * 2 ** (((k * 4 + (t / 0.5).astype(int) * 5) % 24) / 12)) for k in range(4)),
             'clicks': lambda: (rng.random(m) < 0.0005) * rng.uniform(-0.8, 0.8, m) + 0.003 * white,
             'swell': lambda: 0.1 * white * (0.5 + 0.5 * np.sin(2 * np.pi * 0.4 * t))}[kind]()
        yield f'{kind}-{i}', np.clip(a, -1, 1).astype(np.float32)


def main():
    ap = argparse.ArgumentParser()
    for n in ('model', 'data', 'out'):
        ap.add_argument(n)
    ap.add_argument('--sets', default='librispeech=649,ljspeech=99,commonvoice=50')
    ap.add_argument('--noise', type=int, default=20)
    A = ap.parse_args()
    torch.set_num_threads(1)
    model = ParakeetForTDT.from_pretrained(A.model, dtype=torch.float32).eval()
    processor = ParakeetProcessor.from_pretrained(A.model)
    norm = EnglishTextNormalizer()

    def text(a):
        x = processor(a, sampling_rate=SR, return_tensors='pt')
        with torch.no_grad():
            return processor.decode(model.generate(**x, return_dict_in_generate=True).sequences[0], skip_special_tokens=True).strip()

    rows = [line.rstrip('\n').split('\t') for line in open(A.data + '/manifest.tsv', encoding='utf8')][1:]
    with open(A.out, 'w', encoding='utf8') as f:
        f.write('path\terrors\twords\treference\ttext\n')
        for part in A.sets.split(','):
            name, _, n = part.partition('=')
            clips = [r for r in rows if r[0].startswith(name + '/')]
            n = min(int(n or len(clips)), len(clips))
            errors = words = 0
            start, length = time.time(), 0.0
            for i in range(n):
                path, seconds, _, ref = clips[i * len(clips) // n]
                hyp = text(read(os.path.join(A.data, path)))
                r = norm(ref).split()
                e = edits(r, norm(hyp).split())
                errors, words, length = errors + e, words + len(r), length + float(seconds)
                f.write(f'{path}\t{e}\t{len(r)}\t{ref}\t{hyp}\n')
            print(f'{name}\t{n} clips\t{words} words\tWER {100 * errors / max(1, words):.2f} %\t({length / 60:.1f} min in {time.time() - start:.0f} s)', flush=True)
        empty = 0
        for name, a in speechless(A.noise):
            hyp = text(a)
            empty += hyp == ''
            f.write(f'{name}\t{len(hyp.split())}\t0\t\t{hyp}\n')
        if A.noise:
            print(f'without speech\t{empty} of {A.noise} empty', flush=True)


if __name__ == '__main__':
    main()

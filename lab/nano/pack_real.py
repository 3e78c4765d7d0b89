"""Real clips -> byte packs: list of (name, text, encoded audio).

    pack_real.py train real.tsv FOLDER OUT.pkl KIND[=KBIT]... [--most N]     kinds ls, lj, so; KBIT: opus again at that rate
    pack_real.py eval manifest.tsv FOLDER OUT.pkl                            a fixed sample for the training log

For transfers of limited size.  Evaluation clips serve the log only; nothing is chosen by them.
"""
import io, os, pickle, random, sys
import numpy as np
import soundfile as sf
from scipy.signal import resample_poly


def again(data, kbit):
    """opus at about `kbit` kb/s (libsndfile's compression level spans 6 to 256 kb/s for one channel)"""
    a, r = sf.read(io.BytesIO(data), dtype='float32')
    out = io.BytesIO()
    a = a.mean(1) if a.ndim > 1 else a
    if r != 16000:
        a, r = resample_poly(a, 160, r // 100).astype(np.float32), 16000
    with sf.SoundFile(out, 'w', r, 1, format='OGG', subtype='OPUS', compression_level=1 - (kbit - 6) / 250) as f:
        f.write(a)
    return out.getvalue()


def main():
    mode, table, folder, path, *kinds = sys.argv[1:]
    rows = [line.rstrip('\n').split('\t') for line in open(table, encoding='utf8')][1:]
    rng = random.Random(3)
    out = []
    if mode == 'train':
        for spec in kinds:
            kind, _, rest = spec.partition('=')
            kbit, _, most = rest.partition(':')
            pick = [r for r in rows if r[0].startswith(kind + '/')]
            rng.shuffle(pick)
            for name, text in pick[:int(most or len(pick))]:
                data = open(os.path.join(folder, name), 'rb').read()
                out.append((name, text, again(data, float(kbit)) if kbit else data))
    else:
        for kind, n, kbit in (('librispeech', 64, 0), ('commonvoice', 30, 24), ('ljspeech', 16, 24)):
            pick = [r for r in rows if r[0].startswith(kind + '/')]
            rng.shuffle(pick)
            for r in pick[:n]:
                data = open(os.path.join(folder, r[0]), 'rb').read()
                out.append((r[0], r[3], again(data, kbit) if kbit else data))
    pickle.dump(out, open(path, 'wb'))
    print(path, len(out), 'clips', os.path.getsize(path), 'bytes')


if __name__ == '__main__':
    main()

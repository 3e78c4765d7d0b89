"""sentences -> shards of (text, phones), with new sentences made by crossing old ones.

    variety.py --text sentences.txt.xz --espeak DIR --tokens tokens.txt --out DIR --shards 24 --size 20000 --workers 40

Two sentences that share two words in a row are joined there ("... on the [table and] went ..."): local word
order stays natural while whole sentences never repeat.  Half of a shard is read from the list (each line once,
then over again), half is crossed; short forms (don't, it's) are put into half of the places that allow them.  The first 300 lines are held out (shard `held.pkl`); sentences sharing six
words with an evaluation transcript (`--against`, .tsv) are left out again after crossing.
"""
import argparse, collections, lzma, os, pickle, random
from multiprocessing import Pool
from overlap import Banned, transcripts
from phones import Espeak
from textnorm import contract

S = {}


def bigrams(lines, limit=24):
    """first `limit` places of every two words in a row that occur at least twice, as (line, word) pairs"""
    at = collections.defaultdict(list)
    for k, line in enumerate(lines):
        w = line.split()
        for i in range(1, len(w) - 2):
            b = at[w[i] + ' ' + w[i + 1]]
            if len(b) < limit:
                b.append((k, i))
    return {b: v for b, v in at.items() if len(v) > 1}


def cross(lines, table, rng):
    """one new sentence of 4 to 45 words, or None"""
    a = rng.randrange(len(lines))
    w = lines[a].split()
    if len(w) < 5:
        return None
    i = rng.randrange(1, len(w) - 2)
    places = table.get(w[i] + ' ' + w[i + 1])
    if not places:
        return None
    b, j = rng.choice(places)
    if b == a:
        return None
    new = w[:i] + lines[b].split()[j:]
    text = ' '.join(new)
    return text if 4 <= len(new) <= 45 and len(text) <= 270 else None


def shard(k):
    A, lines = S['A'], S['lines']
    rng = random.Random(1000 * A.seed + k)
    say = Espeak(A.espeak, A.tokens)
    half = A.size // 2
    want = [lines[(k * half + i) % len(lines)] for i in range(half)]
    while len(want) < A.size:
        t = cross(lines, S['table'], rng)
        if t and not S['banned'].hit(t):
            want.append(t)
    want = [t for t in (contract(t, rng) for t in want) if not S['banned'].hit(t)]
    out = [(t, p) for t in want for p in [say(t)] if 5 <= len(p) <= 430]
    rng.shuffle(out)
    path = f'{A.out}/shard-{k:03d}.pkl'
    pickle.dump(out, open(path + '.tmp', 'wb'))
    os.replace(path + '.tmp', path)
    return k, len(out)


def main():
    ap = argparse.ArgumentParser()
    for n in ('text', 'espeak', 'tokens', 'out'):
        ap.add_argument('--' + n, required=True)
    ap.add_argument('--against', nargs='*', default=[])
    ap.add_argument('--shards', type=int, default=24)
    ap.add_argument('--size', type=int, default=20000)
    ap.add_argument('--workers', type=int, default=2)
    ap.add_argument('--limit', type=int, default=0)
    ap.add_argument('--seed', type=int, default=1)
    A = ap.parse_args()
    os.makedirs(A.out, exist_ok=True)
    lines = lzma.open(A.text, 'rt', encoding='utf8').read().strip().split('\n')
    if A.limit:
        lines = lines[:A.limit]
    say = Espeak(A.espeak, A.tokens)
    pickle.dump([(t, say(t)) for t in lines[:300]], open(A.out + '/held.pkl', 'wb'))
    lines = lines[300:]
    S.update(A=A, lines=lines, table=bigrams(lines), banned=Banned(transcripts(A.against)))
    print('crossing points', len(S['table']), flush=True)
    with Pool(A.workers) as pool:
        for k, n in pool.imap_unordered(shard, range(A.shards), 1):
            print('shard', k, n, flush=True)


if __name__ == '__main__':
    main()

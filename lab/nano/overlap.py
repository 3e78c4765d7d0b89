"""Training text against evaluation text: no sentence may share six words in a row with an evaluation transcript.

    overlap.py TRANSCRIPTS.tsv... -- SENTENCES.txt[.xz]...      (the text is the last column of each .tsv)

Prints the number of offending sentences and exits 1 if there is any.  `Banned` is what the builders filter with.
"""
import lzma, sys
from textnorm import normalise, words

RUN = 6


class Banned:
    def __init__(self, transcripts):
        self.runs, self.short = set(), set()
        for t in transcripts:
            for w in (words(t), words(normalise(t))):
                self.runs.update(tuple(w[i:i + RUN]) for i in range(len(w) - RUN + 1))
                if 3 < len(w) < RUN:
                    self.short.add(tuple(w))

    def hit(self, sentence):
        w = words(sentence)
        return tuple(w) in self.short or any(tuple(w[i:i + RUN]) in self.runs for i in range(len(w) - RUN + 1))


def transcripts(paths):
    out = []
    for p in paths:
        out += [line.rstrip('\n').split('\t')[-1] for line in open(p, encoding='utf8')][1:]
    return out


def main():
    k = sys.argv.index('--')
    banned = Banned(transcripts(sys.argv[1:k]))
    total = bad = 0
    for p in sys.argv[k + 1:]:
        for line in (lzma.open if p.endswith('.xz') else open)(p, 'rt', encoding='utf8'):
            total += 1
            if banned.hit(line):
                bad += 1
                if bad <= 5:
                    print('shared:', line.strip())
    print(f'{bad} of {total} sentences share {RUN} words in a row with an evaluation transcript')
    sys.exit(bad > 0)


if __name__ == '__main__':
    main()

"""Word error rate for the training log (the published figures come from evaluate.py)."""
import re


def norm_words(s):
    return re.sub(r"[^a-z' ]", '', s.lower().replace('-', ' ')).split()


def edits(r, h):
    d = list(range(len(h) + 1))
    for i, a in enumerate(r, 1):
        p, d[0] = d[0], i
        for j, b in enumerate(h, 1):
            p, d[j] = d[j], min(d[j] + 1, d[j - 1] + 1, p + (a != b))
    return d[-1]

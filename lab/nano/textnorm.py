"""Written English -> the spelling the model is trained on: letters, apostrophes, hyphens and , . ? ! only."""
import re, unicodedata

ABBREVIATIONS = [(r'\bMr\.', 'Mister'), (r'\bMrs\.', 'Missus'), (r'\bDr\.', 'Doctor'), (r'\bSt\.', 'Saint'), (r'\bMessrs\.', 'Messieurs'),
                 (r'\bProf\.', 'Professor'), (r'\bCapt\.', 'Captain'), (r'\bCol\.', 'Colonel'), (r'\bGen\.', 'General'),
                 (r'\bLieut\.', 'Lieutenant'), (r'\bHon\.', 'Honorable'), (r'\bRev\.', 'Reverend'), (r'\bMr\b', 'Mister'),
                 (r'\bMrs\b', 'Missus'), (r'\bDr\b', 'Doctor'), (r'\betc\.', 'et cetera'), (r'\bSgt\.', 'Sergeant'), (r'&', 'and')]
LETTERS = str.maketrans({'æ': 'ae', 'œ': 'oe', 'Æ': 'Ae', 'Œ': 'Oe', 'ß': 'ss', 'ø': 'o', 'ł': 'l', '’': "'", '‑': '-', '‐': '-',
                         '\u2060': '', '\u00ad': '', '\u200a': ' ', '\u2009': ' ', '\u202f': ' ', '\u00a0': ' '})
PLAIN = re.compile(r"^[A-Za-z',.?! -]+$")


def normalise(s):
    for a, b in ABBREVIATIONS:
        s = re.sub(a, b, s)
    s = re.sub('[“”"«»‘`]', '', s.translate(LETTERS))
    s = re.sub(r'\s*(—|–|―|\.\.\.|…|--+|⸺)\s*', ', ', s)
    s = re.sub(r'[;:()\[\]]', ',', s)
    s = ''.join(c for c in unicodedata.normalize('NFKD', s) if not unicodedata.combining(c))
    s = re.sub(r"(?<![A-Za-z])'|'(?![A-Za-z])", '', s)
    s = re.sub(r'(?<![A-Za-z])-|-(?![A-Za-z])', ' ', s)
    s = re.sub(r'\s+', ' ', s)
    s = re.sub(r'(\s*,)+\s*', ', ', s)
    s = re.sub(r',\s*([.?!])', r'\1', s)
    s = re.sub(r'([.?!])\s*,', r'\1', s)
    s = re.sub(r'([.?!])[.?!]+', r'\1', s)
    return re.sub(r'\s+([.?!,])', r'\1', s).strip(' ,')


def speakable(s):
    """no digits, initials, acronyms or single letters, whose reading would be a guess (the t of "don't" is none)"""
    return bool(PLAIN.match(s)) and not re.search(r"\b[A-Z]\.|\b[A-Z]{2,}\b|(?<!')\b[b-hj-zB-HJ-Z]\b", s)


CONTRACTIONS = [(re.compile(r'\b' + a + r'\b', re.I), b) for a, b in (
    ('(do|does|did|is|are|was|were|has|have|had|could|would|should|must|need) not', r"\1n't"), ('cannot|can not', "can't"), ('(I) am', r"\1'm"),
    ('(it|that|there|he|she|who|what|where|here) is(?= [a-z])', r"\1's"), ('(you|we|they) are(?= [a-z])', r"\1're"),
    ('(I|you|we|they) have(?= [a-z]+(?:ed|en|n)\\b)', r"\1've"), ('(I|you|he|she|we|they|it) will(?= [a-z])', r"\1'll"),
    ('(I|you|he|she|we|they) would(?= [a-z])', r"\1'd"), ('(he|she|it) has(?= [a-z]+(?:ed|en|n)\\b)', r"\1's"), ('let us(?= [a-z])', "let's"))]


def contract(s, rng, share=0.5):
    """the spoken short forms in `share` of the places that allow them: written prose has too few"""
    for pattern, short in CONTRACTIONS:
        s = pattern.sub(lambda m: m.expand(short) if rng.random() < share else m[0], s)
    return s[0].upper() + s[1:]


def words(s):
    return re.findall(r"[a-z']+", s.lower())


def sentences(s):
    return [x for x in re.split(r'(?<=[.?!])\s+(?=[A-Z])', s) if x]


def shorten(s, rng, longest=230):
    """a long sentence in comma-bounded pieces of 90 to 220 characters"""
    if len(s) <= longest:
        return [s]
    out, cur, limit = [], '', rng.randint(90, 220)
    for part in re.split(r'(?<=,)\s+', s):
        if cur and len(cur) + len(part) + 1 > limit:
            out.append(cur)
            cur, limit = part, rng.randint(90, 220)
        else:
            cur = (cur + ' ' + part).strip()
    return out + [cur] if cur else out


def utterances(paragraph, rng):
    """one paragraph -> utterances of mixed lengths; unspeakable sentences break the flow"""
    out, cur = [], ''
    limits = (60, 100, 140, 180, 230, 260)
    limit = rng.choice(limits)
    for s in sentences(normalise(paragraph)):
        for p in (shorten(s, rng) if speakable(s) else [None]):
            if p is None or len(p) > 270 or (cur and len(cur) + len(p) + 1 > limit):
                if cur:
                    out.append(cur)
                cur, limit = '', rng.choice(limits)
            if p is not None and len(p) <= 270:
                cur = (cur + ' ' + p).strip()
    if cur:
        out.append(cur)
    return [u[0].upper() + u[1:] for u in out if len(u) >= 8]

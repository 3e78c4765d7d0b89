"""English text -> phone ids of the Piper voice, with espeak-ng, clause by clause.

The library and its data come from the wheel espeakng-loader 0.2.4: `Espeak(folder)` wants libespeak-ng.so and
espeak-ng-data in one folder.
"""
import ctypes, re, unicodedata


class Espeak:
    def __init__(self, folder, tokens):
        self.lib = ctypes.CDLL(folder + '/libespeak-ng.so')
        if self.lib.espeak_Initialize(2, 0, (folder + '/espeak-ng-data').encode(), 0) < 0:
            raise RuntimeError(f'espeak-ng finds no data in {folder}')
        if self.lib.espeak_SetVoiceByName(b'en-us') != 0:
            raise RuntimeError('espeak-ng has no voice en-us')
        self.lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self.lib.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
        self.ids = {}
        for line in open(tokens, encoding='utf8'):
            symbol, _, number = line.rstrip('\n').rpartition(' ')
            self.ids[symbol or ' '] = int(number)

    def ipa(self, clause):
        p, out = ctypes.c_char_p(clause.encode()), []
        while p.value:
            r = self.lib.espeak_TextToPhonemes(ctypes.byref(p), 1, 2)
            if r:
                out.append(r.decode().strip())
            if not p:
                break
        return re.sub(r'\([a-z-]+\)', '', ' '.join(out).strip())

    def __call__(self, text):
        """bytes of phone ids without the pads, begin and end marks"""
        ph = []
        for m in re.finditer(r'([^,.?!]+)([,.?!]?)', text):
            c = m.group(1).strip()
            if not c:
                continue
            if ph:
                ph.append(' ')
            ph += list(unicodedata.normalize('NFD', self.ipa(c)))
            if m.group(2):
                ph.append(m.group(2))
        return bytes(self.ids[c] for c in ph if c in self.ids)

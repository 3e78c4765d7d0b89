"""Pool of audio on the GPU -> training batches: joined utterances, speed changes, fixed shapes per length bucket."""
import io, math, pickle, threading, queue
import numpy as np, torch
from concurrent.futures import ThreadPoolExecutor
from voice import SR, resample

UNIT = 10240                                # samples: 64 mel frames, 8 encoder frames
LONGEST = 64 * UNIT                         # 40.96 s

COPY = r'''
// out[dst + i] = gain * pool(src + i * ratio), windowed sinc over 16 samples; ratio 1 copies
extern "C" __global__ void copy_segments(const short* pool, float* out, const long long* m, const float* gr) {
  int s = blockIdx.y;
  long long src = m[s*4], len = m[s*4+1], dst = m[s*4+2], n = m[s*4+3];
  float g = gr[s*2] / 32768.f;
  double ratio = gr[s*2+1];
  float c = ratio > 1.0 ? (float)(0.97 / ratio) : 0.97f;
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
    if (ratio == 1.0) { out[dst + i] = i < len ? pool[src + i] * g : 0.f; continue; }
    double p = i * ratio;
    long long j = (long long)p;
    float f = (float)(p - j), acc = 0.f;
    for (int k = -7; k <= 8; k++) {
      long long q = j + k;
      if (q < 0 || q >= len) continue;
      float t = k - f, a = 3.14159265f * t * c;
      float h = cosf(1.57079633f * t / 8.5f);
      acc += pool[src + q] * (fabsf(a) < 1e-4f ? c : c * sinf(a) / a) * h * h;
    }
    out[dst + i] = acc * g;
  }
}'''


def bucket(n):
    """length of a composition in units of 0.64 s, coarser for long ones"""
    k = -(-n // UNIT)
    return k if k <= 16 else -(-k // 2) * 2 if k <= 32 else -(-k // 4) * 4


def bucket_sizes():
    return list(range(1, 17)) + list(range(18, 33, 2)) + list(range(36, 65, 4))


def batch_size(k, seconds):
    """items in a batch of bucket k: `seconds` of audio, fewer when the joint's frames x labels would grow too large"""
    T = k * 8
    return max(4, min(int(seconds * SR / (k * UNIT)), int(seconds * 1400 / (0.46 * T * T)), 320))


class Data:
    """items: kind -> list of (tokens, position, samples, alignment or None); the kinds' shares are `mix`"""

    def __init__(self, pool, sp, seconds, seed):
        self.pool, self.sp, self.seconds = pool, sp, seconds
        self.end = pool.numel()
        self.items = {}
        self.mix = {'tts': 4000}
        self.rng = np.random.default_rng(seed)
        self.perm, self.waiting, self.ready = {}, {}, []
        self.kernel = None

    def add(self, kind, text, pos, n, al):
        if 0.4 * SR < n < 26 * SR:
            self.items.setdefault(kind, []).append((np.array(self.sp.encode(text), dtype=np.int64), pos, n, al))

    def add_clip(self, kind, text, audio):
        n = len(audio)
        if not 0.4 * SR < n < 30 * SR:
            return
        self.end -= n
        self.pool[self.end:self.end + n] = torch.from_numpy(audio).to(self.pool.device)
        self.items.setdefault(kind, []).append((np.array(self.sp.encode(text), dtype=np.int64), self.end, n, None))

    def compose(self):
        """draw items, give each a speed, join some; -> compositions (samples, segments, tokens)"""
        r = self.rng
        drawn = [x for kind, n in self.mix.items() for x in self.draw(kind, n)]
        r.shuffle(drawn)
        comps, i = [], 0
        edge = lambda: int((r.uniform(0, 0.35) if r.random() < 0.85 else r.uniform(0.3, 2.0)) * SR)
        while i < len(drawn):
            v = r.random()
            join, limit = (1, LONGEST) if v < 0.70 else (int(r.integers(2, 5)), 24 * SR) if v < 0.955 else (12, LONGEST - SR)
            segs, toks, p = [], [], edge()
            for kind, (tok, pos, n, al) in drawn[i:i + join]:
                wide = 0.08 if kind == 'ls' else 0.15
                ratio = float(np.float32(math.exp(r.uniform(-wide, wide)))) if r.random() < 0.8 else 1.0
                m = int(n / ratio)
                if segs and p + m > limit:
                    break
                segs.append((pos, n, p, m, ratio, al))
                toks.append(tok)
                p += m + int(r.uniform(0.08, 0.6) * SR)
            i += len(segs)
            total = min(segs[-1][2] + segs[-1][3] + edge(), LONGEST)
            comps.append((total, segs, np.concatenate(toks)))
        for _ in range(len(comps) // 60):
            comps.append((int(r.uniform(0.6, 16) * SR), [], np.zeros(0, dtype=np.int64)))
        r.shuffle(comps)
        return comps

    def draw(self, kind, n):
        items, out = self.items.get(kind, []), []
        while items and len(out) < n:
            p = self.perm.get(kind)
            if not p:
                p = self.rng.permutation(len(items)).tolist()
            k = min(n - len(out), len(p))
            out += [(kind, items[i]) for i in p[:k]]
            self.perm[kind] = p[k:]
        return out

    def next(self):
        """-> one prepared batch (everything on the CPU)"""
        while not self.ready:
            out = []
            for c in self.compose():
                k = bucket(c[0])
                q = self.waiting.setdefault(k, [])
                q.append(c)
                if len(q) >= batch_size(k, self.seconds):
                    out.append((k, q))
                    self.waiting[k] = []
            self.rng.shuffle(out)
            self.ready = out
        return self.prepare(*self.ready.pop())

    def prepare(self, k, comps):
        B, N, T = len(comps), k * UNIT, k * 8
        segs = [(src, n, i * N + d, m) for i, c in enumerate(comps) for src, n, d, m, _, _ in c[1]]
        gains = [(g, s[4]) for c in comps for s in c[1] for g in [math.exp(self.rng.uniform(-0.35, 0.35))]]
        U = [len(c[2]) for c in comps]
        y = np.zeros((B, max(U) + 1), dtype=np.int64)
        # phone class under each encoder frame 20 ms before and after its middle; -100 unknown (real speech)
        phones = np.zeros((B, T * 2), dtype=np.int64)
        at = (np.arange(T)[:, None] * 1280 + np.array([-320, 320])).reshape(-1)
        for i, c in enumerate(comps):
            y[i, :U[i]] = c[2]
            for _, n, d, m, ratio, al in c[1]:
                lo, hi = np.searchsorted(at, (d, d + m))
                phones[i, lo:hi] = -100 if al is None else al[0][np.minimum(np.searchsorted(al[1], (at[lo:hi] - d) * ratio, side='right'), len(al[0]) - 1)]
        frames = [c[0] // 160 for c in comps]
        enc = [((((L - 1) // 2 + 1) - 1) // 2 + 1 - 1) // 2 + 1 for L in frames]
        pin = (lambda t: t.pin_memory()) if self.pool.is_cuda else (lambda t: t)
        return dict(k=k, B=B, N=N, segs=pin(torch.tensor(segs, dtype=torch.int64).reshape(-1, 4)), gains=pin(torch.tensor(gains, dtype=torch.float32).reshape(-1, 2)),
                    n=pin(torch.tensor([c[0] for c in comps])), U=U, enc=enc, Ut=pin(torch.tensor(U)), y=pin(torch.from_numpy(y)),
                    phones=pin(torch.from_numpy(phones.reshape(B, T, 2))), seconds=sum(c[0] for c in comps) / SR)

    def audio(self, b):
        """-> waveforms [B,N] on the pool's device"""
        dev = self.pool.device
        x = torch.zeros(b['B'], b['N'], device=dev)
        if len(b['segs']) == 0:
            return x
        if not self.pool.is_cuda:                               # small tests only: linear interpolation
            flat = x.view(-1)
            for (src, n, dst, m), (g, ratio) in zip(b['segs'].tolist(), b['gains'].tolist()):
                a = self.pool[src:src + n].numpy() / 32768
                flat[dst:dst + m] = torch.from_numpy(np.interp(np.arange(m) * ratio, np.arange(n), a) * g).float()
            return x
        import cupy
        if self.kernel is None:
            self.kernel = cupy.RawKernel(COPY, 'copy_segments')
        s, g = b['segs'].to(dev, non_blocking=True), b['gains'].to(dev, non_blocking=True)
        with cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream):
            p = lambda t: np.uintp(t.data_ptr())
            self.kernel((24, len(s)), (256,), (p(self.pool), p(x), p(s), p(g)))
        return x


class Prefetch:
    """batches prepared by a thread, a few ahead"""

    def __init__(self, data, depth=10):
        self.data, self.q, self.stop = data, queue.Queue(depth), False
        self.error = None
        self.t = threading.Thread(target=self.run, daemon=True)
        self.t.start()

    def run(self):
        try:
            if self.data.pool.is_cuda:
                torch.cuda.set_device(self.data.pool.device)
            while not self.stop:
                b = self.data.next()
                while not self.stop:
                    try:
                        self.q.put(b, timeout=0.5)
                        break
                    except queue.Full:
                        pass
        except Exception as e:
            self.error = e
            self.q.put(None)

    def next(self):
        b = self.q.get()
        if b is None:
            raise self.error
        return b


def read_pack(path, threads=8):
    """pickle of (name, text, encoded audio) -> list of (name, text, int16 samples at 16 kHz)"""
    import soundfile as sf

    def one(p):
        a, r = sf.read(io.BytesIO(p[2]), dtype='float32')
        a = a.mean(1) if a.ndim > 1 else a
        if r != SR:
            a = resample(torch.from_numpy(np.ascontiguousarray(a))[None], r, SR)[0].numpy()
        return p[0], p[1], (np.clip(a / max(1e-3, np.abs(a).max()) * 0.8, -1, 1) * 32767).astype(np.int16)

    with ThreadPoolExecutor(threads) as ex:
        return list(ex.map(one, pickle.load(open(path, 'rb'))))

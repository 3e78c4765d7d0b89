"""Bulk multi-speaker synthesis from the Piper ONNX voice, batched on the GPU; audio goes to one int16 pool."""
import glob, math, pickle, time
import numpy as np, onnx, torch
import torch.nn.functional as F
from onnx_torch import Graph

SR = 16000
TRAIN_VOICES, ALL_VOICES = 880, 904         # the last 24 are kept for evaluation
STRESS, LONG = (120, 121), 122              # ids of the stress and length marks
RATES = (14500, 15000, 15500, 16000, 16000, 16000, 16500, 17000, 17500)  # 22.05 kHz -> these, read as 16 kHz: other vocal tracts
_kernels = {}


def resample(x, orig, new):
    """x [B,N] -> [B, ceil(N*new/orig)], windowed sinc on the device of x"""
    if orig == new:
        return x
    g = math.gcd(orig, new)
    o, n = orig // g, new // g
    key = (o, n, x.device)
    if key not in _kernels:
        width, base = 12, min(o, n) * 0.945
        w = math.ceil(width * o / base)
        idx = torch.arange(-w, w + o, dtype=torch.float64) / o
        t = ((-torch.arange(n, dtype=torch.float64)[:, None] / n + idx[None]) * base).clamp(-width, width)
        k = torch.where(t == 0, torch.ones_like(t), torch.sin(math.pi * t) / (math.pi * t)) * torch.cos(t * math.pi / width / 2) ** 2
        _kernels[key] = ((k * (base / o)).float()[:, None].to(x.device), w)
    k, w = _kernels[key]
    y = F.conv1d(F.pad(x, (w, w + o))[:, None], k.to(x.dtype), stride=o)
    return y.transpose(1, 2).reshape(x.shape[0], -1)[:, :math.ceil(x.shape[1] * n / o)]


class Voice:
    def __init__(self, path, device, half=torch.bfloat16):
        self.graph = Graph(onnx.load(path), device, half if str(device).startswith('cuda') else None)
        self.graph.half_prefix = ('/dec/',)
        self.graph.round = 64                           # few distinct shapes
        self.speakers = self.graph.const['emb_g.weight']
        self.dev = device

    def embeddings(self, B, rng, held):
        e = lambda i: self.speakers[torch.from_numpy(i).to(self.dev)]
        if held:
            return e(rng.integers(TRAIN_VOICES, ALL_VOICES, B))
        w = rng.dirichlet((0.6, 0.6, 0.3), B).astype(np.float32)                # between three voices
        w[rng.random(B) < 0.5] = (1, 0, 0)
        w = torch.from_numpy(w).to(self.dev)
        return sum(e(rng.integers(0, TRAIN_VOICES, B)) * w[:, k:k + 1] for k in range(3))

    def batch(self, phones, rng, held=False):
        """list of phone id bytes -> audio [B,N] at 16 kHz, lengths, phone durations, ids, samples per duration unit"""
        B = len(phones)
        L = [2 * len(p) + 3 for p in phones]
        T = -(-max(L) // 64) * 64
        X = np.zeros((B, T), dtype=np.int64)
        for i, p in enumerate(phones):
            X[i, 0], X[i, 2 + 2 * len(p)] = 1, 2
            X[i, 2:2 + 2 * len(p):2] = np.frombuffer(p, dtype=np.uint8)
        dev = lambda a: torch.from_numpy(np.asarray(a, dtype=np.float32)).to(self.dev)
        u = lambda a, b: rng.uniform(a, b, (B, 1, 1))
        if held:
            pace, rate = u(0.95, 1.05), SR
        else:           # pace of the clip, slow drift within it, and a little per phone
            k = np.linspace(0, 1, T)[None, None]
            pace = np.exp(np.log(u(0.74, 1.3)) + u(-0.15, 0.15) * np.cos(k * u(2, 20) + u(0, 6.3)) + u(0, 0.2) * rng.standard_normal((B, 1, T)))
            rate = int(rng.choice(RATES))
        y, w = self.graph.run({'input': torch.from_numpy(X).to(self.dev), 'input_lengths': torch.tensor(L, device=self.dev),
                               '/emb_g/Gather_output_0': self.embeddings(B, rng, held), '/Gather_output_0': dev(u(0.4, 0.95)),
                               '/Gather_1_output_0': dev(pace), '/Gather_2_output_0': dev(u(0.5, 1.05))}, ['output', '/Ceil_output_0'])
        n = w.sum((1, 2)).long() * 256
        y = resample(y.reshape(B, -1).float(), 22050, rate)
        n = torch.div(n * rate, 22050, rounding_mode='floor').clamp(max=y.shape[1])
        return y, n, w[:, 0].cpu().numpy(), X, 256 * rate / 22050


def batches(items, rng, chunk=6000, budget=26000, most=320):
    """indices of items in length-sorted batches"""
    order = rng.permutation(len(items))
    for c in range(0, len(order), chunk):
        ix = sorted(order[c:c + chunk].tolist(), key=lambda i: len(items[i][1]))
        out, k = [], 0
        while k < len(ix):
            b = []
            while k < len(ix) and (not b or (len(b) + 1) * (-(-(len(items[ix[k]][1]) + 2) // 32) * 32) <= budget and len(b) < most):
                b.append(ix[k])
                k += 1
            out.append(b)
        rng.shuffle(out)
        yield from out


def alignment(x, w, L, per):
    """class and end sample of every phone from the durations the voice used (stress and length marks merged)"""
    c = x[0:2 * L + 3:2].copy()
    d = np.append(w[0:2 * L + 3].astype(np.float64), 0).reshape(-1, 2).sum(1)
    for i in range(len(c) - 2, -1, -1):
        if c[i] in STRESS:
            c[i] = c[i + 1]
    for i in range(1, len(c)):
        if c[i] == LONG:
            c[i] = c[i - 1]
    c[0] = c[-1] = 0
    return c.astype(np.uint8), np.cumsum(d * per).astype(np.int32)


class Generator:
    """appends one synthetic batch to the pool per step(); reads this rank's shards as they appear, then over again"""

    def __init__(self, onnx_path, shards, pool, hours, rank, world, device, budget=26000):
        self.voice = Voice(onnx_path, device)
        self.shards, self.rank, self.world, self.budget = shards, rank, world, budget
        self.rng = np.random.default_rng(1000 + rank)
        self.pool, self.pos, self.end = pool, 0, int(hours * 3600 * SR)
        self.it = self.loop()

    def loop(self):
        done, k, waited = [], self.rank, 0
        while True:
            path = f'{self.shards}/shard-{k:03d}.pkl'
            try:
                items = pickle.load(open(path, 'rb'))
                done.append(path)
                k += self.world
                waited = 0
            except FileNotFoundError:
                waited += 1
                if not done or waited < 10 and len(done) < 2:
                    time.sleep(1)
                    if waited > 120:
                        raise RuntimeError(f'no text: {path} never came')
                    continue
                items = pickle.load(open(done[int(self.rng.integers(len(done)))], 'rb'))
            yield from (([items[i] for i in b]) for b in batches(items, self.rng, budget=self.budget))

    def step(self):
        """-> list of (text, position in the pool, samples, alignment), or None when the pool is full"""
        if self.pos >= self.end:
            return None
        b = next(self.it)
        y, n, w, X, per = self.voice.batch([p for _, p in b], self.rng)
        m = torch.arange(y.shape[1], device=y.device)[None] < n[:, None]
        a = (y / y.abs().amax(1, keepdim=True).clamp(min=0.05) * 26000).clamp(-32767, 32767).to(torch.int16)[m]
        if self.pos + a.numel() > self.end:
            self.pos = self.end
            return None
        self.pool[self.pos:self.pos + a.numel()] = a
        out, p = [], self.pos
        for r, ((text, ph), k) in enumerate(zip(b, n.tolist())):
            out.append((text, p, k, alignment(X[r], w[r], len(ph), per)))
            p += k
        self.pos = p
        return out

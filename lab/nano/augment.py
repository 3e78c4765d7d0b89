"""Waveform and feature augmentation, batched on the device of its input."""
import math, torch

SR = 16000


def rand(shape, a, b, dev):
    return torch.rand(*shape, device=dev) * (b - a) + a


def fft_size(n):
    return min(m << k for k in range(8, 20) for m in (1, 3, 5, 9, 15, 25, 27, 45) if m << k >= n)


def rooms(k, n, dev):
    """k impulse responses of n samples: direct sound, a few early reflections, a decaying noise tail"""
    t = torch.arange(n, device=dev)[None]
    h = torch.randn(k, n, device=dev) * torch.exp(-6.9 * t / SR / rand((k, 1), 0.08, 0.7, dev))
    h = h * (t >= (rand((k, 1), 0.001, 0.015, dev) * SR).long())
    h = h / h.square().sum(1, keepdim=True).sqrt() * 10 ** (rand((k, 1), -18, 3, dev) / 20)
    at = (rand((k, 4), 0.0005, 0.02, dev) * SR).long()
    h.scatter_add_(1, at, rand((k, 4), -0.5, 0.5, dev) * rand((k, 1), 0, 1, dev))
    h[:, 0] = 1.0
    return h


def codec(x):
    """holes and noise as lossy coding leaves them: bins quantised with a step tied to the energy around them"""
    k, N = x.shape
    dev = x.device
    win = torch.hann_window(512, device=dev).sqrt()
    X = torch.stft(x, 512, 256, window=win, center=True, return_complex=True)
    e = X.abs()
    near = torch.nn.functional.avg_pool2d(e.square()[:, None], (13, 3), 1, (6, 1), count_include_pad=False)[:, 0].sqrt()
    f = torch.linspace(0, 1, e.shape[1], device=dev)[None, :, None]
    step = near * 10 ** ((rand((k, 1, 1), -8, 5, dev) + rand((k, 1, 1), 0, 6, dev) * f) / 20) + 1e-7
    step = torch.maximum(step, e.amax((1, 2), keepdim=True) * 10 ** (rand((k, 1, 1), -90, -55, dev) / 20))
    Y = X * (torch.round(e / step) * step / (e + 1e-9))
    return torch.istft(Y, 512, 256, window=win, center=True, length=N)


def tones(k, N, dev):
    """music-like: four lines of notes with overtones, some with a beat"""
    out = torch.zeros(k, N, device=dev)
    t = torch.arange(N, device=dev)[None]
    for _ in range(4):
        length = (rand((k, 1), 0.12, 0.8, dev) * SR).long()
        note = torch.div(t, length, rounding_mode='floor')
        pitch = torch.randint(0, 30, (k, int(N // (0.12 * SR)) + 2), device=dev).gather(1, note)
        phase = torch.cumsum(2 * math.pi * 82.4 * 2 ** (pitch / 12.0) / SR, 1)
        line = sum(torch.sin(h * phase) * rand((k, 1), 0, 1.0 / h, dev) for h in (1, 2, 3, 5))
        out += line * torch.exp(-rand((k, 1), 0, 6, dev) * (t % length) / length) * rand((k, 1), 0, 1, dev)
    return out / (out.abs().amax(1, keepdim=True) + 1e-6)


def waveform(x, n, silent):
    """x [B,N], n [B] samples -> augmented x; `silent`: rows without speech get tones or nothing under the noise"""
    B, N = x.shape
    dev = x.device
    if silent:
        rows = torch.tensor(silent, device=dev)
        x[rows] = tones(len(silent), N, dev) * (torch.rand(len(silent), 1, device=dev) < 0.5) * 0.5
    nf = fft_size(N + 6400)
    fr = torch.linspace(0, 8000, nf // 2 + 1, device=dev)[None]
    X = torch.fft.rfft(x, nf)
    k = max(1, int(B * 0.45))
    sel = torch.randperm(B, device=dev)[:k]
    X[sel] = X[sel] * torch.fft.rfft(rooms(k, 6400, dev), nf)
    # smooth random equaliser with tilt, low-pass, telephone-like high-pass
    E = torch.exp(rand((B, 1), -0.7, 0.7, dev) * torch.cos(fr / 8000 * math.pi * rand((B, 1), 0.5, 3.0, dev) + rand((B, 1), 0, 6.28, dev))
                  + rand((B, 1), -0.8, 0.8, dev) * fr / 8000)
    lp = torch.where(torch.rand(B, 1, device=dev) < 0.4, rand((B, 1), 3300, 7600, dev), torch.full((B, 1), 9000.0, device=dev))
    hp = torch.where(torch.rand(B, 1, device=dev) < 0.25, rand((B, 1), 40, 350, dev), torch.zeros(B, 1, device=dev))
    x = torch.fft.irfft(X * E * torch.sigmoid((lp - fr) / 40) * torch.sigmoid((fr - hp) / 15 + 2), nf)[:, :N]
    ok = torch.arange(N, device=dev)[None] < n[:, None]
    level = ((x.square() * ok).sum(1, keepdim=True) / n[:, None].clamp(min=1)).sqrt()
    # coloured noise, sometimes with a slow swell, or babble made of other rows
    z = torch.fft.rfft(torch.randn(B, N, device=dev), nf) / (fr + 30) ** rand((B, 1), 0, 1.3, dev)
    nz = torch.fft.irfft(z, nf)[:, :N]
    t = torch.arange(N, device=dev)[None] / SR
    nz = nz * torch.exp(rand((B, 1), 0, 1.2, dev) * torch.sin(t * rand((B, 1), 0.3, 12, dev) + rand((B, 1), 0, 6.28, dev)))
    nz = nz / (nz.square().mean(1, keepdim=True).sqrt() + 1e-9)
    s = torch.randint(1, max(2, B), (3,)).tolist()
    bab = torch.roll(x, s[0], 0) + torch.roll(x, s[1], 0).flip(1) + torch.roll(torch.roll(x, s[2], 0), N // 3, 1)
    bab = bab / (bab.square().mean(1, keepdim=True).sqrt() + 1e-6)
    kind = torch.rand(B, 1, device=dev) < 0.2
    if silent:
        kind[rows] = False
    nz = torch.where(kind, bab, nz) * (level + 0.002) * 10 ** (-rand((B, 1), 3, 40, dev) / 20)
    x = x + nz * (torch.rand(B, 1, device=dev) < 0.55)
    x = x / (x.abs().amax(1, keepdim=True) + 1e-3)
    k = max(1, B // 3)
    sel = torch.randperm(B, device=dev)[:k]
    x[sel] = codec(x[sel])
    hard = torch.where(torch.rand(B, 1, device=dev) < 0.06, rand((B, 1), 1.5, 5, dev), torch.ones(B, 1, device=dev))
    x = (x * hard).clamp(-1, 1) * torch.exp(rand((B, 1), -3.0, -0.1, dev))
    x = x + torch.randn(B, N, device=dev) * torch.exp(rand((B, 1), -13.5, -7.5, dev))
    return x * ok


def features(mel, L, times=6, bands=2):
    """SpecAugment: `bands` stripes of up to 27 channels, `times` stripes of up to 4 % of the clip"""
    B, T, M = mel.shape
    dev = mel.device
    f, t = torch.arange(M, device=dev), torch.arange(T, device=dev)
    keep = torch.ones(B, T, M, dtype=torch.bool, device=dev)
    for _ in range(bands):
        w = torch.randint(0, 28, (B, 1), device=dev)
        s = (torch.rand(B, 1, device=dev) * (M - w)).long()
        keep &= ~((f >= s) & (f < s + w))[:, None, :]
    for _ in range(times):
        w = (torch.rand(B, 1, device=dev) * 0.04 * L[:, None]).long().clamp(max=40)
        s = (torch.rand(B, 1, device=dev) * (L[:, None] - w)).long()
        keep &= ~((t >= s) & (t < s + w))[:, :, None]
    return mel * keep

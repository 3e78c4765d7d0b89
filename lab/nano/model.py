"""Small FastConformer-TDT with the tensor names of transformers' ParakeetForTDT (own, training-oriented code)."""
import math, torch, torch.nn as nn, torch.nn.functional as F

CFG = dict(hidden=192, inter=768, layers=16, heads=4, kernel=9, mel=128, sub=128, pred=320, pred_layers=2, vocab=512,
           durations=(0, 1, 2, 3, 4))


class FF(nn.Module):
    def __init__(s, c):
        super().__init__()
        s.linear1 = nn.Linear(c['hidden'], c['inter'], bias=False)
        s.linear2 = nn.Linear(c['inter'], c['hidden'], bias=False)

    def forward(s, x, p):
        return s.linear2(F.silu(s.linear1(x)))


class Att(nn.Module):
    def __init__(s, c):
        super().__init__()
        d, s.h = c['hidden'], c['heads']
        s.dk = d // s.h
        for n in ('q_proj', 'k_proj', 'v_proj', 'o_proj', 'relative_k_proj'):
            setattr(s, n, nn.Linear(d, d, bias=False))
        s.bias_u = nn.Parameter(torch.zeros(s.h, s.dk))
        s.bias_v = nn.Parameter(torch.zeros(s.h, s.dk))

    def forward(s, x, pos, mask, p):
        B, T, d = x.shape
        q = s.q_proj(x).view(B, T, s.h, s.dk)
        k = s.k_proj(x).view(B, T, s.h, s.dk).transpose(1, 2)
        v = s.v_proj(x).view(B, T, s.h, s.dk).transpose(1, 2)
        r = s.relative_k_proj(pos).view(2 * T, s.h, s.dk).permute(1, 2, 0)              # H,dk,2T (last row unused)
        ac = (q + s.bias_u).transpose(1, 2) @ k.transpose(2, 3)                         # B,H,T,T
        bd = (q + s.bias_v).transpose(1, 2) @ r                                         # B,H,T,2T; column c is distance T-1-c
        bd = bd.flatten(2)[..., T - 1:T - 1 + T * (2 * T - 1)].view(B, s.h, T, 2 * T - 1)[..., :T]
        w = torch.softmax(torch.add(mask, ac + bd, alpha=s.dk ** -0.5), -1)
        return s.o_proj((w @ v).transpose(1, 2).reshape(B, T, d))


class Conv(nn.Module):
    def __init__(s, c):
        super().__init__()
        d = c['hidden']
        s.pointwise_conv1 = nn.Conv1d(d, 2 * d, 1, bias=False)
        s.depthwise_conv = nn.Conv1d(d, d, c['kernel'], padding=(c['kernel'] - 1) // 2, groups=d, bias=False)
        s.norm = nn.BatchNorm1d(d)
        s.momentum = 0.1
        s.pointwise_conv2 = nn.Conv1d(d, d, 1, bias=False)

    def forward(s, x, keep):
        x = F.glu(F.linear(x, s.pointwise_conv1.weight.squeeze(-1)), -1) * keep
        x = s.depthwise_conv(x.transpose(1, 2))
        b = s.norm
        x = F.silu(F.batch_norm(x, b.running_mean, b.running_var, b.weight, b.bias, s.training, s.momentum, b.eps))
        return F.linear(x.transpose(1, 2), s.pointwise_conv2.weight.squeeze(-1))


class Block(nn.Module):
    def __init__(s, c):
        super().__init__()
        d = c['hidden']
        s.feed_forward1, s.self_attn, s.conv, s.feed_forward2 = FF(c), Att(c), Conv(c), FF(c)
        for n in ('norm_feed_forward1', 'norm_self_att', 'norm_conv', 'norm_feed_forward2', 'norm_out'):
            setattr(s, n, nn.LayerNorm(d))

    def forward(s, x, pos, mask, keep, p):
        D = lambda y: F.dropout(y, p, s.training)
        x = torch.add(x, D(s.feed_forward1(s.norm_feed_forward1(x), p)), alpha=0.5)
        x = x + D(s.self_attn(s.norm_self_att(x), pos, mask, p))
        x = x + D(s.conv(s.norm_conv(x), keep))
        x = torch.add(x, D(s.feed_forward2(s.norm_feed_forward2(x), p)), alpha=0.5)
        return s.norm_out(x)


class Sub(nn.Module):
    def __init__(s, c):
        super().__init__()
        n = c['sub']
        s.layers = nn.ModuleList([nn.Conv2d(1, n, 3, 2, 1), nn.ReLU(), nn.Conv2d(n, n, 3, 2, 1, groups=n), nn.Conv2d(n, n, 1), nn.ReLU(),
                                  nn.Conv2d(n, n, 3, 2, 1, groups=n), nn.Conv2d(n, n, 1), nn.ReLU()])
        s.linear = nn.Linear(n * (c['mel'] // 8), c['hidden'])
        s.channels_last = False

    def forward(s, x, L):
        x = x.unsqueeze(1)
        if s.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        for i, l in enumerate(s.layers):
            x = l(x)
            if isinstance(l, nn.Conv2d) and l.stride == (2, 2):
                L = torch.div(L - 1, 2, rounding_mode='floor') + 1
                if not s.training:      # padding mask; left out in training, where it only touches edge frames of the shorter items
                    x = x * (torch.arange(x.shape[2], device=x.device)[None] < L[:, None])[:, None, :, None]
        B, C, T, Fm = x.shape
        return s.linear(x.transpose(1, 2).reshape(B, T, C * Fm)), L


class Encoder(nn.Module):
    def __init__(s, c):
        super().__init__()
        s.subsampling = Sub(c)
        s.layers = nn.ModuleList([Block(c) for _ in range(c['layers'])])
        s.d = c['hidden']

    def pos(s, T, dev):
        f = 1.0 / (10000.0 ** (torch.arange(0, s.d, 2, device=dev, dtype=torch.float) / s.d))
        p = torch.arange(T - 1, -T - 1, -1, device=dev, dtype=torch.float)[:, None] * f[None]
        return torch.stack([p.sin(), p.cos()], -1).reshape(2 * T, s.d)

    def forward(s, mel, L, p=0.0, taps=()):
        """mel [B,T,128], frames L -> [B,T/8,hidden], lengths and the outputs of the layers named in `taps`"""
        x, L = s.subsampling(mel, L)
        T = x.shape[1]
        m = torch.arange(T, device=x.device)[None] < L[:, None]
        mask = torch.zeros(m.shape, device=x.device, dtype=x.dtype).masked_fill(~m, float('-inf') if not s.training else -1e4)[:, None, None]
        keep = m[..., None].to(x.dtype)
        pos = s.pos(T, x.device).to(x.dtype)
        x = F.dropout(x, p, s.training)
        mid = []
        for i, l in enumerate(s.layers):
            x = l(x, pos, mask, keep, p)
            if i + 1 in taps:
                mid.append(x)
        return x, L, mid


class Pred(nn.Module):
    def __init__(s, c):
        super().__init__()
        s.embedding = nn.Embedding(c['vocab'] + 1, c['pred'], padding_idx=c['vocab'])
        s.lstm = nn.LSTM(c['pred'], c['pred'], c['pred_layers'], batch_first=True)
        s.decoder_projector = nn.Linear(c['pred'], c['pred'])

    def forward(s, y, state=None, p=0.0):
        h, st = s.lstm(F.dropout(s.embedding(y), p, s.training), state)
        return s.decoder_projector(F.dropout(h, p, s.training)), st


class Joint(nn.Module):
    def __init__(s, c):
        super().__init__()
        s.head = nn.Linear(c['pred'], c['vocab'] + 1 + len(c['durations']))

    def forward(s, f, g):
        return s.head(torch.relu(f + g))

    def padded(s, f, g):
        """same with the output width rounded up to a multiple of 8 (zero columns)"""
        n = -s.head.out_features % 8
        return F.linear(torch.relu(f + g), F.pad(s.head.weight, (0, 0, 0, n)), F.pad(s.head.bias, (0, n)))


class NanoTDT(nn.Module):
    def __init__(s, c=CFG):
        super().__init__()
        s.c = c
        s.encoder = Encoder(c)
        s.encoder_projector = nn.Linear(c['hidden'], c['pred'])
        s.decoder = Pred(c)
        s.joint = Joint(c)
        s.ctc_head = nn.Linear(c['hidden'], c['vocab'] + 1)       # auxiliary, dropped on export
        for n, q in s.named_parameters():
            if q.dim() == 2 and 'embedding' not in n and 'lstm' not in n and 'bias_' not in n:
                nn.init.xavier_uniform_(q)
        nn.init.normal_(s.decoder.embedding.weight, std=0.1)
        s.decoder.embedding.weight.data[c['vocab']] = 0

    @torch.no_grad()
    def greedy(s, mel, L, max_sym=10):
        enc, L, _ = s.encoder(mel.to(s.encoder_projector.weight.dtype), L)
        f = s.encoder_projector(enc)
        B = f.shape[0]
        V = s.c['vocab']
        dev = f.device
        t = torch.zeros(B, dtype=torch.long, device=dev)
        y = torch.full((B, 1), V, device=dev)
        g, st = s.decoder(y)
        g = g[:, 0]
        n_at = torch.zeros(B, dtype=torch.long, device=dev)
        outs, durs, act = [], [], []
        ar = torch.arange(B, device=dev)
        for it in range(int(L.max()) * 3 + 50):
            live = t < L
            if it % 8 == 0 and not bool(live.any()):
                break
            lg = s.joint(f[ar, t.clamp(max=f.shape[1] - 1)], g).float()
            k = lg[:, :V + 1].argmax(-1)
            d = lg[:, V + 1:].argmax(-1)
            blank = k == V
            d = torch.where(blank & (d == 0), torch.ones_like(d), d)
            emit = live & ~blank
            n_at = torch.where(emit & (d == 0), n_at + 1, torch.zeros_like(n_at))
            d = torch.where(n_at >= max_sym, torch.ones_like(d), d)
            n_at = torch.where(n_at >= max_sym, torch.zeros_like(n_at), n_at)
            outs.append(torch.where(emit, k, torch.full_like(k, -1)))
            g2, st2 = s.decoder(torch.where(emit, k, torch.full_like(k, V))[:, None], st)
            e = emit[:, None]
            g = torch.where(e, g2[:, 0], g)
            st = tuple(torch.where(emit[None, :, None], a, b) for a, b in zip(st2, st))
            t = torch.where(live, t + d, t)
        o = torch.stack(outs, 1).tolist() if outs else [[] for _ in range(B)]
        return [[k for k in r if k >= 0] for r in o], enc, L


def slaney_fb(n_mels=128, n_fft=512, sr=16000):
    import numpy as np
    hz2mel = lambda f: np.where(f < 1000, f / (200 / 3), 15 + np.log(np.maximum(f, 1e-9) / 1000) / (np.log(6.4) / 27))
    mel2hz = lambda m: np.where(m < 15, m * (200 / 3), 1000 * np.exp((m - 15) * (np.log(6.4) / 27)))
    p = mel2hz(np.linspace(0, hz2mel(np.array(sr / 2.0)), n_mels + 2))
    f = np.arange(n_fft // 2 + 1) * sr / n_fft
    fb = np.zeros((n_mels, len(f)))
    for m in range(n_mels):
        fb[m] = np.maximum(0, np.minimum((f - p[m]) / (p[m + 1] - p[m]), (p[m + 2] - f) / (p[m + 2] - p[m + 1]))) * 2 / (p[m + 2] - p[m])
    return torch.from_numpy(fb).float()


class Mel(nn.Module):
    def __init__(s):
        super().__init__()
        s.register_buffer('fb', slaney_fb())
        s.register_buffer('win', torch.hann_window(400, periodic=False))

    @torch.no_grad()
    def forward(s, x, n):
        """x [B,N] with N a multiple of 160, n lengths -> normalised log-mel [B,N/160,128], frames; zeros past the length"""
        ok = torch.arange(x.shape[1], device=x.device)[None] < n[:, None]
        x = torch.cat([x[:, :1], x[:, 1:] - 0.97 * x[:, :-1]], 1) * ok
        z = torch.stft(x, 512, 160, 400, s.win, center=True, pad_mode='constant', return_complex=True)
        p = torch.view_as_real(z).square().sum(-1)
        m = torch.log(s.fb @ p + 2.0 ** -24).transpose(1, 2)
        L = torch.div(n, 160, rounding_mode='floor')
        T = x.shape[1] // 160
        m = m[:, :T]
        k = (torch.arange(T, device=x.device)[None] < L[:, None])[..., None]
        c = L.clamp(min=1)[:, None, None]
        mu = (m * k).sum(1, keepdim=True) / c
        sd = (((m - mu) * k).square().sum(1, keepdim=True) / (c - 1).clamp(min=1)).sqrt()
        return ((m - mu) / (sd + 1e-5)) * k, L

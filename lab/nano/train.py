"""Train or continue nano on 1 to N GPUs, data parallel, each GPU with its own pool of synthetic speech.

    torchrun --nproc-per-node 4 train.py --dir WORK --minutes 24 --resume weights.safetensors

WORK holds tokenizer.model, voice.onnx, shards/ (variety.py), real*.pkl and eval*.pkl (pack_real.py).  The end may
be moved while it runs: WORK/deadline holds it in seconds since 1970.  WORK/ema.safetensors is written at
every check (averaged weights with the training-only heads), WORK/final.safetensors at the end.
"""
import argparse, glob, json, math, os, sys, time
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F
import torch.distributed as dist
import sentencepiece as spm
from safetensors.torch import load_file, save_file
import augment
from data import Data, Prefetch, UNIT, batch_size, bucket_sizes, read_pack
from metrics import edits, norm_words
from model import CFG, Mel, NanoTDT
from tdt_loss import tdt_loss
from tokdur import log_probs
from voice import SR, Generator

PHONES = 160
TAP_CTC, TAP_PHONE = 8, 11                  # layers whose outputs carry the auxiliary losses


class Front(nn.Module):
    """everything of fixed shape: encoder, projection and the auxiliary heads (what a CUDA graph can hold)"""

    def __init__(self, model, dropout):
        super().__init__()
        self.encoder, self.proj, self.ctc, self.mid, self.phone = (model.encoder, model.encoder_projector, model.ctc_head,
                                                                   model.mid_head, model.phone_head)
        self.dropout = dropout

    def forward(self, mel, L):
        e, _, (a, b) = self.encoder(mel, L, self.dropout, (TAP_CTC, TAP_PHONE))
        return self.proj(e), self.ctc(e), self.mid(a), self.phone(b)


class Wrap(nn.Module):
    """a fresh module around a shared one: capturing replaces `forward`, once per shape"""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, mel, L):
        return self.inner(mel, L)


def build(A, dev):
    model = NanoTDT()
    model.mid_head = nn.Linear(CFG['hidden'], CFG['vocab'] + 1)
    model.phone_head = nn.Linear(CFG['hidden'], 2 * PHONES)
    for path in A.resume:
        sd = {k: (v.float() if v.is_floating_point() else v) for k, v in load_file(path).items()}
        if 'ctc_head.weight' in sd:
            sd['ctc_head.weight'] = sd['ctc_head.weight'].reshape(CFG['vocab'] + 1, -1)
        missing, extra = model.load_state_dict(sd, strict=False)
        print(f'{path}: {len(sd)} tensors, {len(extra)} not used, {len(missing)} kept as initialised', flush=True)
    return model.to(dev).train()


class Flat:
    """parameters as one float32 master vector with one gradient vector; working copies in the model"""

    def __init__(self, model, lr, decay):
        named = list(model.named_parameters())
        heavy = lambda n, p: p.dim() >= 2 and 'bias_' not in n and 'embedding' not in n
        named = [x for x in named if heavy(*x)] + [x for x in named if not heavy(*x)]
        self.names, self.params = [n for n, _ in named], [p for _, p in named]
        size = sum(p.numel() for p in self.params)
        cut = sum(p.numel() for n, p in named if heavy(n, p))
        dev = self.params[0].device
        self.w, self.g = torch.zeros(size, device=dev), torch.zeros(size, device=dev)
        self.views, self.grads, at = {}, [], 0
        for n, p in named:
            v = self.w[at:at + p.numel()].view(p.shape)
            v.copy_(p.detach())
            self.views[n] = v
            self.grads.append(self.g[at:at + p.numel()].view(p.shape))
            at += p.numel()
        self.ema = self.w.clone()
        groups = []
        for a, b, wd in ((0, cut, decay), (cut, size, 0.0)):
            q = nn.Parameter(self.w[a:b])
            q.grad = self.g[a:b]
            groups.append(dict(params=[q], weight_decay=wd))
        self.opt = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), eps=1e-8, fused=dev.type == 'cuda')
        self.blank = self.views['decoder.embedding.weight'][CFG['vocab']]

    def bind(self, half):
        """after the model's working precision is set: pair working copies and masters by type"""
        self.pairs = []
        for d in {p.dtype for p in self.params}:
            ix = [i for i, p in enumerate(self.params) if p.dtype == d]
            self.pairs.append(([self.params[i] for i in ix], [self.grads[i] for i in ix], [self.views[self.names[i]] for i in ix]))

    @torch.no_grad()
    def step(self, lr, ema, world):
        for p, g, _ in self.pairs:
            torch._foreach_copy_(g, [q.grad for q in p])
        if world > 1:
            dist.all_reduce(self.g)
            self.g.div_(world)
        norm = self.g.norm()
        self.g.mul_((1.0 / (norm + 1e-6)).clamp(max=1.0))
        torch.nan_to_num_(self.g, 0.0, 0.0, 0.0)
        for q in self.opt.param_groups:
            q['lr'] = lr
        self.opt.step()
        self.blank.zero_()
        for p, _, w in self.pairs:
            torch._foreach_copy_([q.detach() for q in p], w)
        self.ema.lerp_(self.w, 1 - ema)
        for q in self.params:
            q.grad = None
        return norm

    def averaged(self):
        out, at = {}, 0
        for n, p in zip(self.names, self.params):
            out[n] = self.ema[at:at + p.numel()].view(p.shape)
            at += p.numel()
        return out


def export(sd, path):
    out = {k: (v.half() if v.is_floating_point() else v).contiguous().cpu() for k, v in sd.items()}
    save_file(out, path + '.tmp', metadata={'format': 'pt'})
    os.replace(path + '.tmp', path)


class Trainer:
    def __init__(self, A):
        self.A = A
        self.rank, self.world = int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))
        cuda = torch.cuda.is_available() and not A.cpu
        self.dev = torch.device('cuda', int(os.environ.get('LOCAL_RANK', 0))) if cuda else torch.device('cpu')
        if cuda:
            torch.cuda.set_device(self.dev)
            import cupy
            cupy.cuda.Device(self.dev.index).use()
        if self.world > 1:
            dist.init_process_group('nccl' if cuda else 'gloo', **(dict(device_id=self.dev) if cuda else {}))
        self.cuda, self.t0 = cuda, time.time()
        torch.manual_seed(A.seed * 100 + self.rank)
        np.random.seed(A.seed * 100 + self.rank)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        self.sp = spm.SentencePieceProcessor(model_file=A.dir + '/tokenizer.model')
        self.pool = torch.zeros(int((A.hours + A.real_hours) * 3600 * SR), dtype=torch.int16, device=self.dev)
        self.data = Data(self.pool, self.sp, A.seconds, A.seed * 100 + self.rank)
        self.packs = set()
        self.eval_clips = []
        self.load_packs()
        self.gen = None if A.no_voice else Generator(A.dir + '/voice.onnx', A.dir + '/shards', self.pool, A.hours, self.rank, self.world, self.dev, A.synth_budget)
        self.synth_time = 0.0
        self.model = build(A, self.dev)
        self.mel = Mel().to(self.dev)
        self.flat = Flat(self.model, A.lr, A.decay)
        self.half = torch.bfloat16 if cuda else torch.float32
        self.model.to(self.half)
        for m in self.model.modules():
            if isinstance(m, nn.BatchNorm1d):
                m.float()
        self.flat.bind(self.half)
        self.model.encoder.subsampling.channels_last = bool(A.channels_last)
        self.front, self.graphs = Front(self.model, A.dropout), {}
        self.norms = {n: b for n, b in self.model.named_buffers() if b.is_floating_point()}
        self.norms_ema = {n: b.clone() for n, b in self.norms.items()}

    def say(self, *a):
        if self.rank == 0:
            print(f'{time.time() - self.t0:.0f}s', *a, flush=True)

    def load_packs(self):
        """real and evaluation clips; files may come while training runs (rank 0 says which are there)"""
        found = [sorted(glob.glob(self.A.dir + '/real*.pkl') + glob.glob(self.A.dir + '/eval*.pkl'))]
        if self.world > 1:
            dist.broadcast_object_list(found, 0)
        for path in found[0]:
            if path in self.packs:
                continue
            self.packs.add(path)
            clips = read_pack(path)
            if os.path.basename(path).startswith('eval'):
                self.eval_clips += clips
                continue
            for name, text, audio in clips:
                self.data.add_clip(name.split('/')[0], text, audio)
            self.say(path, {k: (len(v), round(sum(i[2] for i in v) / SR / 3600, 2)) for k, v in self.data.items.items()})

    def synth(self, k):
        t = time.time()
        for _ in range(k):
            for item in self.gen.step() or []:
                self.data.add('tts', *item)
        if self.cuda:
            torch.cuda.synchronize()
        self.synth_time += time.time() - t

    def capture(self, sizes):
        """one CUDA graph of the front per bucket, all in one memory pool (a step uses only one of them)"""
        saved = {n: b.clone() for n, b in self.norms.items()}
        pool = torch.cuda.graph_pool_handle()
        t = time.time()
        for k in sorted(sizes, key=lambda k: -k * batch_size(k, self.A.seconds)):
            B = batch_size(k, self.A.seconds)
            args = (torch.randn(B, k * 64, 128, device=self.dev, dtype=self.half), torch.full((B,), k * 64, device=self.dev))
            try:
                self.graphs[k] = torch.cuda.make_graphed_callables(Wrap(self.front).train(), args, num_warmup_iters=2, pool=pool)
            except Exception as e:
                self.say('graphs failed, going on without:', repr(e)[:600])
                self.graphs = {}
                torch.cuda.synchronize()
                break
        with torch.no_grad():
            for n, b in self.norms.items():
                b.copy_(saved[n])
        for p in self.model.parameters():
            p.grad = None
        self.say(f'{len(self.graphs)} graphs in {time.time() - t:.1f} s, {torch.cuda.memory_reserved() / 2 ** 30:.0f} GiB reserved')

    def losses(self, b):
        A, dev, V = self.A, self.dev, CFG['vocab']
        to = lambda t: t.to(dev, non_blocking=True)
        n, y, U, phones = to(b['n']), to(b['y']), to(b['Ut']), to(b['phones'])
        with torch.no_grad():
            x = self.data.audio(b)
            x = augment.waveform(x, n, [i for i, u in enumerate(b['U']) if u == 0])
            m, L = self.mel(x, n)
            m = augment.features(m, L).to(self.half)
        front = self.graphs.get(b['k'], self.front)
        fe, ctc, mid, ph = front(m, L)
        Le = torch.tensor(b['enc'])
        Le = to(Le.pin_memory() if self.cuda else Le)
        inputs = torch.cat([torch.full_like(y[:, :1], V), y[:, :-1]], 1)      # blank, y1..yU
        g, _ = self.model.decoder(inputs, None, A.pred_dropout)
        lb, ll, ld = log_probs(self.model.joint.padded(fe[:, :, None], g[:, None]), y, V)
        nll = tdt_loss(lb - A.sigma, ll - A.sigma, ld, Le, U)
        ok = (nll < 1e6) & (Le >= 1)
        total = (U + 1).sum()
        tdt = torch.where(ok, nll, torch.zeros_like(nll)).sum() / total
        aux = []
        for z in (ctc, mid):
            lp = z.float().log_softmax(-1).transpose(0, 1)
            c = F.ctc_loss(lp, y[:, :-1] if y.shape[1] > 1 else y, tuple(b['enc']), tuple(b['U']), blank=V, reduction='none', zero_infinity=True)
            aux.append(c.sum() / total)
        l3 = F.cross_entropy(ph.float().reshape(-1, PHONES), phones.reshape(-1), ignore_index=-100)
        return tdt, aux[0], aux[1], torch.nan_to_num(l3)

    def train_step(self, lr, phone_weight):
        A = self.A
        b = self.batches.next()
        tdt, ctc, mid, ph = self.losses(b)
        (tdt + A.ctc * ctc + A.mid * mid + phone_weight * ph).backward()
        norm = self.flat.step(lr, min(A.ema, (1 + self.step) / (20 + self.step)), self.world)
        live, avg = list(self.norms.values()), list(self.norms_ema.values())
        torch._foreach_lerp_(avg, live, 1 - min(A.ema, (1 + self.step) / (20 + self.step)))
        self.step += 1
        self.seen += b['seconds'] * self.world / 3600
        return torch.stack([tdt.detach(), ctc.detach(), mid.detach(), ph.detach(), norm])

    @torch.no_grad()
    def evaluate(self, sd, clips):
        """averaged weights in float32 on this rank's share of the clips -> {set: WER}"""
        model = NanoTDT().to(self.dev)
        model.load_state_dict(sd, strict=False)
        model.eval()
        counts, shown = {}, []
        mine = sorted(range(len(clips)), key=lambda i: len(clips[i][2]))[self.rank::self.world]
        for at in range(0, len(mine), 32):
            ix = mine[at:at + 32]
            N = -(-max(len(clips[i][2]) for i in ix) // UNIT) * UNIT
            x = torch.zeros(len(ix), N)
            for j, i in enumerate(ix):
                x[j, :len(clips[i][2])] = torch.from_numpy(clips[i][2].astype(np.float32) / 32768)
            m, L = self.mel(x.to(self.dev), torch.tensor([len(clips[i][2]) for i in ix], device=self.dev))
            out, _, _ = model.greedy(m, L)
            for i, o in zip(ix, out):
                h = self.sp.decode(o)
                r, w = norm_words(clips[i][1]), norm_words(h)
                c = counts.setdefault(clips[i][0].split('/')[0], [0, 0])
                c[0] += edits(r, w)
                c[1] += len(r)
                if self.rank == 0 and len(shown) < 3 and len(r) > 8:
                    shown.append((clips[i][1][:110], h[:110]))
        kinds = sorted({c[0].split('/')[0] for c in clips})
        t = torch.tensor([counts.get(k, [0, 0]) for k in kinds], device=self.dev, dtype=torch.float)
        if self.world > 1:
            dist.all_reduce(t)
        return {k: round(100 * float(a / max(1, b)), 2) for k, (a, b) in zip(kinds, t.tolist())}, shown

    @torch.no_grad()
    def held_out(self):
        """clips of voices and sentences that training never sees"""
        import pickle
        items = sorted(pickle.load(open(self.A.dir + '/shards/held.pkl', 'rb'))[:150], key=lambda i: len(i[1]))
        rng, out = np.random.default_rng(99), []
        torch.manual_seed(99)
        for c in range(0, len(items), 50):
            y, n, *_ = self.gen.voice.batch([p for _, p in items[c:c + 50]], rng, held=True)
            for (text, _), a, k in zip(items[c:c + 50], y, n.tolist()):
                out.append(('voices/x', text, (a[:k].clamp(-1, 1) * 32767).to(torch.int16).cpu().numpy()))
        torch.manual_seed(self.A.seed * 100 + self.rank)
        return out

    def averaged(self):
        return {**self.flat.averaged(), **self.norms_ema}

    def check(self, label):
        t = time.time()
        wer, shown = self.evaluate(self.averaged(), self.eval_clips)
        self.say(label, wer, f'({time.time() - t:.1f} s)')
        for r, h in shown[:2]:
            self.say('   REF', r, '\n        HYP', h)
        if self.rank == 0:
            export(self.averaged(), self.A.dir + '/ema.safetensors')
            with open(self.A.dir + '/wer.tsv', 'a') as f:
                f.write('\t'.join([f'{time.time() - self.t0:.0f}', str(self.step), f'{self.seen:.0f}'] + [f'{k}={v}' for k, v in wer.items()]) + '\n')

    @torch.no_grad()
    def recalibrate(self, batches=60):
        """batch-norm statistics of the averaged weights, measured again on training-like data"""
        model = NanoTDT().to(self.dev)
        model.load_state_dict(self.averaged(), strict=False)
        model.train()
        for i in range(batches):
            b = self.batches.next()
            n = b['n'].to(self.dev)
            x = augment.waveform(self.data.audio(b), n, [i for i, u in enumerate(b['U']) if u == 0])
            m, L = self.mel(x, n)
            for l in model.encoder.layers:
                l.conv.momentum = 1.0 / (i + 1)
            model.encoder(m, L, 0.0)
        for n, b in model.named_buffers():
            if n in self.norms_ema:
                if self.world > 1:
                    dist.all_reduce(b)
                    b.div_(self.world)
                self.norms_ema[n] = b
        return model

    def deadline(self):
        try:
            return float(open(self.A.dir + '/deadline').read())
        except (OSError, ValueError):
            return self.t0 + self.A.minutes * 60

    def control(self):
        """rank 0's clock decides for all: [part of the time used, evaluate?, synthetic batches to make, reload packs?]"""
        A, now = self.A, time.time()
        frac = (now - self.start) / max(1.0, self.deadline() - A.tail - self.start)
        hours = 0 if self.gen is None else self.gen.pos / SR / 3600
        share = 0 if self.gen is None or hours >= A.hours - 1 or frac > 0.85 else A.share if hours > A.first_hours else 0.5
        k = 1 if self.synth_time < share * (now - self.start) + self.synth0 else 0
        check = now - self.checked > A.check
        if check:
            self.checked = now
        c = torch.tensor([frac, check, k, check], device=self.dev, dtype=torch.float)
        if self.world > 1:
            dist.broadcast(c, 0)
        return c.tolist()

    def run(self):
        A = self.A
        if self.gen:
            while self.gen.pos < A.start_hours * 3600 * SR:
                self.synth(1)
            self.say(f'first pool {self.gen.pos / SR / 3600:.1f} h a GPU in {self.synth_time:.0f} s')
            self.eval_clips += self.held_out()
        self.synth0 = self.synth_time
        self.data.mix = dict(kv.split('=') for kv in A.mix.split(','))
        self.data.mix = {k: int(v) for k, v in self.data.mix.items()}
        if A.graphs and self.cuda:
            self.capture(bucket_sizes())
        self.batches = Prefetch(self.data)
        self.step, self.seen, acc = 0, 0.0, []
        self.start = self.checked = self.logged = time.time()
        self.check('at the start')
        log = open(A.dir + '/log.tsv', 'a') if self.rank == 0 else None
        if log and log.tell() == 0:
            log.write('seconds\tstep\tlr\ttdt\tctc\tmid\tphone\tgradient\thours_heard\tpool_hours\n')
        frac, last = 0.0, 0
        while True:
            if self.step % A.every == 0:
                frac, check, k, reload = self.control()
                if frac >= 1 or A.steps and self.step >= A.steps:
                    break
                if check:
                    self.check(f'step {self.step}')
                if reload:
                    self.load_packs()
                if frac > 0.7 and A.mix_late:
                    self.data.mix = {k2: int(v) for k2, v in (kv.split('=') for kv in A.mix_late.split(','))}
                if k:
                    self.synth(1)
            lr = A.lr * min(1.0, (self.step + 1) / A.warm) * (0.5 * (1 + math.cos(math.pi * min(1.0, frac))) * 0.99 + 0.01)
            acc.append(self.train_step(lr, A.phone * (1 - 0.7 * frac)))
            now = time.time()
            if now - self.logged > 10 or self.step <= 2:
                a = torch.stack(acc).mean(0).tolist()
                now = time.time()
                hours = self.gen.pos / SR / 3600 if self.gen else 0
                self.say(f'step {self.step} lr {lr:.2e} tdt {a[0]:.3f} ctc {a[1]:.3f} mid {a[2]:.3f} phone {a[3]:.3f} grad {a[4]:.2f} heard {self.seen:.0f} h '
                         f'({(self.step - last) / max(1e-3, now - self.logged):.1f} steps/s) pool {hours:.0f} h synth {self.synth_time:.0f} s queue {self.batches.q.qsize()}')
                if log:
                    log.write(f'{now - self.t0:.0f}\t{self.step}\t{lr:.2e}\t' + '\t'.join(f'{v:.4f}' for v in a) + f'\t{self.seen:.0f}\t{hours * self.world:.0f}\n')
                    log.flush()
                acc, last, self.logged = [], self.step, now
        self.check('last')
        self.recalibrate(A.recalibrate)
        self.check('final, batch norm measured again')
        if self.rank == 0:
            export(self.averaged(), A.dir + '/final.safetensors')
        self.say(f'DONE {self.step} steps, {self.seen:.0f} h heard')
        if self.world > 1:
            dist.barrier()
            dist.destroy_process_group()


def arguments():
    ap = argparse.ArgumentParser()
    add = ap.add_argument
    add('--dir', required=True)
    add('--resume', nargs='*', default=[])
    add('--seed', type=int, default=1)
    add('--minutes', type=float, default=20)
    add('--tail', type=float, default=12, help='seconds kept for the end: statistics, evaluation, export')
    add('--steps', type=int, default=0)
    add('--hours', type=float, default=180, help='synthetic pool per GPU')
    add('--real-hours', type=float, default=7)
    add('--start-hours', type=float, default=18)
    add('--first-hours', type=float, default=60, help='up to here half of the time goes to synthesis, then --share')
    add('--share', type=float, default=0.2)
    add('--synth-budget', type=int, default=26000)
    add('--no-voice', action='store_true')
    add('--mix', default='tts=4000,ls=130,lj=50,so=60')
    add('--mix-late', default='tts=4000,ls=220,lj=70,so=80')
    add('--seconds', type=float, default=950, help='audio per step and GPU')
    add('--lr', type=float, default=1.4e-3)
    add('--warm', type=int, default=250)
    add('--decay', type=float, default=0.01)
    add('--ema', type=float, default=0.999)
    add('--dropout', type=float, default=0.05)
    add('--pred-dropout', type=float, default=0.15)
    add('--ctc', type=float, default=0.3)
    add('--mid', type=float, default=0.15)
    add('--phone', type=float, default=0.3)
    add('--sigma', type=float, default=0.02)
    add('--graphs', type=int, default=1)
    add('--channels-last', type=int, default=1)
    add('--every', type=int, default=10)
    add('--check', type=float, default=120)
    add('--recalibrate', type=int, default=60)
    add('--cpu', action='store_true')
    return ap.parse_args()


if __name__ == '__main__':
    Trainer(arguments()).run()

"""Fused joint head post-processing: logits -> log p(blank), log p(label), log p(durations); Triton forward and backward."""
import torch

try:
    import triton, triton.language as tl
except ImportError:                     # the plain version below serves machines without a GPU
    triton = None


if triton:
    @triton.jit
    def _fwd(X, Y, LB, LL, LD, LSE, DSE, TU, U1, V: tl.constexpr, W: tl.constexpr, BLOCK: tl.constexpr):
        r = tl.program_id(0).to(tl.int64)
        c = tl.arange(0, BLOCK)
        x = tl.load(X + r * W + c, mask=c < V + 6, other=0.0).to(tl.float32)
        istok = c <= V
        isdur = (c > V) & (c < V + 6)
        m = tl.max(tl.where(istok, x, -1e30), 0)
        lse = m + tl.log(tl.sum(tl.where(istok, tl.exp(x - m), 0.0), 0))
        dm = tl.max(tl.where(isdur, x, -1e30), 0)
        dse = dm + tl.log(tl.sum(tl.where(isdur, tl.exp(x - dm), 0.0), 0))
        y = tl.load(Y + (r // TU) * U1 + r % U1)
        tl.store(LB + r, tl.sum(tl.where(c == V, x, 0.0), 0) - lse)
        tl.store(LL + r, tl.sum(tl.where(c == y, x, 0.0), 0) - lse)
        tl.store(LSE + r, lse)
        tl.store(DSE + r, dse)
        tl.store(LD + r * 5 + (c - V - 1), x - dse, mask=isdur)


    @triton.jit
    def _bwd(X, Y, GB, GL, GD, LSE, DSE, G, TU, U1, V: tl.constexpr, W: tl.constexpr, BLOCK: tl.constexpr):
        r = tl.program_id(0).to(tl.int64)
        c = tl.arange(0, BLOCK)
        isdur = (c > V) & (c < V + 6)
        gb = tl.load(GB + r)
        gl = tl.load(GL + r)
        gd = tl.load(GD + r * 5 + (c - V - 1), mask=isdur, other=0.0)
        sd = tl.sum(gd, 0)
        lse = tl.load(LSE + r)
        dse = tl.load(DSE + r)
        y = tl.load(Y + (r // TU) * U1 + r % U1)
        x = tl.load(X + r * W + c, mask=c < V + 6, other=0.0).to(tl.float32)
        p = tl.exp(tl.minimum(x - tl.where(isdur, dse, lse), 0.0))
        g = tl.where(isdur, gd - p * sd, -p * (gb + gl) + tl.where(c == V, gb, 0.0) + tl.where(c == y, gl, 0.0))
        g = tl.where(c < V + 6, g, 0.0)
        tl.store(G + r * W + c, g.to(G.dtype.element_ty), mask=c < W)


class TokDur(torch.autograd.Function):
    """x [B,T,U+1,W>=V+6]; y [B,U+1] labels (last column unused)"""
    @staticmethod
    def forward(ctx, x, y, V):
        x = x.contiguous()
        y = y.contiguous()
        B, T, U1, W = x.shape
        f = lambda *k: torch.empty(B, T, U1, *k, device=x.device, dtype=torch.float32)
        lb, ll, ld, lse, dse = f(), f(), f(5), f(), f()
        _fwd[(B * T * U1,)](x, y, lb, ll, ld, lse, dse, T * U1, U1, V=V, W=W, BLOCK=triton.next_power_of_2(W), num_warps=2)
        ctx.save_for_backward(x, y, lse, dse)
        ctx.V = V
        return lb, ll, ld

    @staticmethod
    def backward(ctx, gb, gl, gd):
        x, y, lse, dse = ctx.saved_tensors
        B, T, U1, W = x.shape
        g = torch.empty_like(x)
        _bwd[(B * T * U1,)](x, y, gb.contiguous(), gl.contiguous(), gd.contiguous(), lse, dse, g, T * U1, U1, V=ctx.V, W=W, BLOCK=triton.next_power_of_2(W), num_warps=2)
        return g, None, None


def plain(x, y, V):
    """the same in ordinary operations"""
    z = torch.log_softmax(x[..., :V + 1].float(), -1)
    label = z.gather(-1, y[:, None, :, None].expand(-1, x.shape[1], -1, 1))[..., 0]
    return z[..., V], label, torch.log_softmax(x[..., V + 1:V + 6].float(), -1)


def log_probs(x, y, V):
    return TokDur.apply(x, y, V) if x.is_cuda else plain(x, y, V)

"""TDT loss and its gradient against the sum over all paths, written out; on a GPU also the kernels.

    python3 test_tdt_loss.py        prints one line a case, exits 1 on a difference
"""
import sys
import torch
from tdt_loss import plain, tdt_loss
from tokdur import log_probs, plain as plain_probs


def brute(lb, ll, ld, T, U):
    """-log of the sum over every path of one item: lb, ll [T,U+1], ld [T,U+1,D]"""
    D, ends = ld.shape[-1], []

    def walk(t, u, score):
        for d in range(1, D):
            s = score + lb[t, u] + ld[t, u, d]
            if t + d < T:
                walk(t + d, u, s)
            elif t + d == T and u == U:
                ends.append(s)
        if u < U:
            for d in range(D):
                if t + d < T:
                    walk(t + d, u + 1, score + ll[t, u] + ld[t, u, d])

    walk(0, 0, torch.zeros((), dtype=lb.dtype))
    return -torch.logsumexp(torch.stack(ends), 0), len(ends)


def case(T, U, V=7, dev='cpu'):
    """one item of exact size inside a padded batch of two; returns the largest difference"""
    x = torch.randn(2, T + 1, U + 2, V + 6, dtype=torch.float64)
    y = torch.randint(0, V, (2, U + 2))
    n, u = torch.tensor([T, T + 1]), torch.tensor([U, U + 1])

    def through(f, probs, x, **to):
        x = x.clone().to(**to).requires_grad_()
        loss = f(*probs(x, y.to(x.device), V), n.to(x.device), u.to(x.device))
        loss.sum().backward()
        return loss.detach().cpu().double(), x.grad.cpu().double()

    ref_x = x.clone().requires_grad_()
    lb, ll, ld = (v.double() for v in plain_probs(ref_x, y, V))
    z = torch.log_softmax(ref_x[..., :V + 1], -1)          # plain_probs works in float32: again in float64
    lb, ld = z[..., V], torch.log_softmax(ref_x[..., V + 1:V + 6], -1)
    ll = z.gather(-1, y[:, None, :, None].expand(-1, T + 1, -1, 1))[..., 0]
    parts = [brute(lb[b], ll[b], ld[b], int(n[b]), int(u[b])) for b in range(2)]
    want = torch.stack([p[0] for p in parts])
    want.sum().backward()
    loss, grad = through(plain if dev == 'cpu' else tdt_loss, log_probs, x, device=dev, dtype=torch.float32)
    return float((loss - want.detach()).abs().max()), float((grad - ref_x.grad).abs().max()), parts[0][1]


def main():
    torch.manual_seed(0)
    dev = 'cuda' if torch.cuda.is_available() else 'cpu'
    worst = 0
    for T, U in ((1, 0), (2, 1), (3, 2), (4, 2), (5, 2)):
        a, b, paths = case(T, U, dev=dev)
        worst = max(worst, a, b)
        print(f'{T} frames, {U} labels, {paths} paths on {dev}: loss differs by {a:.1e}, gradient by {b:.1e}')
    if worst > 2e-4:
        print('FAILED')
        sys.exit(1)
    print('all agree')


if __name__ == '__main__':
    main()

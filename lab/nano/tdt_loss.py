"""Token-and-duration transducer loss (own implementation).

State (t, u): t frames consumed, u labels emitted.  From (t, u) one may
  emit label y_{u+1} with duration d in 0..D-1  -> (t + d, u + 1)
  emit blank          with duration d in 1..D-1  -> (t + d, u)
and the sequence ends by reaching t = T exactly with u = U; the last step is a blank (NeMo's rule).
Token scores are log-softmax over tokens minus sigma (under-normalisation), durations log-softmax.
"""
import torch

NEG = -1e30


def plain(lb, ll, ld, T, U):
    """per-item -log Z in ordinary operations, row by row: lb [B,T,U+1] blank, ll [B,T,U+1] label (last column
    unused), ld [B,T,U+1,D]; any device and precision, differentiable"""
    B, Tm, U1 = lb.shape
    D = ld.shape[-1]
    neg = torch.full((B,), NEG, device=lb.device, dtype=lb.dtype)
    A = {(0, 0): torch.zeros_like(neg)}
    for t in range(Tm):
        for u in range(U1):
            if t == 0 and u == 0:
                continue
            terms = [A[t - d, u] + lb[:, t - d, u] + ld[:, t - d, u, d] for d in range(1, D) if t >= d]
            if u > 0:
                terms += [A[t - d, u - 1] + ll[:, t - d, u - 1] + ld[:, t - d, u - 1, d] for d in range(D) if t >= d]
            A[t, u] = torch.logsumexp(torch.stack(terms), 0) if terms else neg
    Z = []
    for b in range(B):
        t, u = int(T[b]), int(U[b])
        Z.append(torch.logsumexp(torch.stack([A[t - d, u][b] + lb[b, t - d, u] + ld[b, t - d, u, d] for d in range(1, D) if t >= d]), 0))
    return -torch.stack(Z)


SRC = r'''
extern "C" __device__ __forceinline__ float lae(float a, float b) {
  float m = fmaxf(a, b);
  if (m < -1e29f) return -1e30f;
  return m + __logf(__expf(a - m) + __expf(b - m));
}
// one block per item, one thread per u; rows advance along anti-diagonals n = t + u
extern "C" __global__ void tdt_fb(const float* lb, const float* ll, const float* ld, const int* Tl, const int* Ul,
                       float* al, float* be, float* Z, int Tm, int U1) {
  const int D = 5;
  int b = blockIdx.x, u = threadIdx.x;
  int T = Tl[b], U = Ul[b];
  size_t base = (size_t)b * Tm * U1;
  lb += base; ll += base; ld += base * D; al += base; be += base;
  for (int n = 0; n <= T - 1 + U; n++) {
    int t = n - u;
    if (u <= U && t >= 0 && t < T) {
      float v = (n == 0) ? 0.f : -1e30f;
      for (int d = 1; d < D; d++) if (t - d >= 0) {
        size_t i = (size_t)(t - d) * U1 + u;
        v = lae(v, al[i] + lb[i] + ld[i * D + d]);
      }
      if (u > 0) for (int d = 0; d < D; d++) if (t - d >= 0) {
        size_t i = (size_t)(t - d) * U1 + u - 1;
        v = lae(v, al[i] + ll[i] + ld[i * D + d]);
      }
      al[(size_t)t * U1 + u] = v;
    }
    __syncthreads();
  }
  for (int n = T - 1 + U; n >= 0; n--) {
    int t = n - u;
    if (u <= U && t >= 0 && t < T) {
      size_t i = (size_t)t * U1 + u;
      float v = -1e30f;
      for (int d = 1; d < D; d++) {
        float w = lb[i] + ld[i * D + d];
        if (t + d < T) v = lae(v, w + be[i + (size_t)d * U1]);
        else if (t + d == T && u == U) v = lae(v, w);
      }
      if (u < U) for (int d = 0; d < D; d++) if (t + d < T) {
        v = lae(v, ll[i] + ld[i * D + d] + be[i + (size_t)d * U1 + 1]);
      }
      be[i] = v;
    }
    __syncthreads();
  }
  if (u == 0) Z[b] = be[0];
}
// gradient of -log Z with respect to lb, ll, ld: minus the posterior of each arc
extern "C" __global__ void tdt_grad(const float* lb, const float* ll, const float* ld, const int* Tl, const int* Ul,
                       const float* al, const float* be, const float* Z, float* gb, float* gl, float* gd, int Tm, int U1) {
  const int D = 5;
  int b = blockIdx.y;
  int k = blockIdx.x * blockDim.x + threadIdx.x;
  if (k >= Tm * U1) return;
  int t = k / U1, u = k % U1;
  int T = Tl[b], U = Ul[b];
  size_t i = (size_t)b * Tm * U1 + k;
  float sb = 0, sl = 0, sd[D];
  for (int d = 0; d < D; d++) sd[d] = 0;
  if (t < T && u <= U && Z[b] > -1e29f && al[i] > -1e29f) {
    float a = al[i] - Z[b];
    for (int d = 1; d < D; d++) {
      float w = a + lb[i] + ld[i * D + d], p = 0;
      if (t + d < T) p = __expf(fminf(w + be[i + (size_t)d * U1], 0.f));
      else if (t + d == T && u == U) p = __expf(fminf(w, 0.f));
      sb += p; sd[d] += p;
    }
    if (u < U) for (int d = 0; d < D; d++) if (t + d < T) {
      float p = __expf(fminf(a + ll[i] + ld[i * D + d] + be[i + (size_t)d * U1 + 1], 0.f));
      sl += p; sd[d] += p;
    }
  }
  gb[i] = -sb; gl[i] = -sl;
  for (int d = 0; d < D; d++) gd[i * D + d] = -sd[d];
}
'''
_K = {}


def _kernels():
    if not _K:
        import cupy
        m = cupy.RawModule(code=SRC, options=('--std=c++14',))
        _K['fb'] = m.get_function('tdt_fb')
        _K['gr'] = m.get_function('tdt_grad')
    return _K


class _TDT(torch.autograd.Function):
    @staticmethod
    def forward(ctx, lb, ll, ld, T, U):
        import cupy
        k = _kernels()
        lb, ll, ld = lb.contiguous(), ll.contiguous(), ld.contiguous()
        B, Tm, U1 = lb.shape
        T32, U32 = T.int().contiguous(), U.int().contiguous()
        al = torch.full_like(lb, NEG)
        be = torch.full_like(lb, NEG)
        Z = torch.empty(B, device=lb.device)
        gb, gl, gd = torch.empty_like(lb), torch.empty_like(ll), torch.empty_like(ld)
        import numpy as np
        st = cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream)
        P = lambda x: np.uintp(x.data_ptr())
        with st:
            thr = max(32, (U1 + 31) // 32 * 32)
            k['fb']((B,), (thr,), (P(lb), P(ll), P(ld), P(T32), P(U32), P(al), P(be), P(Z), np.int32(Tm), np.int32(U1)))
            k['gr'](((Tm * U1 + 255) // 256, B), (256,), (P(lb), P(ll), P(ld), P(T32), P(U32), P(al), P(be), P(Z), P(gb), P(gl), P(gd), np.int32(Tm), np.int32(U1)))
        ctx.save_for_backward(gb, gl, gd)
        return -Z

    @staticmethod
    def backward(ctx, g):
        gb, gl, gd = ctx.saved_tensors
        g = g[:, None, None]
        return gb * g, gl * g, gd * g[..., None], None, None


def tdt_loss(lb, ll, ld, T, U):
    """per-item negative log-likelihood"""
    return _TDT.apply(lb, ll, ld, T, U) if lb.is_cuda else plain(lb, ll, ld, T, U)

#!/usr/bin/env python3
"""Coefficients of src/compute/cpu/vecmath_simd.h: near-minimax polynomials by Lawson's method
(weighted least squares whose weights grow where the error is largest). Needs numpy and mpmath."""
import numpy as np
from mpmath import mp

mp.prec = 200


def fit(function, low, high, degree, weight, rounds=60):
    """Power coefficients of the polynomial and its largest weighted error."""
    x = np.cos(np.linspace(0, np.pi, 4001)) * (high - low) / 2 + (high + low) / 2
    y = np.array([float(function(mp.mpf(float(v)))) for v in x])
    w = np.array([float(weight(mp.mpf(float(v)))) for v in x])
    unit = (x - (high + low) / 2) / ((high - low) / 2)
    powers = np.vander(unit, degree + 1, increasing=True)
    share = np.ones_like(x)
    for _ in range(rounds):
        s = np.sqrt(share) * w
        c = np.linalg.lstsq(powers * s[:, None], y * s, rcond=None)[0]
        error = np.abs((powers @ c - y) * w)
        share *= error
        share /= share.sum()
    line = np.poly1d([2 / (high - low), -(high + low) / (high - low)])
    return np.poly1d(c[::-1])(line).coeffs[::-1], error.max()


def show(name, result):
    print(name, [f"{np.float32(v):.9g}" for v in result[0]], "error", result[1])


half = float(mp.log(2)) / 2 * 1.001
show("exp: (e^r - 1 - r) / r^2",
     fit(lambda r: (mp.exp(r) - 1 - r) / r**2 if abs(r) > 1e-12 else 0.5, -half, half, 4,
         lambda r: r * r))
show("tanh: (tanh x / x - 1) / z of z = x^2",
     fit(lambda z: (mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z if z > 1e-14 else -mp.mpf(1) / 3,
         0, 0.625**2, 4, lambda z: z))
show("erf: erf x / x of z = x^2",
     fit(lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) if z > 1e-20 else 2 / mp.sqrt(mp.pi),
         0, 0.95**2, 6, lambda z: 1))
show("log erfc", fit(lambda t: mp.log(mp.erfc(t)), 0.93, 4.0, 8,
                     lambda t: max(mp.erfc(t), mp.mpf(1e-7))))

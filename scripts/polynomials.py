"""Coefficients of the polynomials in `dtao_gym/numerics.py`, and their largest errors.

    python scripts/polynomials.py

Interpolates at the Chebyshev points in 60 digits, which is within a factor of two of the best polynomial, and rounds to
float64. Needs mpmath, which torch depends on.
"""

import mpmath

mpmath.mp.dps = 60


def logarithm(z):
    """Return (2 artanh(s) - 2 s) / s**3 with z = s**2, for ln((1 + s) / (1 - s)) = 2 artanh(s)."""
    if z < mpmath.mpf("1e-12"):
        return mpmath.mpf(2) / 3 + 2 * z / 5
    s = mpmath.sqrt(z)
    return (2 * mpmath.atanh(s) - 2 * s) / (s * z)


def exponential(r):
    """Return (exp(r) - 1 - r) / r**2."""
    if abs(r) < mpmath.mpf("1e-12"):
        return mpmath.mpf(1) / 2 + r / 6
    return (mpmath.expm1(r) - r) / r**2


LARGEST_S = (mpmath.sqrt(2) - 1) / (mpmath.sqrt(2) + 1)
HALF_LN2 = mpmath.log(2) / 2
FITS = {  # function, interval, degree, factor of the polynomial's error in the result
    "logarithm": (logarithm, 0, LARGEST_S**2, 6, lambda z: z / 2),
    "exponential": (exponential, -HALF_LN2, HALF_LN2, 9, lambda r: r**2 / mpmath.exp(r)),
}


def coefficients(function, low, high, degree) -> list[float]:
    """Return the coefficients of the interpolating polynomial, highest power first, rounded to float64."""
    count = degree + 1
    angles = [mpmath.pi * (2 * k + 1) / (2 * count) for k in range(count)]
    points = [(low + high) / 2 + (high - low) / 2 * mpmath.cos(a) for a in angles]
    powers = mpmath.matrix(count, count)
    for i, point in enumerate(points):
        for j in range(count):
            powers[i, j] = point ** (degree - j)
    solved = mpmath.lu_solve(powers, mpmath.matrix([function(p) for p in points]))
    return [float(c) for c in solved]


def main() -> None:
    for name, (function, low, high, degree, weight) in FITS.items():
        polynomial = coefficients(function, low, high, degree)
        grid = [low + (high - low) * mpmath.mpf(k) / 2000 for k in range(2001)]
        error = max(abs((mpmath.polyval(polynomial, x) - function(x)) * weight(x)) for x in grid)
        print(f"{name}, degree {degree}: contributes {float(error):.1e} relative to the result")
        for c in polynomial:
            print(f"    {c!r}")


if __name__ == "__main__":
    main()

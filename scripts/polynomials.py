"""Coefficients of the polynomials in `dtao_gym/numerics.py`, and their largest errors.

    python scripts/polynomials.py

Interpolates at Chebyshev's points in 60 digits, which is within a factor of two of the best polynomial, and rounds
to float64. Needs mpmath, which comes with torch.
"""

import mpmath

mpmath.mp.dps = 60


def logarithm(z):
    """(2 artanh(s) - 2 s) / s**3 with z = s**2: what is left of ln((1 + s) / (1 - s))."""
    if z < mpmath.mpf("1e-12"):
        return mpmath.mpf(2) / 3 + 2 * z / 5
    s = mpmath.sqrt(z)
    return (2 * mpmath.atanh(s) - 2 * s) / (s * z)


def exponential(r):
    """(exp(r) - 1 - r) / r**2."""
    if abs(r) < mpmath.mpf("1e-12"):
        return mpmath.mpf(1) / 2 + r / 6
    return (mpmath.expm1(r) - r) / r**2


LARGEST_S = (mpmath.sqrt(2) - 1) / (mpmath.sqrt(2) + 1)
HALF_LN2 = mpmath.log(2) / 2
FITS = {  # function, interval, degree, what an error is multiplied with in the result
    "logarithm": (logarithm, 0, LARGEST_S**2, 6, lambda z: z / 2),
    "exponential": (exponential, -HALF_LN2, HALF_LN2, 9, lambda r: r**2 / mpmath.exp(r)),
}


def coefficients(function, low, high, degree) -> list[float]:
    """The interpolating polynomial in powers of its argument, highest first, rounded to float64."""
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
        found = coefficients(function, low, high, degree)
        grid = [low + (high - low) * mpmath.mpf(k) / 2000 for k in range(2001)]
        error = max(abs((mpmath.polyval(found, x) - function(x)) * weight(x)) for x in grid)
        print(f"{name}, degree {degree}: contributes {float(error):.1e} relative to the result")
        for c in found:
            print(f"    {c!r}")


if __name__ == "__main__":
    main()

"""The universal scalability law, fitted to throughputs: X(n) = lambda n / (1 + sigma (n - 1) + kappa n (n - 1)). Pure.

Promise: the parameters with the least squares of relative errors within their bounds (lambda > 0, 0 <= sigma <= 1,
kappa >= 0), and in words which of them so few points cannot tell. What cannot be told is not told.
How: with n/X = a + b (n - 1) + c n (n - 1) the law is linear in a = 1/lambda, b = sigma/lambda, c = kappa/lambda; least
squares over every choice of parameters at their bounds, of which the best admissible is taken.
Source: N. J. Gunther, Guerrilla Capacity Planning, 2007; "A General Theory of Computational Scalability", 2008.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from msgspec import Struct

POINTS_MIN = 3  # different n: as many as there are parameters


class Fit(Struct, frozen=True, kw_only=True):
    """`error` is the root of the mean squared relative error; `doubts` says what these points cannot tell."""

    lambda_: float
    sigma: float
    kappa: float
    error: float
    doubts: list[str]

    def at(self, n: float) -> float:
        return law(self.lambda_, self.sigma, self.kappa, n)

    @property
    def peak_n(self) -> float | None:
        """Beyond this many more workers would do less; None when throughput never falls, as far as is known."""
        if self.kappa <= 0 or "kappa" in self.unknown:
            return None
        return max(1.0, math.sqrt((1 - self.sigma) / self.kappa))

    @property
    def unknown(self) -> list[str]:
        """The parameters that a doubt begins with."""
        return [doubt.partition(":")[0] for doubt in self.doubts]


def law(lambda_: float, sigma: float, kappa: float, n: float) -> float:
    return lambda_ * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))


def fit(points: Sequence[tuple[float, float]]) -> Fit:
    """Through (n, throughput). Raises ValueError without a point, or for one that is not positive."""
    if not points or any(n < 1 or x <= 0 for n, x in points):
        raise ValueError(f"{list(points)}: expected (n, throughput) from (1, above 0) on")
    different = len({n for n, _ in points})
    free = min(different, POINTS_MIN)
    best: tuple[float, list[float]] | None = None
    for chosen in _choices(free):
        solved = _least_squares(points, chosen)
        if solved is None or not _is_admissible(solved):
            continue
        error = _error(points, solved)
        if best is None or error < best[0] - 1e-12:
            best = error, solved
    assert best is not None  # a alone is always admissible
    error, (a, b, c) = best
    return Fit(lambda_=1 / a, sigma=b / a, kappa=c / a, error=error, doubts=_doubts(points, different, b / a, c / a))


def _choices(free: int) -> list[tuple[str, ...]]:
    """Which of a, b, c are free: a always, b before c; `=`: sigma at its upper bound."""
    found: list[tuple[str, ...]] = [("a",)]
    if free >= 2:
        found += [("a", "b"), ("a", "=")]
    if free >= 3:
        found += [("a", "c"), ("a", "b", "c"), ("a", "=", "c")]
    return found


def _basis(n: float, chosen: tuple[str, ...]) -> list[float]:
    values = {"a": n if "=" in chosen else 1.0, "b": n - 1, "c": n * (n - 1)}  # b = a makes a + b (n - 1) = a n
    return [values[name] for name in chosen if name != "="]


def _least_squares(points: Sequence[tuple[float, float]], chosen: tuple[str, ...]) -> list[float] | None:
    """a, b, c; None when these points do not determine them. Each row is weighed by X/n: errors are relative."""
    rows = [[value * x / n for value in _basis(n, chosen)] for n, x in points]
    size = len(rows[0])
    normal = [[math.fsum(row[i] * row[j] for row in rows) for j in range(size)] for i in range(size)]
    found = _solve(normal, [math.fsum(row[i] for row in rows) for i in range(size)])
    if found is None:
        return None
    named = dict(zip([name for name in chosen if name != "="], found, strict=True))
    a = named["a"]
    return [a, a if "=" in chosen else named.get("b", 0.0), named.get("c", 0.0)]


def _solve(matrix: list[list[float]], right: list[float]) -> list[float] | None:
    """Gauss with pivots; None for a singular one."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    scale = max(abs(value) for row in matrix for value in row)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(rows[row][column]))
        if abs(rows[pivot][column]) <= 1e-12 * scale:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for below in range(column + 1, size):
            factor = rows[below][column] / rows[column][column]
            rows[below] = [one - factor * other for one, other in zip(rows[below], rows[column], strict=True)]
    found = [0.0] * size
    for row in reversed(range(size)):
        known = math.fsum(rows[row][column] * found[column] for column in range(row + 1, size))
        found[row] = (rows[row][size] - known) / rows[row][row]
    return found


def _is_admissible(solved: Sequence[float]) -> bool:
    a, b, c = solved
    return a > 0 and 0 <= b <= a * (1 + 1e-9) and c >= 0


def _error(points: Sequence[tuple[float, float]], solved: Sequence[float]) -> float:
    a, b, c = solved
    squares = [((a + b * (n - 1) + c * n * (n - 1)) * x / n - 1) ** 2 for n, x in points]
    return math.sqrt(math.fsum(squares) / len(points))


def _doubts(points: Sequence[tuple[float, float]], different: int, sigma: float, kappa: float) -> list[str]:
    told = "one" if different == 1 else str(different)
    counts = f"{told} different number{'s' if different > 1 else ''} of workers"
    if different == 1:
        return [f"sigma: {counts} cannot tell it", f"kappa: {counts} cannot tell it"]
    found = []
    if different < POINTS_MIN:
        found.append(f"kappa: {counts} cannot tell it from sigma; sigma stands for both")
    elif len(points) > POINTS_MIN:
        for name, is_told in zip(("sigma", "kappa"), _are_told(points, sigma, kappa), strict=True):
            if not is_told:
                found.append(f"{name}: the points scatter more than it changes them")
    elif len(points) == POINTS_MIN:
        found.append("error: as many points as parameters; the fit goes through all of them whatever they are worth")
    return found


def _are_told(points: Sequence[tuple[float, float]], sigma: float, kappa: float) -> tuple[bool, bool]:
    """Whether leaving one point out, each in turn, leaves a parameter within half of what all say (or near 0)."""
    spread: list[tuple[float, float]] = []
    for kept in itertools.combinations(points, len(points) - 1):
        if len({n for n, _ in kept}) < POINTS_MIN:
            continue
        solutions = [_least_squares(kept, chosen) for chosen in _choices(3)]
        good = [(_error(kept, one), one) for one in solutions if one is not None and _is_admissible(one)]
        _, (a, b, c) = min(good)
        spread.append((b / a, c / a))
    near = 0.005  # of either: at ten workers 5 % by sigma; kappa counts n times as much
    return (
        all(abs(one - sigma) <= max(near, sigma / 2) for one, _ in spread),
        all(abs(one - kappa) <= max(near / 10, kappa / 2) for _, one in spread),
    )

"""The universal scalability law, fitted to curves that are known, and honest where they are not."""

from __future__ import annotations

import random

import pytest

from loadtest.capacity.usl import fit, law

LINEAR, CONTENDED, COHERENT = (1000.0, 0.0, 0.0), (12_000.0, 0.08, 0.0), (9_500.0, 0.03, 0.002)


@pytest.mark.parametrize("known", [LINEAR, CONTENDED, COHERENT, (500.0, 0.0, 0.01), (700.0, 1.0, 0.0)])
def test_a_known_curve_gives_its_parameters_back(known: tuple[float, float, float]) -> None:
    """Also where one is at its bound."""
    found = fit([(n, law(*known, n)) for n in (1, 2, 4, 8, 16)])

    assert (found.lambda_, found.sigma, found.kappa) == pytest.approx(known, rel=1e-6, abs=1e-9)
    assert found.error == pytest.approx(0, abs=1e-9) and found.doubts == []


def test_the_peak_is_where_the_curve_turns() -> None:
    """More workers than that would do less."""
    known = COHERENT
    found = fit([(n, law(*known, n)) for n in (1, 2, 4, 8, 16, 32)])
    peak = found.peak_n

    assert peak == pytest.approx(((1 - 0.03) / 0.002) ** 0.5, rel=1e-6)
    assert peak is not None and found.at(peak) > max(found.at(peak - 1), found.at(peak + 1))
    assert fit([(n, law(*CONTENDED, n)) for n in (1, 2, 4, 8)]).peak_n is None


def test_scattered_points_are_fitted_within_bounds() -> None:
    """Nothing below zero, whatever noise says; near what they were made from."""
    dice = random.Random(4)
    points = [(n, law(*COHERENT, n) * dice.uniform(0.97, 1.03)) for n in (1, 2, 4, 8, 12, 16, 24, 32)]
    found = fit(points)

    assert found.sigma >= 0 and found.kappa >= 0
    assert [found.at(n) for n, _ in points] == pytest.approx([law(*COHERENT, n) for n, _ in points], rel=0.05)


def test_throughput_beyond_proportion_stays_at_the_bounds() -> None:
    """A cache that warms up makes two workers more than twice one: no negative contention comes of it."""
    found = fit([(1, 1000), (2, 2300), (4, 4900)])

    assert (found.sigma, found.kappa) == (0, 0) and found.error > 0.03


@pytest.mark.parametrize(
    ("workers", "doubted"),
    [((1,), ["sigma", "kappa"]), ((1, 1, 1), ["sigma", "kappa"]), ((1, 2), ["kappa"]), ((1, 2, 4), ["error"])],
)
def test_too_few_points_say_what_they_cannot_tell(workers: tuple[int, ...], doubted: list[str]) -> None:
    """One number of workers tells neither; two cannot keep them apart; three fit anything."""
    found = fit([(n, law(*COHERENT, n)) for n in workers])

    assert found.unknown == doubted
    assert found.peak_n is None or "kappa" not in doubted


def test_points_that_scatter_more_than_a_parameter_changes_them_do_not_tell_it() -> None:
    """Leaving one out would tell another story."""
    found = fit([(1, 1000.0), (2, 1700.0), (3, 3050.0), (4, 3100.0)])

    assert "sigma" in found.unknown


@pytest.mark.parametrize("points", [[], [(0, 5.0)], [(1, 0.0)], [(2, -1.0)]])
def test_what_is_no_throughput_is_refused(points: list[tuple[float, float]]) -> None:
    """With the points that were given."""
    with pytest.raises(ValueError, match="expected"):
        fit(points)

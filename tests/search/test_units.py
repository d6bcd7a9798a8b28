import pytest

from pocketfit.search.units import amount, drop, figure, milliseconds, points, significant, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (812, "812 B"),
        (1000, "1.00 kB"),
        (75_700, "75.7 kB"),
        (3_740_000, "3.74 MB"),
        (2_500_000_000, "2.50 GB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.00"), (0.0213, "0.0213"), (4.321, "4.32"), (43.21, "43.2"), (432.1, "432"), (4321, "4321")],
)
def test_three_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text
    assert milliseconds(value) == f"{text} ms"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0"), (-1e-14, "0.0"), (0.2, "0.2"), (-1.3, "-1.3"), (0.04, "0.04"), (0.004, "0.004"), (12.34, "12.3")],
)
def test_points_never_hide_a_difference(value: float, text: str) -> None:
    assert points(value) == text


def test_a_metrics_figures_have_its_unit() -> None:
    assert [figure(value, unit) for value, unit in ((90.24, "%"), (31.416, "dB"), (0.012345, ""), (3.0, "K"))] == [
        "90.2%",
        "31.42 dB",
        "0.01235",
        "3 K",
    ]
    assert [drop(value, unit) for value, unit in ((0.2, "%"), (0.128, "dB"), (0.012345, ""), (3.0, "K"))] == [
        "0.2 points",
        "0.13 dB",
        "0.0123",
        "3 K",
    ]
    assert [amount(-0.0, ""), amount(-1e-6, "dB"), amount(0.0024, "dB")] == ["0", "0.00", "0.002"]

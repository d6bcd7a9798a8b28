import pytest

from pocketfit.devices.predict.elsewhere import Seen, taken_over
from pocketfit.devices.predict.predict import ModelNeeds, Prediction, predict
from pocketfit.devices.predict.references import reference_amounts
from pocketfit.devices.predict.speeds import amounts_vector
from pocketfit.devices.profile import find_profile
from pocketfit.errors import OptionError

NEEDS = ModelNeeds(amounts_vector(reference_amounts("mobilenet_v2"))[None], (), 3_500_000, 1_500_000)
OLD, NEW = find_profile("samsung-galaxy-s24"), find_profile("samsung-galaxy-s25")


def of(predictions: tuple[Prediction, ...], runtime: str, precision: str) -> Prediction:
    return next(one for one in predictions if (one.runtime, one.precision) == (runtime, precision))


def test_what_was_measured_moves_the_same_way_on_another_chip() -> None:
    there, here = of(predict(NEEDS, OLD), "litert", "int8"), predict(NEEDS, NEW)
    moved = taken_over(NEEDS, here, Seen(OLD, "litert", "int8", 3 * there.latency.ms))
    before, after = of(here, "litert", "int8"), of(moved, "litert", "int8")
    assert after.latency.ms == pytest.approx(3 * before.latency.ms)
    assert after.energy_mj == pytest.approx(3 * before.energy_mj)
    assert after.latency.high_ms / after.latency.ms < before.latency.high_ms / before.latency.ms
    assert of(moved, "qnn", "int8") == of(here, "qnn", "int8")
    assert [one.latency.ms for one in moved] == sorted(one.latency.ms for one in moved)


def test_a_way_of_which_nothing_is_known_is_refused() -> None:
    with pytest.raises(OptionError, match="litert/int8"):
        taken_over(NEEDS, predict(NEEDS, NEW), Seen(OLD, "ncnn", "int8", 1.0))

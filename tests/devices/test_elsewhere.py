import json
from importlib import resources
from math import log

import pytest

from pocketfit.devices.predict.demands import Demand
from pocketfit.devices.predict.elsewhere import Seen, most_alike, taken_over
from pocketfit.devices.predict.predict import ModelNeeds, Prediction, predict
from pocketfit.devices.predict.references import reference_amounts
from pocketfit.devices.profile import find_profile
from pocketfit.errors import OptionError

# Of a network like MobileNetV2.
NPU = {"pointwise": 370.0, "depthwise": 25.0, "weights": 3.5, "calls": 64.0, "crossing": 0.15, "inference": 1.0}
NEEDS = ModelNeeds((Demand("net", "", "net", reference_amounts("mobilenet_v2"), NPU),), 3_500_000, 1_500_000)
CHIPS = (resources.files("pocketfit.devices.predict") / "chips.json").read_text()
OLD, NEW = find_profile("samsung-galaxy-s24"), find_profile("samsung-galaxy-s25")


def of(predictions: tuple[Prediction, ...], runtime: str, precision: str) -> Prediction:
    return next(one for one in predictions if (one.runtime, one.precision) == (runtime, precision))


def test_a_latency_on_another_chip_is_taken_over() -> None:
    here = predict(NEEDS, NEW)
    once, twice = (taken_over(here, [Seen(OLD, "litert", "int8", ms)], NEEDS) for ms in (0.4, 0.8))
    before, after = of(here, "litert", "int8"), of(once, "litert", "int8")
    # The S25's chip is the S24's successor: faster, and not by a factor of two.
    assert 0.2 < after.latency.ms < 0.4
    # Layers hold it back a little.
    assert 1.7 < of(twice, "litert", "int8").latency.ms / after.latency.ms < 2
    assert after.energy_mj / before.energy_mj == pytest.approx(after.latency.ms / before.latency.ms)
    assert after.latency.high_ms / after.latency.ms < before.latency.high_ms / before.latency.ms
    assert [one.latency.ms for one in once] == sorted(one.latency.ms for one in once)


def test_other_ways_learn_how_far_off_layers_are() -> None:
    here = predict(NEEDS, NEW)
    told = of(predict(NEEDS, OLD), "litert", "int8").latency.ms
    slow = taken_over(here, [Seen(OLD, "litert", "int8", 2 * told)], NEEDS)
    ratios = [of(slow, "qnn", one).latency.ms / of(here, "qnn", one).latency.ms for one in ("int8", "float16")]
    assert ratios == pytest.approx([2**0.5, 2**0.4])
    before, after = of(here, "qnn", "int8").latency, of(slow, "qnn", "int8").latency
    assert 1 < after.high_ms / after.ms < before.high_ms / before.ms
    # NPUs tell nothing of CPUs and of other makers' NPUs, and nothing is told by nothing.
    for name in ("oneplus-7t", "iphone-14-pro"):
        phone = predict(NEEDS, find_profile(name))
        assert taken_over(phone, [Seen(OLD, "litert", "int8", 2 * told)], NEEDS) == phone
    assert taken_over(here, [], NEEDS) == here
    # Chips were compared in more ways than profiles know.
    profile = OLD.model_copy(update={"targets": tuple(one for one in OLD.targets if one.precision != "int8")})
    same = taken_over(here, [Seen(profile, "litert", "int8", 2 * told)], NEEDS)
    assert of(same, "litert", "int8").latency.ms == pytest.approx(of(slow, "litert", "int8").latency.ms, rel=0.1)
    assert of(same, "qnn", "int8") == of(here, "qnn", "int8")


def test_a_ratio_between_chips_is_that_of_networks_and_that_of_layers() -> None:
    before = {name: of(predict(NEEDS, chip), "qnn", "int8").latency for name, chip in (("old", OLD), ("new", NEW))}
    # Measured as layers predict it, only the ratio of other networks makes a difference, and counts for half.
    seen = Seen(OLD, "qnn", "int8", before["old"].ms)
    after = of(taken_over(predict(NEEDS, NEW), [seen], NEEDS), "qnn", "int8").latency
    networks = before["old"].ms * json.loads(CHIPS)["qnn/int8"][OLD.name][NEW.name][0]
    assert abs(log(after.ms / before["new"].ms)) < abs(log(networks / before["new"].ms)) / 2
    assert after.high_ms / after.ms < before["new"].high_ms / before["new"].ms


def test_what_was_measured_on_the_device_itself_is_taken_as_it_is() -> None:
    here = taken_over(predict(NEEDS, NEW), [Seen(NEW, "qnn", "int8", 1.0), Seen(OLD, "qnn", "int8", 3.0)], NEEDS)
    assert of(here, "qnn", "int8").latency.ms == pytest.approx(1.0)


def test_of_several_chips_the_more_alike_counts_for_more() -> None:
    def ms_of(*seen: Seen) -> float:
        return of(taken_over(predict(NEEDS, NEW), seen, NEEDS), "qnn", "int8").latency.ms

    far = find_profile("snapdragon-x-elite")
    told = [of(predict(NEEDS, chip), "qnn", "int8").latency.ms for chip in (OLD, far)]
    alike, other = Seen(OLD, "qnn", "int8", told[0]), Seen(far, "qnn", "int8", 3 * told[1])
    low, high = ms_of(alike), ms_of(other)
    both = ms_of(alike, other)
    assert low < both < high
    assert both / low < high / both


def test_a_way_of_which_nothing_is_known_is_refused() -> None:
    with pytest.raises(OptionError, match="litert/int8"):
        taken_over(predict(NEEDS, NEW), [Seen(OLD, "ncnn", "int8", 1.0)], NEEDS)


def test_the_chips_most_alike_come_first() -> None:
    alike = most_alike("samsung-galaxy-s25")
    assert "samsung-galaxy-s24" in [one.device for one in alike[:3]]
    assert [one.ways for one in alike] == sorted((one.ways for one in alike), reverse=True)
    spreads = [one.spread for one in alike if one.ways == alike[0].ways]
    assert spreads == sorted(spreads)
    assert most_alike("oneplus-7t") == ()

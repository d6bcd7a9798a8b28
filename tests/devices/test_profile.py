import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from pocketfit.devices.predict.calibrate import calibrated
from pocketfit.devices.predict.demands import Demand
from pocketfit.devices.predict.kinds import KINDS
from pocketfit.devices.predict.predict import ModelNeeds, estimate, predict, speeds_of
from pocketfit.devices.predict.references import reference_amounts, references
from pocketfit.devices.predict.speeds import amounts_vector
from pocketfit.devices.profile import Measurement, Profile, all_profiles, find_profile, read_profile, write_profile
from pocketfit.errors import DataError, OptionError

NAMES = sorted(
    file.name.removesuffix(".json")
    for file in (resources.files("pocketfit.devices") / "profiles").iterdir()
    if file.name.endswith(".json")
)
NETWORKS = ("mobilenet_v2", "resnet18", "squeezenet")
# Of a network like MobileNetV2.
NPU = {"pointwise": 370.0, "depthwise": 25.0, "weights": 3.5, "calls": 64.0, "crossing": 0.15, "inference": 1.0}


def needs_of(network: str) -> ModelNeeds:
    return ModelNeeds((Demand("net", "", "net", reference_amounts(network), NPU),), 3_500_000, 1_500_000)


@pytest.fixture(scope="module")
def phone() -> Profile:
    return find_profile("oneplus-7t")


def measured(times: float, phone: Profile) -> list[Measurement]:
    """The phone's own predictions, so many times as long."""
    speeds = speeds_of(phone.targets[0])
    amounts = {name: dict(reference_amounts(name)) for name in NETWORKS}
    ms = {name: speeds.estimate(amounts_vector(one)[None]).ms for name, one in amounts.items()}
    return [Measurement(model=name, ms=times * ms[name], amounts=amounts[name]) for name in NETWORKS]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_profile_is_one(name: str) -> None:
    profile = find_profile(name)
    assert profile.name == name
    assert profile.targets
    assert profile.sources


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_profile_predicts_what_is_possible(name: str) -> None:
    found = predict(needs_of("mobilenet_v2"), find_profile(name))
    assert [one.latency.ms for one in found] == sorted(one.latency.ms for one in found)
    # From the newest NPU to one core of 2013, with the intervals of both.
    assert all(0.01 < one.latency.low_ms < one.latency.high_ms < 5000 for one in found)


def test_there_are_phones_of_every_tier() -> None:
    phones = [one for one in all_profiles() if one.kind == "phone"]
    assert len(phones) >= 13
    assert {one.tier for one in phones} == {"high", "mid", "low"}


def test_a_phone_answers_as_it_was_measured(phone: Profile) -> None:
    """ncnn's own table has 9.8 ms for MobileNetV2 and 22.0 ms for ResNet-18 on one core of this phone."""
    target = next(one for one in phone.targets if one.key == ("ncnn", "float16", "cpu", 1))
    for network, ms in (("mobilenet_v2", 9.8), ("resnet18", 22.0)):
        found = estimate(needs_of(network), target)
        assert found.low_ms < ms < found.high_ms


def test_less_precision_takes_less_memory(phone: Profile) -> None:
    memory = {one.precision: one.memory_bytes for one in predict(needs_of("resnet18"), phone)}
    assert memory["int8"] < memory["float16"]


def test_a_phone_twice_as_slow_is_calibrated(phone: Profile) -> None:
    mine = calibrated(phone, phone.targets[0], measured(2.0, phone), name="mine", title="Mine")
    for network in references():
        one, two = (estimate(needs_of(network), which.targets[0]) for which in (phone, mine))
        # The level is common to all kinds of work and tells nearly all of it; kinds that were not measured lag behind.
        assert two.ms / one.ms == pytest.approx(2.0, rel=0.12)


def test_other_ways_on_the_same_processor_move_along(phone: Profile) -> None:
    mine = calibrated(phone, phone.targets[0], measured(2.0, phone), name="mine", title="Mine")
    assert {one.processor for one in mine.targets} == {"cpu"}
    assert [one.measured for one in mine.targets] == [3, *[0] * (len(mine.targets) - 1)]
    was = next(one for one in phone.targets if one.key == mine.targets[1].key)
    changes = [mine.targets[1].us[kind.name] / was.us[kind.name] for kind in KINDS]
    assert np.mean(changes) == pytest.approx(2.0, rel=0.12)


def test_more_latencies_are_added_to_those_there_are(phone: Profile) -> None:
    first = calibrated(phone, phone.targets[0], measured(2.0, phone), name="mine", title="Mine")
    again = calibrated(first, first.targets[0], measured(4.0, phone)[:1], name="mine", title="Mine")
    assert [one.model for one in again.targets[0].measurements] == [*NETWORKS[1:], NETWORKS[0]]
    assert again.targets[0].measurements[-1].ms == measured(4.0, phone)[0].ms


def test_two_latencies_are_too_few(phone: Profile) -> None:
    with pytest.raises(OptionError, match="2 measurements"):
        calibrated(phone, phone.targets[0], measured(1.0, phone)[:2], name="mine", title="Mine")


def test_the_same_model_twice_is_refused(phone: Profile) -> None:
    with pytest.raises(OptionError, match="resnet18 was given twice"):
        calibrated(phone, phone.targets[0], [*measured(1.0, phone)[1:2]] * 3, name="mine", title="Mine")


def test_a_profile_is_read_as_it_was_written(phone: Profile, tmp_path: Path) -> None:
    mine = calibrated(phone, phone.targets[0], measured(1.3, phone), name="mine", title="Mine")
    write_profile(mine, tmp_path / "mine.json")
    assert read_profile(tmp_path / "mine.json") == find_profile(str(tmp_path / "mine.json")) == mine


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"tier": "middle"}, "tier"),
        ({"clusters": []}, "clusters"),
        ({"colour": "red"}, "colour"),
        ({"schema_version": 2}, "schema_version"),
    ],
    ids=["word", "empty", "unknown", "version"],
)
def test_a_file_that_is_no_profile_is_refused(
    phone: Profile, tmp_path: Path, change: dict[str, object], fault: str
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(phone.model_dump(mode="json") | change))
    with pytest.raises(DataError, match=fault):
        read_profile(path)


def test_a_speed_that_is_missing_is_refused(phone: Profile, tmp_path: Path) -> None:
    content = phone.model_dump(mode="json")
    del content["targets"][0]["us"]["pointwise"]
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="exactly the kinds"):
        read_profile(path)


def test_an_unknown_device_is_named_with_those_like_it() -> None:
    with pytest.raises(OptionError, match="google-pixel-2, google-pixel-2-xl"):
        find_profile("pixel-2")


def test_an_unknown_reference_network_is_refused() -> None:
    with pytest.raises(OptionError, match="mobilenet_v2"):
        reference_amounts("benchncnn:mobilenet_v9")

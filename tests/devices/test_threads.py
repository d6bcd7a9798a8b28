import pytest

from pocketfit.devices.predict.demands import Demand
from pocketfit.devices.predict.predict import ModelNeeds, predict
from pocketfit.devices.predict.references import reference_amounts
from pocketfit.devices.predict.threads import best_counts, speed_up, usual_threads, with_counts
from pocketfit.devices.profile import all_profiles, find_profile
from pocketfit.errors import OptionError

NEEDS = ModelNeeds((Demand("net", "", "net", reference_amounts("mobilenet_v2"), {}),), 3_500_000, 1_500_000)


def test_the_usual_count_is_that_of_the_big_cores() -> None:
    assert usual_threads(find_profile("oneplus-7t")) == 4
    assert usual_threads(find_profile("rockchip-rk3399")) == 2  # two Cortex-A72 and four small cores
    assert all(1 <= usual_threads(one) <= 4 for one in all_profiles())


def test_small_cores_hold_up_big_ones() -> None:
    phone = find_profile("rockchip-rk3399")
    assert speed_up(phone, 1) == 1
    assert speed_up(phone, 2) > speed_up(phone, 1)
    assert speed_up(phone, 3) < speed_up(phone, 2)  # the third is a Cortex-A53


def test_what_was_measured_is_kept_and_the_rest_follows_with_more_doubt() -> None:
    phone = find_profile("oneplus-7t")
    four, two = with_counts(phone, 4), with_counts(phone, 2)
    assert {one.threads for one in four.targets if one.processor == "cpu"} == {4}
    assert all(one in phone.targets for one in four.targets)
    derived = [one for one in two.targets if one.processor == "cpu"]
    assert {one.precision for one in derived} == {"float16", "int8"}
    assert all(one.measured == 0 and one.threads == 2 and "follows from" in one.source for one in derived)

    def width(ways: object, threads: int) -> float:
        found = next(
            one
            for one in predict(NEEDS, ways)
            if (one.precision, one.threads) == ("float16", threads)  # type: ignore[arg-type]
        )
        return found.latency.high_ms / found.latency.ms

    assert width(two, 2) > width(phone, 1)


def test_auto_takes_more_threads_only_where_they_pay() -> None:
    # Eight threads were measured slower than four: the other half are small cores.
    phone = with_counts(find_profile("snapdragon-8-gen-2"), None)
    found = {(one.runtime, one.precision, one.processor): one.threads for one in best_counts(predict(NEEDS, phone))}
    assert found == {("ncnn", "int8", "cpu"): 4, ("ncnn", "float16", "cpu"): 4, ("ncnn", "float16", "gpu"): 1}


def test_a_profile_without_the_usual_count_gets_it() -> None:
    phone = find_profile("xiaomi-mi-11")
    assert {one.threads for one in phone.targets if one.processor == "cpu"} == {8}
    counts = {one.threads for one in with_counts(phone, None).targets if one.processor == "cpu"}
    assert counts == {4, 8}


@pytest.mark.parametrize("threads", [0, 9])
def test_more_threads_than_cores_are_refused(threads: int) -> None:
    with pytest.raises(OptionError, match="8 cores"):
        with_counts(find_profile("oneplus-7t"), threads)

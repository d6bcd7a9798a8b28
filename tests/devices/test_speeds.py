import numpy as np
import pytest

from pocketfit.devices.predict.kinds import KINDS
from pocketfit.devices.predict.speeds import Speeds, adapted, amounts_vector, prior_covariance

SMALL = {"pointwise": 200.0, "depthwise_3x3": 20.0, "convolution_traffic": 6.0, "calls": 60.0}
LARGE = {"winograd": 900.0, "convolution": 300.0, "convolution_weights": 11.0, "calls": 40.0}
MIXED = {"pointwise": 150.0, "winograd": 200.0, "elementwise": 5.0, "linear_weights": 1.3, "calls": 100.0}
MODELS = [amounts_vector(one) for one in (SMALL, LARGE, MIXED)]


@pytest.fixture
def prior() -> Speeds:
    return Speeds(np.log([kind.prior_us for kind in KINDS]), prior_covariance(), 0.1)


def ms(speeds: Speeds, amounts: np.ndarray) -> float:
    return speeds.estimate(amounts[None]).ms


def test_layers_add_up_to_the_model(prior: Speeds) -> None:
    layers = np.stack(MODELS)
    assert prior.layer_ms(layers).sum() == pytest.approx(prior.estimate(layers).ms)


def test_an_interval_holds_the_prediction_and_is_even_in_logarithms(prior: Speeds) -> None:
    one = prior.estimate(MODELS[0][None])
    assert one.low_ms < one.ms < one.high_ms
    assert one.ms / one.low_ms == pytest.approx(one.high_ms / one.ms)


def test_a_phone_that_is_three_times_slower_is_learned_from_one_latency(prior: Speeds) -> None:
    after = adapted(prior, [(MODELS[0], 3 * ms(prior, MODELS[0]))])
    # All speeds have a level in common, of a deviation far above that of groups: other models follow most of the way.
    assert ms(after, MODELS[1]) == pytest.approx(3 * ms(prior, MODELS[1]), rel=0.3)


def test_three_latencies_are_met_and_narrow_the_interval(prior: Speeds) -> None:
    truth = [3.0 * ms(prior, MODELS[0]), 1.5 * ms(prior, MODELS[1]), 2.0 * ms(prior, MODELS[2])]
    after = adapted(prior, list(zip(MODELS, truth, strict=True)))
    # What is left to a model's own, of the size of `spread`, is not explained by speeds.
    assert [ms(after, one) for one in MODELS] == pytest.approx(truth, rel=0.1)
    before, now = (one.estimate(MODELS[2][None]) for one in (prior, after))
    assert now.high_ms / now.low_ms < before.high_ms / before.low_ms


def test_a_certain_profile_is_not_moved() -> None:
    certain = Speeds(np.zeros(len(KINDS)), np.zeros((len(KINDS), len(KINDS))), 0.1)
    assert np.array_equal(adapted(certain, [(MODELS[0], 1000.0)]).log_us, certain.log_us)


def test_covariances_are_what_they_say() -> None:
    covariance = prior_covariance(1.0, 0.5, 0.1)
    index = {kind.name: at for at, kind in enumerate(KINDS)}
    assert covariance[index["pointwise"], index["pointwise"]] == pytest.approx(1 + 0.25 + 0.01)
    assert covariance[index["pointwise"], index["convolution"]] == pytest.approx(1.25)
    assert covariance[index["pointwise"], index["calls"]] == pytest.approx(1)
    assert np.linalg.eigvalsh(covariance).min() > 0

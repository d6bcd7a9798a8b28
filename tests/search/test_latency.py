from __future__ import annotations

import pytest

from pocketfit.devices.predict.demands import demands_of
from pocketfit.devices.predict.limit import parse_latency
from pocketfit.devices.predict.predict import model_needs
from pocketfit.devices.profile import find_profile
from pocketfit.errors import OptionError
from pocketfit.inspection.cost import inspect_model
from pocketfit.models.load import load_model
from pocketfit.search.latency import predicted_ms
from pocketfit.search.space import Deployment
from pocketfit.types import Precision


def test_a_limit_for_this_host_and_for_a_phone() -> None:
    here, there = parse_latency("30ms"), parse_latency("2.5 ms@xiaomi-mi-11")

    assert (here.ms, here.device) == (30.0, None)
    assert there.ms == 2.5
    assert there.device is not None and there.device.name == "xiaomi-mi-11"


@pytest.mark.parametrize("text", ["30", "0ms", "fast", "30ms@no-such-phone"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        parse_latency(text)


def test_prediction_is_of_the_deployment(net) -> None:
    model = load_model(net.model, weights=net.weights)
    needs = model_needs(demands_of(model), inspect_model(model))
    phone = find_profile("xiaomi-mi-11")

    found = predicted_ms(needs, phone, Deployment("ncnn", Precision.INT8))

    assert found is not None and found > 0
    assert predicted_ms(needs, phone, Deployment("executorch", Precision.INT8)) is None

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from pocketfit.contract import Color, Contract, Crop, Kernel, Rounding, ShorterSide
from pocketfit.data.contract import prepare
from pocketfit.errors import ModelError, RuntimeMissing, WeightsError
from pocketfit.models import load_model
from pocketfit.models.timm_source import _preprocess, from_timm

timm_installed = importlib.util.find_spec("timm") is not None
needs_timm = pytest.mark.skipif(not timm_installed, reason="timm is not installed")


@needs_timm
def test_the_preprocessing_is_the_models_own():
    source = from_timm("mobilenetv2_100")
    assert source.input_shape == (3, 224, 224)
    assert source.preprocess == Contract(
        resize=ShorterSide(256, Rounding.FLOOR),  # 224 / 0.875, the crop that the model was evaluated with
        kernel=Kernel.BICUBIC,
        crop=Crop((224, 224), Rounding.HALF_EVEN),
        color=Color.RGB,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )


@needs_timm
def test_the_preprocessing_is_what_timm_does():
    import timm
    from PIL import Image

    source = from_timm("mobilenetv2_100", (3, 96, 96))
    pixels = np.random.default_rng(0).integers(0, 256, (150, 211, 3), dtype=np.uint8)
    config = {**timm.data.resolve_model_data_config(source.module), "input_size": (3, 96, 96)}
    expected = timm.data.create_transform(**config, is_training=False)(Image.fromarray(pixels))
    assert source.preprocess is not None
    # Pixels are the same; timm divides by 255 where the contract multiplies, and a std of 0.22 divides the last bit.
    np.testing.assert_allclose(prepare(pixels, source.preprocess)[0], expected.numpy(), atol=1e-6)


@needs_timm
def test_another_input_size_moves_the_crop():
    source = from_timm("mobilenetv2_100", (3, 64, 96))
    assert source.input_shape == (3, 64, 96)
    assert source.preprocess is not None
    assert source.preprocess.resize == ShorterSide(109, Rounding.FLOOR)  # 96 / 0.875: the crop fits into any photo
    assert source.preprocess.crop == Crop((64, 96), Rounding.HALF_EVEN)


@pytest.mark.parametrize("changes", [{"interpolation": "lanczos"}, {"crop_mode": "border"}, {"mean": (0.5, 0.5)}])
def test_what_a_contract_cannot_say_is_left_open(changes):
    config = {"crop_mode": "center", "crop_pct": 0.875, "mean": (0.5,), "std": (0.5,), "interpolation": "bicubic"}
    assert _preprocess(config, (3, 96, 96)) is not None
    assert _preprocess({**config, **changes}, (3, 96, 96)) is None


@needs_timm
def test_a_model_with_weights_from_a_file(tmp_path):
    torch.manual_seed(7)
    state = from_timm("lcnet_035").module.state_dict()
    torch.save({"state_dict": state}, tmp_path / "w.pth")
    model = load_model("timm:lcnet_035", weights=tmp_path / "w.pth", input_shape=(3, 32, 32))
    assert torch.equal(model.graph.get_parameter("classifier.weight"), state["classifier.weight"])
    assert (model.name, model.source, model.output.shape) == ("lcnet_035", "timm:lcnet_035", (1, 1000))


@needs_timm
def test_weights_of_another_model_do_not_fit(tmp_path):
    torch.save(from_timm("lcnet_035").module.state_dict(), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="does not fit"):
        load_model("timm:lcnet_050", weights=tmp_path / "w.pth", input_shape=(3, 32, 32))


@needs_timm
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mobilnetv2_100", "Did you mean mobilenetv2_100"),
        ("zzzz", "list_models"),
        ("hf-hub:timm/mobilenetv2_100.ra_in1k", "no model"),
        ("", "no model"),
    ],
)
def test_unknown_names(name, words):
    with pytest.raises(ModelError, match=words):
        from_timm(name)


@pytest.mark.skipif(timm_installed, reason="timm is installed")
def test_without_timm():
    with pytest.raises(RuntimeMissing, match=r"pocketfit\[timm\]"):
        from_timm("mobilenetv2_100")

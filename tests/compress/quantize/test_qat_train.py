import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pocketfit.compress.quantize.plan import float_plan, int8_plan, plan_to_json
from pocketfit.compress.quantize.qat import TrainingRecipe, Trains, train
from pocketfit.compress.quantize.recipe import Recipe
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.compress.training.loop import Step
from pocketfit.compress.training.recipe import Loss, MixedPrecision, Optimizer
from pocketfit.errors import DataError, OptionError, RuntimeMissing, WeightsError
from pocketfit.graph.attributes import get_tensor
from pocketfit.types import LoadedModel, Precision, Samples, Scheme, Variant

pytest.importorskip("accelerate")

# Four steps an epoch with the 32 samples below.
RECIPE = TrainingRecipe(
    epochs=3, batch=8, trains=Trains.EVERYTHING, bias_rate=1e-3, scale_rate=1e-3, checkpoint_steps=4, cpu=True
)


@pytest.fixture(scope="module")
def variant(model: LoadedModel, statistics: dict) -> Variant:
    """Four-bit weights, so that there is something to learn."""
    plan = int8_plan(model, statistics, data_fingerprint="", samples=32, recipe=Recipe(weight_bits=4))
    return Variant(model, plan)


@pytest.fixture(scope="module")
def data(samples: list[np.ndarray]) -> Samples:
    return Samples(np.concatenate(samples), None, None)


def error(variant: Variant, teacher: LoadedModel, data: Samples, scheme: Scheme = Scheme.AFFINE) -> float:
    """Squared error of the deployed plan's answers, relative to the float model's."""
    with torch.no_grad():
        floats = teacher.graph(torch.from_numpy(data.inputs)).numpy()
    outputs = simulate(variant.model, variant.plan, scheme, [data.inputs])
    return float(np.square(outputs - floats).sum() / np.square(floats).sum())


def weights(variant: Variant) -> dict[str, torch.Tensor]:
    return {layer.weight: get_tensor(variant.model.graph, layer.weight) for layer in variant.plan.layers.values()}


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("optimizer", Optimizer)
def test_training_everything_brings_the_deployed_answers_nearer(
    variant: Variant, data: Samples, scheme: Scheme, optimizer: Optimizer
) -> None:
    rates = {"weight_rate": 2e-3, "bias_rate": 2e-3, "scale_rate": 2e-3}
    if optimizer is Optimizer.SGD:
        rates = {"weight_rate": 5e-2, "bias_rate": 5e-2, "scale_rate": 5e-2}
    recipe = replace(RECIPE, epochs=15, loss=Loss.SQUARED_ERROR, optimizer=optimizer, **rates)
    trained = train(variant, data, recipe, scheme=scheme)
    before, after = (error(one, variant.model, data, scheme) for one in (variant, trained.variant))
    # A quarter less is far beyond what the order of the steps or the threads change.
    assert after < 0.75 * before
    assert trained.log[-1].loss < trained.log[0].loss
    assert [step.number for step in trained.log] == list(range(1, 61))


@pytest.mark.parametrize("scheme", Scheme)
def test_training_the_plan_leaves_the_model(variant: Variant, data: Samples, scheme: Scheme) -> None:
    recipe = replace(RECIPE, epochs=15, trains=Trains.PLAN, loss=Loss.SQUARED_ERROR, bias_rate=3e-3)
    trained = train(variant, data, recipe, scheme=scheme).variant
    assert trained.model is variant.model
    assert {layer.weight_scales for layer in trained.plan.layers.values()} == {
        layer.weight_scales for layer in variant.plan.layers.values()
    }
    assert error(trained, variant.model, data, scheme) < 0.9 * error(variant, variant.model, data, scheme)
    (other,) = set(Scheme) - {scheme}
    assert error(trained, variant.model, data, other) == error(variant, variant.model, data, other)
    assert "Trained" in trained.plan.notes[-1]


class Killed(Exception):
    pass


def kill_at(number: int):
    def progress(step: Step) -> None:
        if step.number == number:
            raise Killed

    return progress


def same(one: Variant, other: Variant) -> bool:
    """To the bit: nothing in the training depends on when it was interrupted."""
    pairs = zip(weights(one).values(), weights(other).values(), strict=True)
    return plan_to_json(one.plan) == plan_to_json(other.plan) and all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("at", [4, 6, 11])
def test_a_killed_training_ends_as_if_nothing_had_happened(
    variant: Variant, data: Samples, tmp_path: Path, at: int
) -> None:
    whole = train(variant, data, RECIPE)
    path = tmp_path / "state.pt"
    with pytest.raises(Killed):
        train(variant, data, RECIPE, checkpoint=path, progress=kill_at(at))
    taken_up: list[Step] = []
    again = train(variant, data, RECIPE, checkpoint=path, progress=taken_up.append)
    assert taken_up[0].number == at // 4 * 4 + 1
    assert again.log == whole.log
    assert same(again.variant, whole.variant)


def test_a_finished_training_is_not_repeated(variant: Variant, data: Samples, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    first = train(variant, data, RECIPE, checkpoint=path)
    steps: list[Step] = []
    second = train(variant, data, RECIPE, checkpoint=path, progress=steps.append)
    assert not steps
    assert same(first.variant, second.variant)
    torch.load(path, weights_only=True)
    with pytest.raises(WeightsError, match="another training"):
        train(variant, data, replace(RECIPE, seed=1), checkpoint=path)


def test_the_teacher_may_be_another_model(variant: Variant, data: Samples) -> None:
    """The float model, where the variant's own weights were rounded by an earlier step."""
    rounded = train(variant, data, replace(RECIPE, epochs=1, weight_rate=1e-2)).variant
    recipe = replace(RECIPE, epochs=10, loss=Loss.SQUARED_ERROR, weight_rate=2e-3)
    trained = train(rounded, data, recipe, teacher=variant.model).variant
    assert error(trained, variant.model, data) < error(rounded, variant.model, data)


def test_half_precision_trains_too(variant: Variant, data: Samples) -> None:
    recipe = replace(RECIPE, mixed_precision=MixedPrecision.BFLOAT16)
    half, full = (train(variant, data, one) for one in (recipe, RECIPE))
    assert half.log[0].loss != full.log[0].loss
    # bfloat16 keeps 8 bits of each product, about what the plan itself keeps.
    assert half.log[0].loss == pytest.approx(full.log[0].loss, rel=0.5)
    assert all(tensor.dtype == torch.float32 for tensor in weights(half.variant).values())


def test_labels_count_where_there_are_any(variant: Variant, data: Samples) -> None:
    labels = np.arange(32) % 5
    with_labels = train(variant, replace(data, labels=labels), RECIPE)
    without = train(variant, data, RECIPE)
    assert with_labels.log[0].loss > without.log[0].loss


def test_a_model_for_one_sample_is_trained_with_batches(variant: Variant, data: Samples) -> None:
    single = replace(variant, model=replace(variant.model, dynamic_batch=False))
    recipe = replace(RECIPE, epochs=1)
    one, many = train(single, data, recipe), train(variant, data, recipe)
    # One by one, convolutions add up in another order.
    assert one.log[0].loss == pytest.approx(many.log[0].loss, rel=1e-3)


# what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "message"),
    [({"epochs": 0}, "1 or more"), ({"ema": 1.5}, "0 to 1"), ({"weight_rate": -1e-3}, "0 or more")],
)
def test_numbers_out_of_range_are_refused(option: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        TrainingRecipe(**option)


def test_a_float_plan_is_refused(model: LoadedModel, data: Samples) -> None:
    with pytest.raises(OptionError, match="int8"):
        train(Variant(model, float_plan(model, Precision.FLOAT32)), data, RECIPE)


def test_no_samples_are_refused(variant: Variant, data: Samples) -> None:
    with pytest.raises(DataError, match="at least one"):
        train(variant, replace(data, inputs=data.inputs[:0]), RECIPE)


def test_a_label_of_no_class_is_refused(variant: Variant, data: Samples) -> None:
    with pytest.raises(DataError, match=r"a label is 5.*0 to 4"):
        train(variant, replace(data, labels=np.full(32, 5)), RECIPE)


def test_a_training_that_diverges_says_so(variant: Variant, data: Samples) -> None:
    recipe = replace(RECIPE, scale_rate=1e6)
    with pytest.raises(OptionError, match="diverged at step"):
        train(variant, data, recipe)


def test_without_accelerate_the_extra_is_named(
    variant: Variant, data: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(RuntimeMissing, match=r'pip install "pocketfit\[train\]"'):
        train(variant, data, RECIPE)


# several processes -------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

torch.set_num_threads(1)
from pocketfit.compress.quantize.calibrate import calibrate
from pocketfit.compress.quantize.placement import place
from pocketfit.compress.quantize.plan import int8_plan
from pocketfit.compress.quantize.qat import TrainingRecipe, Trains, train
from pocketfit.graph.attributes import get_tensor
from pocketfit.models.canonical import canonicalise
from pocketfit.types import Samples, Variant

torch.manual_seed(0)
model = canonicalise(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5)), (3, 8, 8), name="m")
inputs = np.random.default_rng(0).normal(size=(32, 3, 8, 8)).astype(np.float32)
statistics = calibrate(model.graph, [inputs], place(model.graph).tensors)
plan = int8_plan(model, statistics, data_fingerprint="", samples=32)
recipe = TrainingRecipe(epochs=3, batch=8, trains=Trains.EVERYTHING, weight_rate=1e-3, checkpoint_steps=5, cpu=True)
out = Path(sys.argv[1])
trained = train(Variant(model, plan), Samples(inputs, None, None), recipe, checkpoint=out / "state.pt")
from accelerate import PartialState
weight = get_tensor(trained.variant.model.graph, trained.variant.plan.layers["linear"].weight)
state = PartialState()
np.savez(out / f"{state.process_index}-of-{state.num_processes}.npz", weight=weight.numpy(),
         losses=[step.loss for step in trained.log])
"""


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        # What `accelerate launch` starts for several processes.
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        subprocess.run(
            [*launch, str(tmp_path / "script.py"), str(folder)],
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            timeout=600,
        )
    one = np.load(tmp_path / "1" / "0-of-1.npz")
    first, second = (np.load(tmp_path / "2" / f"{index}-of-2.npz") for index in range(2))
    assert np.array_equal(first["weight"], second["weight"])
    # The halves of a batch are averaged in another order; a rounding that falls the other way is a step of a weight.
    np.testing.assert_allclose(first["losses"], one["losses"], rtol=0.05)
    np.testing.assert_allclose(first["weight"], one["weight"], atol=2e-3)

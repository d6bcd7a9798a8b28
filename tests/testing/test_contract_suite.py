"""The contract suite itself: a runtime without fault passes, and each fault is caught by the check meant for it."""

import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from pocketfit.compress.quantize.simulate import simulation_graph
from pocketfit.errors import ConversionError, RuntimeMissing
from pocketfit.testing import MIXED_PLANS, Artifacts, Case, RuntimeContract, case_of
from pocketfit.testing.models import Mixed, Perceptron, TinyModel
from pocketfit.types import Artifact, KernelUse, Precision, RuntimeInfo, Scheme, TensorSpec, Variant


def case() -> Case:
    """Made once, when a test first needs it."""
    return case_of(Mixed)


def step() -> float:
    return float(case().output_steps(Scheme.AFFINE).max())


class Right:
    """A session that computes the plan's simulation; its subclasses have one fault each."""

    def __init__(self) -> None:
        self.graph = simulation_graph(case().model.graph, case().plans[Precision.INT8], Scheme.AFFINE)
        self.memory = np.zeros(case().model.output.shape, np.float32)

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        with torch.no_grad():
            output: np.ndarray = self.graph(*(torch.tensor(np.ascontiguousarray(values)) for values in inputs)).numpy()
        return (output,)

    def kernels(self) -> KernelUse:
        return KernelUse(int8=7, total=7, how="counted")


class Shifted(Right):
    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        return (super().run(inputs)[0] + np.float32(step() / 2),)


class OneWrongValue(Right):
    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        (output,) = super().run(inputs)
        output[0, 0] += 3 * step()
        return (output,)


class Wide(Right):
    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        return (super().run(inputs)[0].astype(np.float64),)


class Flat(Right):
    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        return (super().run(inputs)[0].ravel(),)


class Remembering(Right):
    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        self.memory = 0.9 * super().run(inputs)[0] + 0.1 * self.memory
        return (self.memory,)


class Overwriting(Right):
    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        self.memory[:] = super().run(inputs)[0]
        return (self.memory,)


class Scribbling(Right):
    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        outputs = super().run(inputs)
        if inputs[0].flags.writeable:
            inputs[0][:] = 0
        return outputs


class BlindToLayout(Right):
    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        as_stored = inputs[0].ravel(order="K").reshape(inputs[0].shape)
        return super().run([as_stored])


class Boasting(Right):
    def kernels(self) -> KernelUse:
        return KernelUse(int8=9, total=7, how="guessed")


class WithoutInt8(Right):
    def kernels(self) -> KernelUse:
        return KernelUse(int8=0, total=7, how="counted")


class Files:
    """A runtime that writes two files and refuses nothing; its subclasses have one fault each."""

    info: ClassVar[RuntimeInfo] = RuntimeInfo(
        name="files",
        title="Files",
        extra="",
        packages=("torch",),
        suffix=".main",
        precisions=(Precision.FLOAT32, Precision.INT8),
        scheme=Scheme.AFFINE,
        platforms=("linux",),
    )
    sizes: ClassVar[dict[Precision, int]] = {Precision.FLOAT32: 40, Precision.INT8: 10}

    def convert(self, variant: Variant, out: Path) -> Artifact:
        files = (out / "model.main", out / "model.aside")
        for file in files:
            file.write_bytes(bytes(self.sizes[variant.plan.precision]))
        return Artifact(
            "files",
            variant.plan.precision,
            Scheme.AFFINE,
            files,
            TensorSpec("x", (1,)),
            TensorSpec("y", (1,)),
            {"torch": "2"},
        )

    def open(self, artifact: Artifact, *, threads: int = 1) -> Right:
        return Right()


HERE = {"Darwin": "macos"}.get(platform.system(), platform.system().lower())


class Elsewhere(Files):
    """It runs on other systems, so that its files alone have to tell."""

    info: ClassVar[RuntimeInfo] = replace(Files.info, hosts=tuple(sorted({"linux", "macos", "windows"} - {HERE})))

    def convert(self, variant: Variant, out: Path) -> Artifact:
        return replace(super().convert(variant, out), kernels=KernelUse(int8=7, total=7, how="the file"))

    def open(self, artifact: Artifact, *, threads: int = 1) -> Right:
        raise RuntimeMissing("Files runs on another system only")


class Silent(Elsewhere):
    def convert(self, variant: Variant, out: Path) -> Artifact:
        return Files.convert(self, variant, out)


class Exaggerating(Elsewhere):
    def convert(self, variant: Variant, out: Path) -> Artifact:
        return replace(super().convert(variant, out), kernels=KernelUse(int8=9, total=7, how="guessed"))


class AsideFirst(Files):
    def convert(self, variant: Variant, out: Path) -> Artifact:
        artifact = super().convert(variant, out)
        return replace(artifact, files=artifact.files[::-1])


class Littering(Files):
    def convert(self, variant: Variant, out: Path) -> Artifact:
        Path("debug.txt").write_text("written to the working directory")
        return super().convert(variant, out)


class Forgetting(Files):
    def convert(self, variant: Variant, out: Path) -> Artifact:
        artifact = super().convert(variant, out)
        return replace(artifact, files=artifact.files[:1])


class Growing(Files):
    sizes: ClassVar[dict[Precision, int]] = {Precision.FLOAT32: 40, Precision.INT8: 41}


class Mislabelled(Files):
    def convert(self, variant: Variant, out: Path) -> Artifact:
        return replace(super().convert(variant, out), precision=Precision.FLOAT16)


SESSIONS = [
    ("test_answers_as_the_plan_says", Shifted),
    ("test_answers_as_the_plan_says", OneWrongValue),
    ("test_output_is_float32_in_the_models_shape", Wide),
    ("test_output_is_float32_in_the_models_shape", Flat),
    ("test_answers_depend_on_the_input_alone", Remembering),
    ("test_output_outlives_the_next_run", Overwriting),
    ("test_input_is_left_as_it_is", Scribbling),
    ("test_input_may_lie_in_memory_in_any_order", BlindToLayout),
    ("test_kernels_are_told_as_they_are", Boasting),
    ("test_kernels_are_told_as_they_are", WithoutInt8),
]

FILES = [
    ("test_converts_into_its_folder_alone", AsideFirst),
    ("test_converts_into_its_folder_alone", Littering),
    ("test_converts_into_its_folder_alone", Forgetting),
    ("test_narrower_is_smaller", Growing),
    ("test_artifact_says_what_it_is", Mislabelled),
]


def check(name: str, runtime: Files, session: Right, folder: Path) -> None:
    """Run one check of the suite as pytest would, for INT8."""
    artifacts = Artifacts(runtime, folder)
    known = {
        "runtime": runtime,
        "session": session,
        "case": case(),
        "precision": Precision.INT8,
        "artifacts": artifacts,
        "artifact": artifacts.get(Mixed, Precision.INT8),
        "tmp_path": folder,
        "name": MIXED_PLANS[0],
    }
    method = getattr(RuntimeContract(), name)
    wanted = method.__code__.co_varnames[1 : method.__code__.co_argcount]
    method(**{argument: known[argument] for argument in wanted})


@pytest.mark.parametrize("name", sorted({name for name, _ in (*SESSIONS, *FILES)}))
def test_a_right_runtime_passes(name: str, tmp_path: Path) -> None:
    check(name, Files(), Right(), tmp_path)


@pytest.mark.parametrize(("name", "fault"), SESSIONS, ids=lambda value: getattr(value, "__name__", value))
def test_a_faulty_session_is_caught(name: str, fault: type[Right], tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check(name, Files(), fault(), tmp_path)


@pytest.mark.parametrize(("name", "fault"), FILES, ids=lambda value: getattr(value, "__name__", value))
def test_a_faulty_converter_is_caught(name: str, fault: type[Files], tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check(name, fault(), Right(), tmp_path)


@pytest.mark.parametrize(
    "name", ["test_kernels_are_read_from_the_files", "test_opening_where_it_does_not_run_is_refused"]
)
def test_a_runtime_that_runs_elsewhere_passes(name: str, tmp_path: Path) -> None:
    check(name, Elsewhere(), Right(), tmp_path)


@pytest.mark.parametrize("name", ["test_answers_as_a_mixed_plan_says", "test_answers_alike_with_two_threads"])
def test_answers_are_skipped_with_the_reason_where_it_does_not_run(name: str, tmp_path: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match=r"Files runs on .* only, and this is"):
        check(name, Elsewhere(), Right(), tmp_path)


@pytest.mark.parametrize("fault", [Silent, Exaggerating])
def test_kernels_that_the_files_do_not_tell_are_caught(fault: type[Files], tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check("test_kernels_are_read_from_the_files", fault(), Right(), tmp_path)


def test_a_session_where_none_can_be_is_caught(tmp_path: Path) -> None:
    class Opening(Elsewhere):
        def open(self, artifact: Artifact, *, threads: int = 1) -> Right:
            return Right()

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        check("test_opening_where_it_does_not_run_is_refused", Opening(), Right(), tmp_path)


def test_a_refusal_without_the_ops_name_is_caught(tmp_path: Path) -> None:
    class Vague(Files):
        def convert(self, variant: Variant, out: Path) -> Artifact:
            raise ConversionError("files", "something went wrong")

    class Suite(RuntimeContract):
        unsupported: ClassVar[tuple[type[TinyModel], str] | None] = (Perceptron, "aten.linear")

    with pytest.raises(AssertionError, match="something went wrong"):
        Suite().test_refusal_names_the_op(Vague(), tmp_path)

"""Delegates: recorded wherever a file is made, used where they are there, and never silently left out.

Drivers that compute on the CPU stand in for a GPU: they prove the answers right and say nothing of speed. Sessions with
a delegate run in child processes, as in a bundle's verification, lest a driver take the tests with it.
"""

import ctypes
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pocketfit.cli.options import assign_options
from pocketfit.errors import OptionError
from pocketfit.runtimes import get_runtime, is_installed
from pocketfit.runtimes.delegates import delegate_told, on_cpu, with_delegate
from pocketfit.runtimes.native_output import caught_output
from pocketfit.runtimes.options import complete_options
from pocketfit.testing import Artifacts, case_of
from pocketfit.testing.models import Mixed
from pocketfit.types import Accelerated, Acceleration, Artifact, KernelUse, Precision, Samples, Scheme, Variant
from pocketfit.verify.parity import compare
from pocketfit.verify.run import outputs_of, store_inputs

FIRST = {"onnxruntime": "cpu", "litert": "cpu", "ncnn": "cpu", "mnn": "cpu", "executorch": "xnnpack"}
# A delegate of each runtime that its package for this host does not have, or not without a driver.
MISSING = {
    "onnxruntime": ("nnapi", "no NnapiExecutionProvider"),
    "litert": ("gpu", "no GPU"),
    "ncnn": ("vulkan", "no Vulkan device"),
    "mnn": ("opencl", "no OPENCL backend"),
}
# Vulkan on the CPU, as Chromium ships it.
SWIFTSHADER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")
# Variables by which the Vulkan loader finds drivers.
LOADER = ("VK_ICD_FILENAMES", "VK_DRIVER_FILES")

SAMPLES = 4


def delegates_of(name: str) -> tuple[str, ...]:
    return next(option.values for option in get_runtime(name).info.options if option.name == "delegate")


def run(artifact: Artifact, samples: np.ndarray, folder: Path) -> tuple[np.ndarray, KernelUse]:
    folder.mkdir()
    store_inputs(Samples(samples, labels=None, preprocess=None), folder)
    kernels = outputs_of(artifact, folder, folder / "outputs.npy", timeout_s=600)
    return np.load(folder / "outputs.npy"), kernels


def converted(artifacts_of: dict[str, Artifacts], name: str, precision: Precision) -> Artifact:
    if not is_installed(get_runtime(name)):
        pytest.skip(f"{name} is not installed")
    return artifacts_of[name].get(Mixed, precision)


# what may be asked for ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIRST)
def test_the_cpu_is_the_default(name: str) -> None:
    assert delegates_of(name)[0] == FIRST[name]


@pytest.mark.parametrize("name", FIRST)
def test_what_may_be_asked_for_is_among_the_delegates_that_are_shown(name: str) -> None:
    assert set(delegates_of(name)) <= {"cpu", *get_runtime(name).info.delegates}


@pytest.mark.parametrize("name", FIRST)
def test_others_are_refused_by_name_before_anything_is_converted(name: str, tmp_path: Path) -> None:
    runtime = get_runtime(name)
    if not is_installed(runtime):
        pytest.skip(f"{name} is not installed")
    variant = replace(case_of(Mixed).variant(Precision.FLOAT32), options={"delegate": "warp"})
    with pytest.raises(OptionError) as caught:
        runtime.convert(variant, tmp_path)
    allowed = ", ".join(delegates_of(name))
    assert str(caught.value) == f"{runtime.info.title} has no delegate 'warp'. Allowed: {allowed}."
    assert not list(tmp_path.iterdir())


def test_an_artifact_records_its_delegate_and_keeps_its_bytes(
    artifacts_of: dict[str, Artifacts], tmp_path: Path
) -> None:
    plain = converted(artifacts_of, "ncnn", Precision.INT8)
    asked = Variant(case_of(Mixed).model, case_of(Mixed).plans[Precision.INT8], {"delegate": "vulkan"})
    made = get_runtime("ncnn").convert(asked, tmp_path)
    assert (plain.options, made.options) == ({"delegate": "cpu"}, {"delegate": "vulkan"})
    assert made.notes == (*plain.notes, "made for vulkan; where that is not there, it runs on the CPU")
    assert [path.read_bytes() for path in made.files] == [path.read_bytes() for path in plain.files]


# the command line --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["ncnn=vulkan"], {"ncnn": "vulkan"}),
        (["ncnn=vulkan", "litert=gpu"], {"ncnn": "vulkan", "litert": "gpu"}),
        (["vulkan"], {"ncnn": "vulkan", "mnn": "vulkan"}),
        (["vulkan", "mnn=opencl"], {"ncnn": "vulkan", "mnn": "opencl"}),
        ([], {}),
    ],
)
def test_delegates_go_to_the_runtime_that_is_named_or_to_all_that_have_them(
    asked: list[str], expected: dict[str, str]
) -> None:
    assigned = assign_options(("litert", "ncnn", "mnn"), {}, asked)
    assert assigned == {name: {"delegate": delegate} for name, delegate in expected.items()}


def test_delegates_stand_beside_other_options() -> None:
    assigned = assign_options(("coreml", "ncnn"), {"ios-target": "18"}, ["ncnn=vulkan"])
    assert assigned == {"coreml": {"ios-target": "18"}, "ncnn": {"delegate": "vulkan"}}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("metal", "--delegate metal is for none of the targets. They have: ncnn=cpu|vulkan."),
        ("mnn=metal", "--delegate mnn=metal is for none of the targets. They have: ncnn=cpu|vulkan."),
        ("ncnn=metal", "ncnn has no delegate 'metal'. Allowed: cpu, vulkan."),
        ("coreml=gpu", "Core ML has no option 'delegate'. It has: ios-target, compute-units, batch."),
    ],
)
def test_delegates_that_nobody_has_are_refused(asked: str, said: str) -> None:
    with pytest.raises(OptionError) as caught:
        assign_options(("ncnn", "coreml"), {}, [asked])
    assert str(caught.value) == said


def test_a_file_of_before_has_no_delegate_and_is_for_the_cpu() -> None:
    assert complete_options(get_runtime("ncnn").info, {}) == {"delegate": "cpu"}


# what is said ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("acceleration", "said"),
    [
        (Acceleration("opencl", "opencl"), "run on opencl"),
        (Acceleration("gpu", "gpu", "Adreno 740", ops=(12, 14)), "run on gpu, Adreno 740, 12 of 14 ops on it"),
        (
            Acceleration("vulkan", "vulkan", "llvmpipe", software=True),
            "run on vulkan, llvmpipe, a software driver: its speed says nothing of a GPU's",
        ),
        (on_cpu("nnapi", "it needs Android"), "made for nnapi, run on the CPU: it needs Android"),
    ],
)
def test_what_happened_is_said_beside_the_kernels(acceleration: Acceleration, said: str) -> None:
    kernels = with_delegate(KernelUse(3, 7, "ops in the file"), acceleration)
    assert (kernels.how, delegate_told(kernels)) == (f"ops in the file; {said}", said)


def test_nothing_is_said_of_a_file_for_the_cpu() -> None:
    assert delegate_told(with_delegate(KernelUse(3, 7, "ops in the file"), on_cpu("cpu"))) == ""


@pytest.mark.skipif(os.name == "nt", reason="no C library of that name")
def test_what_native_code_prints_is_caught(capfd: pytest.CaptureFixture[str]) -> None:
    native = ctypes.CDLL(None)
    native.puts(b"before")
    with caught_output() as printed:
        native.puts(b"inside")
    native.puts(b"after")
    native.fflush(None)
    assert printed() == "inside\n"
    assert capfd.readouterr().out == "before\nafter\n"


# without a driver --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", MISSING)
def test_without_the_delegate_it_runs_on_the_cpu_and_says_so(
    artifacts_of: dict[str, Artifacts], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in LOADER:
        monkeypatch.setenv(variable, str(tmp_path / "none.json"))
    plain = converted(artifacts_of, name, Precision.INT8)
    delegate, why = MISSING[name]
    samples = case_of(Mixed).samples[:SAMPLES]
    expected, known = run(plain, samples, tmp_path / "cpu")
    got, kernels = run(replace(plain, options={"delegate": delegate}), samples, tmp_path / "delegate")
    assert np.array_equal(got, expected)
    assert delegate_told(kernels).startswith(f"made for {delegate}, run on the CPU: ")
    assert why in delegate_told(kernels)
    assert (kernels.int8, kernels.total, delegate_told(known)) == (known.int8, known.total, "")


@pytest.mark.slow
@pytest.mark.parametrize("name", FIRST)
def test_a_session_tells_what_it_runs_on(artifacts_of: dict[str, Artifacts], name: str) -> None:
    session = get_runtime(name).open(converted(artifacts_of, name, Precision.INT8))
    assert isinstance(session, Accelerated)
    assert session.acceleration() == Acceleration(FIRST[name], FIRST[name])


# with a driver -----------------------------------------------------------------------------------------------------


def drivers(artifact: Artifact) -> list[str | None]:
    """Vulkan drivers to try, one after the other: what this host has set up, and then SwiftShader."""
    # SwiftShader does not come to an end with ncnn's INT8 shaders.
    endless = (artifact.runtime, artifact.precision) == ("ncnn", Precision.INT8)
    return [None, *([str(SWIFTSHADER)] if SWIFTSHADER.exists() and not endless else [])]


def run_on_delegate(
    artifact: Artifact, samples: np.ndarray, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[np.ndarray, str]:
    """The answers of the first driver that takes the artifact, and what is said of it; skipped where none does."""
    said: list[str] = []
    for number, driver in enumerate(drivers(artifact)):
        if driver is not None:
            monkeypatch.setenv("VK_ICD_FILENAMES", driver)
        got, kernels = run(artifact, samples, folder / str(number))
        told = delegate_told(kernels)
        if told.startswith("run on"):
            return got, told
        said.append(told)
    pytest.skip("; ".join(said))


@pytest.mark.slow
@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.INT8], ids=str)
@pytest.mark.parametrize(("name", "delegate"), [("ncnn", "vulkan"), ("litert", "gpu")])
def test_answers_on_a_gpu_are_those_of_the_cpu_and_of_the_plan(
    artifacts_of: dict[str, Artifacts],
    name: str,
    delegate: str,
    precision: Precision,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, case = converted(artifacts_of, name, precision), case_of(Mixed)
    samples = case.samples[:SAMPLES]
    got, told = run_on_delegate(replace(plain, options={"delegate": delegate}), samples, tmp_path, monkeypatch)
    on_the_cpu, _ = run(plain, samples, tmp_path / "cpu")
    scheme = get_runtime(name).info.scheme if precision is Precision.INT8 else Scheme.AFFINE
    planned = case.expected(precision, scheme)[:SAMPLES]
    # As in the contract: float32 sums in another order; in INT8, two steps of the output's scale.
    allowed = 1e-5 * np.abs(planned).max() if precision is Precision.FLOAT32 else 2 * case.output_steps(scheme).max()
    assert compare(got, planned).max_error <= allowed
    assert compare(got, on_the_cpu).max_error <= allowed
    if any(word in told for word in ("llvmpipe", "SwiftShader")):
        assert "a software driver" in told

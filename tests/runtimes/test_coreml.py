"""Core ML's files, read back with coremltools' own reader: what they hold, and what the program in them computes.

Core ML runs on macOS alone. What can be proved elsewhere is that every number in the file is the plan's, and that the
program, computed here op by op as the specification words it, answers as the plan's simulation does.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pocketfit.compress.quantize.express import expressible
from pocketfit.compress.quantize.lower import input_of, integer_bias, integer_weight, plan_bias
from pocketfit.compress.quantize.plan import float_plan
from pocketfit.errors import ConversionError, OptionError
from pocketfit.graph.attributes import get_tensor
from pocketfit.models.canonical import canonicalise
from pocketfit.runtimes.coreml import CoreML
from pocketfit.testing import Artifacts, TinyModel, case_of
from pocketfit.testing.models import Mixed, build
from pocketfit.types import Artifact, Precision, QuantizationPlan, Scheme, Variant

pytestmark = pytest.mark.slow

INT8 = Precision.INT8


@pytest.fixture(scope="module")
def artifacts(artifacts_of: dict[str, Artifacts]) -> Artifacts:
    return artifacts_of["coreml"]


@pytest.fixture(scope="module")
def plan() -> QuantizationPlan:
    return case_of(Mixed).plans[INT8]


@pytest.fixture(scope="module")
def int8(artifacts: Artifacts) -> "Program":
    return Program(artifacts.get(Mixed, INT8))


class Program:
    """The program in a package, in the order in which it computes."""

    def __init__(self, artifact: Artifact) -> None:
        logging.getLogger("coremltools").setLevel(logging.ERROR)
        import coremltools
        from coremltools.converters.mil.frontend.milproto import load

        (package,) = artifact.files
        data = package / "Data" / "com.apple.CoreML"
        self.spec = coremltools.utils.load_spec(str(package))
        program = load.load(self.spec, self.spec.specificationVersion, str(data / "weights"))
        self.function = program.functions["main"]
        self.operations = [op for op in self.function.operations if op.op_type != "const"]

    def of(self, kind: str) -> list[Any]:
        return [op for op in self.operations if op.op_type == kind]

    @property
    def layers(self) -> list[Any]:
        return [op for op in self.operations if op.op_type in ("conv", "linear")]

    def run(self, sample: np.ndarray) -> np.ndarray:
        """The first output, computed as the specification says; constants are what the reader restores."""
        values = {next(iter(self.function.inputs)): torch.from_numpy(sample)}

        def read(variable: Any) -> Any:
            if isinstance(variable, tuple | list):
                return [read(one) for one in variable]
            if variable is None or variable.name in values:
                return None if variable is None else values[variable.name]
            constant = variable.val if variable.val is not None else variable.op.materialized_val_inference()
            return torch.from_numpy(constant.copy()) if getattr(constant, "shape", ()) else constant

        for op in self.operations:
            if not op.op_type.startswith("constexpr_"):
                arguments = {name: read(variable) for name, variable in op.inputs.items()}
                values[op.outputs[0].name] = COMPUTED[op.op_type](arguments)
        output: np.ndarray = values[self.function.outputs[0].name].numpy()
        return output


def convolve(a: dict[str, Any]) -> torch.Tensor:
    top, bottom, left, right = a["pad"].tolist() if a["pad_type"] == "custom" else (0, 0, 0, 0)
    padded = nn.functional.pad(a["x"], (left, right, top, bottom))
    return nn.functional.conv2d(padded, a["weight"], a["bias"], a["strides"].tolist(), groups=int(a["groups"]))


def quantize(a: dict[str, Any]) -> torch.Tensor:
    limits = torch.iinfo(getattr(torch, str(a["output_dtype"])))
    integers = torch.round(a["input"] / float(a["scale"])) + int(a.get("zero_point") or 0)
    return integers.clamp(limits.min, limits.max)


COMPUTED: dict[str, Callable[[dict[str, Any]], torch.Tensor]] = {
    "add": lambda a: a["x"] + a["y"],
    "clip": lambda a: a["x"].clamp(float(a["alpha"]), float(a["beta"])),
    "concat": lambda a: torch.cat(a["values"], int(a["axis"])),
    "conv": convolve,
    "dequantize": lambda a: (a["input"] - int(a.get("zero_point") or 0)) * float(a["scale"]),
    "linear": lambda a: nn.functional.linear(a["x"], a["weight"], a["bias"]),
    "max_pool": lambda a: nn.functional.max_pool2d(a["x"], a["kernel_sizes"].tolist(), a["strides"].tolist()),
    "quantize": quantize,
    "reduce_mean": lambda a: a["x"].mean(a["axes"].tolist()),
}


def unsigned(op: Any) -> tuple[np.float32, int]:
    """Scale and zero point as the plan has them, 0..255; coremltools stores unsigned where the zero point is then 0."""
    zero_point = 0 if op.zero_point is None else int(op.zero_point.val)
    stored = op.inputs["output_dtype"].val if "output_dtype" in op.inputs else op.inputs["input"].op.output_dtype.val
    return op.scale.val, zero_point + (128 if stored == "int8" else 0)


def layer_of(op: Any) -> str:
    """The plan's name; coremltools has another for what computes in half, or has the name of the output."""
    name: str = op.name.removesuffix("_cast_fp16")
    return "linear" if name == "linear_0" else name


def planned(plan: QuantizationPlan) -> Counter[tuple[float, int]]:
    return Counter((activation.scale, activation.zero_point) for activation in plan.activations.values())


# numbers -------------------------------------------------------------------------------------------------------------


def test_activations_have_the_plans_numbers(int8: Program, plan: QuantizationPlan) -> None:
    stored = [unsigned(op) for op in int8.of("quantize")]
    assert {scale.dtype for scale, _ in stored} == {np.dtype(np.float32)}
    assert Counter((float(scale), zero_point) for scale, zero_point in stored) == planned(plan)


def test_every_tensor_is_restored_with_the_numbers_it_was_stored_with(int8: Program) -> None:
    """One of coremltools' own passes would give the terms of a sum other scales."""
    for op in int8.of("dequantize"):
        assert unsigned(op) == unsigned(op.inputs["input"].op)


def test_layers_have_the_plans_numbers(int8: Program, plan: QuantizationPlan) -> None:
    model = case_of(Mixed).model
    assert [layer_of(op) for op in int8.layers] == list(plan.layers)
    for op in int8.layers:
        layer, stored = plan.layers[layer_of(op)], op.weight.op
        assert stored.op_type == "constexpr_affine_dequantize"
        assert stored.quantized_data.val.dtype == np.int8
        assert np.array_equal(stored.quantized_data.val, integer_weight(get_tensor(model.graph, layer.weight), layer))
        assert tuple(map(float, stored.scale.val)) == layer.weight_scales
        assert stored.scale.val.dtype == np.float32
        assert not stored.zero_point.val.any()
        assert op.x.op.op_type == "dequantize"


def test_biases_are_what_integer_kernels_add(int8: Program, plan: QuantizationPlan) -> None:
    graph = case_of(Mixed).model.graph
    nodes = {node.name: node for node in graph.graph.nodes}
    for op in int8.layers:
        layer, node = plan.layers[layer_of(op)], nodes[layer_of(op)]
        wanted = plan_bias(graph, node, layer, Scheme.AFFINE)
        assert wanted is not None
        integers, scales = integer_bias(wanted, layer, plan.activations[input_of(node).name].scale)
        assert np.array_equal(op.bias.val, (integers.double() * scales.double()).float())


@pytest.mark.parametrize("precision", [Precision.FLOAT32, INT8])
def test_the_program_computes_what_the_plan_says(artifacts: Artifacts, precision: Precision) -> None:
    case = case_of(Mixed)
    program = Program(artifacts.get(Mixed, precision))
    got = np.concatenate([program.run(sample[None].copy()) for sample in case.samples])
    expected = case.expected(precision, Scheme.AFFINE)
    # The same float32 sums in another order; in INT8 that may round a value between two integers to the other.
    allowed = 1.001 * case.output_steps(Scheme.AFFINE).max() if precision is INT8 else 1e-5 * np.abs(expected).max()
    assert np.abs(got - expected).max() <= allowed


def test_float16_stores_and_computes_in_half_but_for_input_and_output(artifacts: Artifacts) -> None:
    program = Program(artifacts.get(Mixed, Precision.FLOAT16))
    model, plan = case_of(Mixed).model, case_of(Mixed).plans[Precision.FLOAT16]
    for op in program.layers:
        assert op.weight.val.dtype == np.float16
        assert np.array_equal(op.weight.val, get_tensor(model.graph, plan.layers[layer_of(op)].weight).half())
    ends = (*program.spec.description.input, *program.spec.description.output)
    assert {end.type.multiArrayType.dataType for end in ends} == {65568}  # float32 in Core ML's specification
    assert [op.op_type for op in (program.operations[0], program.operations[-1])] == ["cast", "cast"]


def test_weights_of_a_mixed_plan_are_stored_narrow(artifacts: Artifacts) -> None:
    halves = Program(artifacts.get(Mixed, "half layers")).layers
    assert Counter(op.weight.op.op_type for op in halves) == {"constexpr_affine_dequantize": 4, "constexpr_cast": 3}
    assert {op.weight.op.source_val.val.dtype for op in halves if op.weight.op.op_type == "constexpr_cast"} == {
        np.dtype(np.float16)
    }
    case = case_of(Mixed)
    layers = case.mixed["weight-only"].layers
    only = Program(artifacts.get(Mixed, "weight-only"))
    assert not only.of("quantize")
    for op in only.layers:
        layer = layers[layer_of(op)]
        wanted = integer_weight(get_tensor(case.model.graph, layer.weight), layer)
        assert np.array_equal(op.weight.op.quantized_data.val, wanted)
        assert tuple(map(float, op.weight.op.scale.val)) == layer.weight_scales


# options -------------------------------------------------------------------------------------------------------------


def convert(plan: QuantizationPlan, folder: Path, **options: str) -> Artifact:
    asked = {name.replace("_", "-"): value for name, value in options.items()}
    return CoreML().convert(Variant(case_of(Mixed).model, plan, asked), folder)


def test_for_the_neural_engine_scales_are_the_plans_in_half(plan: QuantizationPlan, tmp_path: Path) -> None:
    artifact = convert(plan, tmp_path, compute_units="cpuAndNE")
    assert artifact.options == {"ios-target": "17", "compute-units": "cpuAndNE", "batch": "1"}
    assert any("rounded to half" in note for note in artifact.notes)
    assert artifact.kernels is not None and artifact.kernels.int8 == len(plan.layers)
    stored = Counter((float(scale), point) for scale, point in map(unsigned, Program(artifact).of("quantize")))
    wanted = [(float(np.float16(one.scale)), one.zero_point) for one in plan.activations.values()]
    assert stored == Counter(wanted)


@pytest.mark.parametrize(("ios", "version"), [("17", 8), ("18", 9), ("26", 10)])
def test_the_deployment_target_is_the_one_asked_for(
    plan: QuantizationPlan, tmp_path: Path, ios: str, version: int
) -> None:
    artifact = convert(plan, tmp_path, ios_target=ios)
    program = Program(artifact)
    assert program.spec.specificationVersion == version
    assert artifact.kernels is not None and artifact.kernels.int8 == len(plan.layers)
    assert Counter((float(scale), point) for scale, point in map(unsigned, program.of("quantize"))) == planned(plan)


def test_ios_16_has_integer_weights_but_no_integer_activations(plan: QuantizationPlan, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="INT8 activations need iOS 17, and iOS 16 is asked for"):
        convert(plan, tmp_path, ios_target="16")
    case = case_of(Mixed)
    weights, _ = expressible(case.mixed["weight-only"], case.model, CoreML.info)
    program = Program(convert(weights, tmp_path, ios_target="16"))
    assert program.spec.specificationVersion == 7
    assert {op.weight.op.op_type for op in program.layers} == {"constexpr_affine_dequantize"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ios_target": "12"}, "Core ML has no ios-target '12'. Allowed: 17, 16, 18, 26."),
        ({"delegate": "gpu"}, "Core ML has no option 'delegate'. It has: ios-target, compute-units, batch."),
    ],
)
def test_other_options_are_refused(plan: QuantizationPlan, tmp_path: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        convert(plan, tmp_path, **options)
    assert str(caught.value) == said


# the package ---------------------------------------------------------------------------------------------------------


def test_the_package_holds_what_xcode_needs_and_nothing_else(artifacts: Artifacts) -> None:
    (package,) = artifacts.get(Mixed, INT8).files
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert files == {
        "Manifest.json",
        "Data/com.apple.CoreML/model.mlmodel",
        "Data/com.apple.CoreML/weights/weight.bin",
    }
    manifest = json.loads((package / "Manifest.json").read_text())
    items = manifest["itemInfoEntries"]
    assert items[manifest["rootModelIdentifier"]]["path"] == "com.apple.CoreML/model.mlmodel"
    assert all((package / "Data" / item["path"]).exists() for item in items.values())


def test_identifiers_come_from_the_content(artifacts: Artifacts, plan: QuantizationPlan, tmp_path: Path) -> None:
    def identifiers(artifact: Artifact) -> set[str]:
        return set(json.loads((artifact.files[0] / "Manifest.json").read_text())["itemInfoEntries"])

    known = identifiers(artifacts.get(Mixed, INT8))
    assert identifiers(convert(plan, tmp_path)) == known
    assert not identifiers(artifacts.get(Mixed, Precision.FLOAT32)) & known


def test_opening_the_package_leaves_it_as_it_is(plan: QuantizationPlan, tmp_path: Path) -> None:
    """coremltools writes the manifest whenever it opens a package; in a bundle every byte is vouched for."""
    artifact = convert(plan, tmp_path)
    before = {path: path.read_bytes() for path in artifact.files[0].rglob("*") if path.is_file()}
    assert Program(artifact).layers
    assert {path: path.read_bytes() for path in artifact.files[0].rglob("*") if path.is_file()} == before


def test_the_files_tell_nothing_of_the_machine_they_were_made_on(artifacts: Artifacts) -> None:
    (package,) = artifacts.get(Mixed, INT8).files
    content = b"".join(path.read_bytes() for path in package.rglob("*") if path.is_file())
    for trace in (".py", sys.prefix, str(Path.cwd()), str(Path.home()), tempfile.gettempdir()):
        assert trace.encode() not in content


def test_nothing_is_left_behind_sent_or_written_elsewhere(plan: QuantizationPlan, tmp_path: Path) -> None:
    """A fresh process that may not connect, with a home and a folder for temporary files of its own."""
    home, temporary, out = (tmp_path / name for name in ("home", "temporary", "out"))
    for folder in (home, temporary, out):
        folder.mkdir()
    program = """
import os, sys
from pathlib import Path
from pocketfit.runtimes.coreml import CoreML
from pocketfit.testing import case_of
from pocketfit.testing.models import Perceptron
from pocketfit.types import Precision

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        os.write(2, f"{event}{arguments}".encode())
        os._exit(7)

variant = case_of(Perceptron).variant(Precision.INT8)
sys.addaudithook(refuse)
CoreML().convert(variant, Path(sys.argv[1]))
sys.stdout.flush()
os._exit(0)  # as child processes end, without a chance to tidy up
"""
    environment = os.environ | {"HOME": str(home), "TMPDIR": str(temporary), "TORCHINDUCTOR_CACHE_DIR": str(out)}
    done = subprocess.run([sys.executable, "-c", program, str(out)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [path.name for path in out.iterdir()] == ["model.mlpackage"]
    assert not [path for path in (*home.rglob("*"), *temporary.rglob("*")) if path.is_file()]


# models --------------------------------------------------------------------------------------------------------------


class Recurrent(TinyModel):
    """The canonical form has no `lstm`, which coremltools could not take."""

    input_shape = (6, 8)

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 12, batch_first=True)
        self.classifier = nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps, _ = self.lstm(x)
        return self.classifier(steps[:, -1])


class Pooled(TinyModel):
    """coremltools knows the op, but not its last argument, and says in its log alone which op it was."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.avg_pool2d(x, 2, divisor_override=3).flatten(1)


def test_an_lstm_arrives_unrolled(tmp_path: Path) -> None:
    model = canonicalise(build(Recurrent), Recurrent.input_shape, name="recurrent")
    artifact = CoreML().convert(Variant(model, float_plan(model, Precision.FLOAT16)), tmp_path)
    assert artifact.kernels is not None and artifact.kernels.total > 2


def test_an_op_that_fails_inside_the_converter_is_named(tmp_path: Path) -> None:
    model = canonicalise(build(Pooled), Pooled.input_shape, name="pooled")
    with pytest.raises(ConversionError, match="cannot translate avg_pool2d: divisor_override"):
        CoreML().convert(Variant(model, float_plan(model, Precision.FLOAT32)), tmp_path)


class Terse(TinyModel):
    """Writes nothing that PyTorch fills in by itself."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = nn.functional.max_pool2d(x, 2) + nn.functional.avg_pool2d(x, 2)
        return nn.functional.hardtanh(pooled, -2, 2).clamp(min=-1)


def test_what_pytorch_fills_in_is_written_out(tmp_path: Path) -> None:
    model = canonicalise(build(Terse), Terse.input_shape, name="terse")
    artifact = CoreML().convert(Variant(model, float_plan(model, Precision.FLOAT32)), tmp_path)
    assert artifact.output.shape == (1, 3, 8, 8)


def test_another_runtimes_plan_is_refused(tmp_path: Path) -> None:
    case = case_of(Mixed)
    with pytest.raises(ConversionError, match="cannot express the plan"):
        CoreML().convert(Variant(case.model, case.mixed["16-bit activations"]), tmp_path)

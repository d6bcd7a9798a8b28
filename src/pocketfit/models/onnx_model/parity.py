"""Proof that a module computes what ONNX Runtime computes from the same file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx
import torch
from onnx import ModelProto
from torch import Tensor

from pocketfit.errors import ModelError
from pocketfit.graph.base import relative_error
from pocketfit.models.onnx_model.module import OnnxModule

__all__ = ["TOLERANCE", "check_parity"]

# Sums in another order differ by 1e-6 to 1e-5 of the output's range in deep networks; a wrong attribute by far more.
TOLERANCE = 1e-4


def check_parity(module: OnnxModule, model: ModelProto, *shapes: tuple[int, ...]) -> float:
    """Run both on the same inputs, with a batch of 1 and of 2 where the file takes any.

    Args:
        module: made from the file.
        model: the file.
        shapes: of its inputs without the batch, as the module takes them.

    Returns:
        The largest error, as a share of the output's range.

    Raises:
        ModelError: it is more than `TOLERANCE`, naming the first node that differs; or ONNX Runtime cannot run the
            file.
    """
    session = _session(model)
    worst = 0.0
    for inputs in _inputs(shapes, module.program.batch):
        expected = _answers(session, module, inputs, list(module.program.outputs))
        worst = max(worst, _error(expected, module, inputs))
        if worst > TOLERANCE:
            raise ModelError(
                f"The module made from the file differs from ONNX Runtime by {worst:.2g} of the output's range; "
                f"{TOLERANCE:.0e} is allowed. {_first_difference(module, model, inputs)}"
            )
    return worst


def _inputs(shapes: Sequence[tuple[int, ...]], written: int | None) -> Iterator[list[Tensor]]:
    """Random numbers around zero, and some as in a picture."""
    generator = torch.Generator().manual_seed(0)
    for batch in [1, 2] if written is None else [written]:
        yield [torch.randn(batch, *shape, generator=generator) for shape in shapes]
    yield [torch.rand(written or 1, *shape, generator=generator) for shape in shapes]


def _error(expected: Mapping[str, Any], module: OnnxModule, inputs: Sequence[Tensor]) -> float:
    """Of the worst output."""
    with torch.no_grad():
        returned = module(*inputs)
    results = returned if isinstance(returned, tuple) else (returned,)
    errors = []
    for got, (name, wanted) in zip(results, expected.items(), strict=True):
        if got.shape != wanted.shape:
            raise ModelError(
                f"The module made from the file returns {tuple(got.shape)} as {name!r}, and ONNX Runtime "
                f"{tuple(wanted.shape)}. Report it together with the model."
            )
        errors.append(relative_error(torch.from_numpy(wanted), got))
    return max(errors)


def _session(model: ModelProto) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    # Its own exceptions share no base.
    except Exception as error:
        raise ModelError(
            f"ONNX Runtime {onnxruntime.__version__} cannot open the file, so nothing proves what it computes: "
            f"{_first_line(error)}"
        ) from error


def _answers(session: Any, module: OnnxModule, inputs: Sequence[Tensor], names: list[str]) -> Mapping[str, Any]:
    given = {name: value.contiguous().numpy() for name, value in module.given(inputs).items()}
    try:
        answers = session.run(names, given)
    except Exception as error:
        shape = ", ".join("x".join(map(str, value.shape)) for value in given.values())
        raise ModelError(
            f"ONNX Runtime cannot run the file with the input {shape}: {_first_line(error)}\n"
            "Give the input it was made for as --input channels x height x width, such as --input 3x224x224."
        ) from error
    return dict(zip(names, answers, strict=True))


def _first_difference(module: OnnxModule, model: ModelProto, inputs: Sequence[Tensor]) -> str:
    """Compare every value that both have, in order."""
    with torch.no_grad():
        values = module.trace(*inputs)
    given = module.given(inputs)
    ours = {name: value for name, value in values.items() if isinstance(value, Tensor) and name not in given}
    theirs = _answers(_session(_with_all_outputs(model, ours)), module, inputs, list(ours))
    for node in module.program.nodes:
        for name in filter(ours.__contains__, node.outputs):
            error = relative_error(torch.from_numpy(theirs[name]), ours[name])
            if error > TOLERANCE:
                return f"The first difference is at {node}, by {error:.2g}. Report it together with the model."
    return "It comes from many small differences. Report it together with the model."


def _with_all_outputs(model: ModelProto, names: Mapping[str, Tensor]) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    present = {value.name for value in (*copy.graph.output, *copy.graph.input)}
    copy.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in present)
    return copy


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")

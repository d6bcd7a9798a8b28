"""Turn a SavedModel or a .tflite file into ONNX, and write down what it answers; run by its path, in its own process.

    request.json ─→ model.onnx, outcome.json, question_N.npz, answer_N.npz

Nothing of Pocketfit is imported here: TensorFlow registers names with protobuf that other converters register as well,
and whoever is second ends the process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# The newest that tf2onnx was tried with here.
OPSET = 17
# The graph may ask for a file, or for Python.
FORBIDDEN = frozenset({"ReadFile", "WriteFile", "PyFunc", "PyFuncStateless", "EagerPyFunc"})

Sizes = list[int | None]
Arrays = Mapping[str, np.ndarray]
Answer = Callable[[Arrays], Arrays]


class Refused(Exception):
    """What the user has to be told."""


def main(folder: Path) -> None:
    """Do what the request in the folder says."""
    request = json.loads((folder / "request.json").read_text())
    outcome: dict[str, object] = {}
    try:
        _convert(Path(request["path"]), request["shape"], folder)
    except Refused as error:
        outcome = {"refused": str(error)}
    # TensorFlow and tf2onnx complain in as many ways as there are ops.
    except Exception as error:
        outcome = {"failed": f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"}
    (folder / "outcome.json").write_text(json.dumps(outcome))


def _convert(path: Path, shape: Sequence[int] | None, folder: Path) -> None:
    lite = path.suffix == ".tflite"
    sizes, answer, options = _lite(path) if lite else _saved(path)
    _to_onnx([*options, "--output", str(folder / "model.onnx"), "--opset", str(OPSET)])
    # Of several inputs, nothing says which shape is meant for which: the file has to.
    filled = {name: _filled(one, shape if len(sizes) == 1 else None) for name, one in sizes.items()}
    # Whoever reads the ONNX file asks for sizes that are still open.
    if any(None in one for one in filled.values()):
        return
    generator = np.random.default_rng(0)
    kinds: tuple[Any, ...] = (generator.standard_normal, generator.random)
    for index, numbers in enumerate(kinds):
        question: dict[str, Any] = {name: numbers(one).astype(np.float32) for name, one in filled.items()}
        np.savez(folder / f"question_{index}.npz", **question)
        answers: dict[str, Any] = dict(answer(question))
        np.savez(folder / f"answer_{index}.npz", **answers)


def _to_onnx(arguments: list[str]) -> None:
    from tf2onnx import convert

    sys.argv = ["tf2onnx", *arguments]
    convert.main()


def _filled(sizes: Sequence[int | None], shape: Sequence[int] | None) -> Sizes:
    """One sample's sizes; what the file leaves open is taken from the input that was given, channels first."""
    given: Sizes = list(shape) if shape else [None] * (len(sizes) - 1)
    if shape and len(sizes) == 4 and not _fits(sizes[1:], given):
        given = [given[1], given[2], given[0]]
    return [1, *(mine if mine is not None else theirs for mine, theirs in zip(sizes[1:], given, strict=False))]


def _fits(sizes: Sequence[int | None], given: Sequence[int | None]) -> bool:
    open_channels_last = sizes[0] is None and sizes[2] is not None
    fits = all(mine in (None, theirs) for mine, theirs in zip(sizes, given, strict=True))
    return fits and not open_channels_last


def _saved(path: Path) -> tuple[dict[str, Sizes], Answer, list[str]]:
    """Sizes of the inputs, how to ask, and how tf2onnx is told."""
    _check_saved(path)
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    name = _signature(sorted(loaded.signatures))
    function = loaded.signatures[name]
    inputs = function.structured_input_signature[1]
    for spec in inputs.values():
        if spec.dtype != tf.float32 or spec.shape.rank is None:
            raise Refused(f"takes {spec.dtype.name} of shape {spec.shape}; Pocketfit feeds float32 of a known rank.")

    def answer(question: Arrays) -> Arrays:
        given = {key: tf.constant(values) for key, values in question.items()}
        return {one: value.numpy() for one, value in function(**given).items()}

    options = ["--saved-model", str(path), "--signature_def", name, "--tag", "serve"]
    return {key: list(spec.shape) for key, spec in inputs.items()}, answer, options


def _check_saved(path: Path) -> None:
    """Before TensorFlow loads it, which runs what the file calls its initializer."""
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    for graph in (meta.graph_def for meta in content.meta_graphs):
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        found = next((node for node in nodes if node.op in FORBIDDEN), None)
        if found is not None:
            raise Refused(f"holds {found.op} (node {found.name!r}), which reaches outside the model.")


def _signature(names: Sequence[str]) -> str:
    if "serving_default" in names or len(names) == 1:
        return "serving_default" if "serving_default" in names else names[0]
    raise Refused(
        f"has {len(names)} signatures ({', '.join(names) or 'none'}) and none is called serving_default. "
        'Save it with tf.saved_model.save(model, path, signatures={"serving_default": function}).'
    )


def _lite(path: Path) -> tuple[dict[str, Sizes], Answer, list[str]]:
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(str(path))
    _check_lite(interpreter)
    inputs = interpreter.get_input_details()
    sizes = {one["name"]: [None if size < 0 else int(size) for size in one["shape_signature"]] for one in inputs}

    def answer(question: Arrays) -> Arrays:
        for given in inputs:
            interpreter.resize_tensor_input(given["index"], question[given["name"]].shape)
        interpreter.allocate_tensors()
        for given in inputs:
            interpreter.set_tensor(given["index"], question[given["name"]])
        interpreter.invoke()
        return {one["name"]: interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()}

    return sizes, answer, ["--tflite", str(path)]


def _check_lite(interpreter: Any) -> None:
    quantized = [one for one in interpreter.get_tensor_details() if len(one["quantization_parameters"]["scales"])]
    if quantized:
        raise Refused(
            f"is quantized already ({len(quantized)} tensors, {quantized[0]['name']!r} is "
            f"{np.dtype(quantized[0]['dtype']).name}), and Pocketfit needs float weights: give the float .tflite, "
            "converted without optimizations, or the SavedModel that it was made from."
        )
    inputs = interpreter.get_input_details()
    if any(one["dtype"] is not np.float32 for one in inputs):
        got = ", ".join(f"{one['name']} ({np.dtype(one['dtype']).name})" for one in inputs)
        raise Refused(f"takes {got}. Pocketfit feeds float32.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

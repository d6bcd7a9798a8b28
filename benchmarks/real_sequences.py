"""A trained recurrent network as a PyTorch module, and the digits it reads row by row.

The network and the test set of MNIST lie in the data folder that the environment variable ``POCKETFIT_DATA``
names: an LSTM of 20 units over the 28 rows of an image, all of whose hidden states a linear layer reads.
"""

import gzip
import math
import struct
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from benchmarks.real_data import cache_folder, data_file

FloatArray = npt.NDArray[np.float32]

ROWS = COLUMNS = 28
UNITS = 20
CLASSES = 10

# What TensorFlow Lite's sequence LSTM reads, by position: the weights of the input and of the hidden state and the
# biases, each in the order input, forget, cell and output gate, which is PyTorch's, too.
_INPUT_WEIGHTS = slice(1, 5)
_HIDDEN_WEIGHTS = slice(5, 9)
_BIASES = slice(12, 16)

# An IDX file starts with two zero bytes, the type of the values (8: unsigned bytes) and the number of dimensions.
_IDX_BYTES = b"\0\0\x08"


class MnistLstm(nn.Module):
    """An LSTM over the rows of an image and a linear layer over all of its hidden states."""

    # So that `pocketfit fit` need not be told.
    input_shape = (ROWS, COLUMNS)

    def __init__(self) -> None:
        """Builds the network with random weights."""
        super().__init__()
        self.lstm = nn.LSTM(COLUMNS, UNITS, batch_first=True)
        self.output = nn.Linear(ROWS * UNITS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, 28, 28) images in 0..1 to (N, 10) logits."""
        hidden, _ = self.lstm(x)
        logits: Tensor = self.output(hidden.flatten(1))
        return logits


def mnist_lstm() -> nn.Module:
    """Builds the LSTM for handwritten digits that TensorFlow Lite Micro publishes, with its weights.

    The softmax at the end of the published file is left out: it does not change which class wins.

    Returns:
        The network in evaluation mode. Input: (N, 28, 28) float, 0..1. Output: (N, 10) logits. It answers
        98.53% of MNIST's 10,000 test images correctly.

    Raises:
        FileNotFoundError: The weights are missing; the message names ``POCKETFIT_DATA``.
    """
    net = MnistLstm()
    lstm, dense = _tflite_constants(data_file("mnist-lstm/trained_lstm.tflite"))
    weights = {
        "lstm.weight_ih_l0": np.concatenate(lstm[_INPUT_WEIGHTS]),
        "lstm.weight_hh_l0": np.concatenate(lstm[_HIDDEN_WEIGHTS]),
        "lstm.bias_ih_l0": np.concatenate(lstm[_BIASES]),
        "lstm.bias_hh_l0": np.zeros(4 * UNITS, np.float32),
        "output.weight": dense[1],
        "output.bias": dense[2],
    }
    net.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    return net.eval()


def mnist_test() -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Reads the test set of MNIST.

    Returns:
        10,000 images (N, 28, 28), 0..1, and their digits (N).

    Raises:
        FileNotFoundError: The files are missing; the message names ``POCKETFIT_DATA``.
        ValueError: A file is not what it should be.
    """
    images = _idx(data_file("mnist-lstm/t10k-images-idx3-ubyte.gz"))
    labels = _idx(data_file("mnist-lstm/t10k-labels-idx1-ubyte.gz"))
    return images.astype(np.float32) / np.float32(255), labels.astype(np.int64)


def mnist_test_file() -> Path:
    """Writes the test set of MNIST, once, as an ``.npz`` file that ``pocketfit fit --data`` takes.

    Returns:
        The file, in the cache that ``POCKETFIT_BENCH_CACHE`` names.
    """
    path = cache_folder() / "mnist-test.npz"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        x, y = mnist_test()
        # Renamed when complete: an interrupted run leaves no half of it under the final name.
        scratch = path.with_suffix(".partial.npz")
        np.savez(scratch, x=x, y=y)
        scratch.rename(path)
    return path


def _tflite_constants(path: Path) -> Iterator[list[FloatArray]]:
    """Reads the inputs of a float TFLite file's operators that have weights.

    Args:
        path: The file.

    Yields:
        The constant inputs of the sequence LSTM, then those of the fully connected layer, by their position.
    """
    litert = import_module("ai_edge_litert.interpreter")  # by name: the package has no type information
    plain = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = litert.Interpreter(str(path), experimental_op_resolver_type=plain)
    # What is computed has no memory yet, and reads as empty; an index of -1 is an input left out.
    interpreter.allocate_tensors()
    for operator in interpreter._get_ops_details():
        if operator["op_name"] in ("UNIDIRECTIONAL_SEQUENCE_LSTM", "FULLY_CONNECTED"):
            inputs = [int(index) for index in operator["inputs"]]
            yield [interpreter.get_tensor(index) if index >= 0 else np.zeros(0, np.float32) for index in inputs]


def _idx(path: Path) -> npt.NDArray[np.uint8]:
    """Reads a compressed IDX file of unsigned bytes.

    Raises:
        ValueError: The file does not start, or end, as such a file does.
    """
    with gzip.open(path) as file:
        data = file.read()
    if data[:3] != _IDX_BYTES:
        raise ValueError(f"{path.name}: starts with {data[:3]!r}, which is not an IDX file of bytes")
    shape = struct.unpack_from(f">{data[3]}I", data, 4)
    start = 4 + 4 * data[3]
    if len(data) - start != math.prod(shape):
        raise ValueError(f"{path.name}: {len(data) - start} values for the shape {shape}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)

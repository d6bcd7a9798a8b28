"""LiteRT's interpreter for the stand-in of its Java class: MODEL THREADS, then inputs and outputs as raw bytes."""

from __future__ import annotations

import struct
import sys
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def told(details: list[dict[str, Any]]) -> bytes:
    """What Java's DataInputStream reads: how many, and of each its name, type, bytes, scale and zero point."""
    parts = [struct.pack(">i", len(details))]
    for one in details:
        scale, zero_point = one["quantization"]
        bytes_ = int(np.prod(one["shape"])) * np.dtype(one["dtype"]).itemsize
        for word in (one["name"], np.dtype(one["dtype"]).name.upper()):
            parts.append(struct.pack(">H", len(word.encode())) + word.encode())
        parts.append(struct.pack(">ifi", bytes_, scale, zero_point))
    return b"".join(parts)


def main(model: str, threads: str) -> None:
    interpreter = Interpreter(model_path=model, num_threads=int(threads))
    interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    sys.stdout.buffer.write(told(inputs) + told(outputs))
    sys.stdout.buffer.flush()
    while True:
        for one in inputs:
            needed = int(np.prod(one["shape"])) * np.dtype(one["dtype"]).itemsize
            data = sys.stdin.buffer.read(needed)
            if len(data) < needed:
                return
            interpreter.set_tensor(one["index"], np.frombuffer(data, one["dtype"]).reshape(one["shape"]))
        interpreter.invoke()
        for one in outputs:
            sys.stdout.buffer.write(interpreter.get_tensor(one["index"]).tobytes())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

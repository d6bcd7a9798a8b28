"""The flatbuffer inside an `.mnn` file: reading its tables, and writing it anew with some of them replaced.

MNN's wheel brings no code for its own format, so the layouts of the tables that matter here stand below, after the
schema of MNN 3.6. Everything else is carried along unread: a flatbuffer refers forwards only, so new tables are put in
front of the old bytes and refer into them.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pocketfit.errors import ConversionError

__all__ = [
    "BINARY",
    "BLOB",
    "CAST",
    "CONVOLUTION",
    "DESCRIPTION",
    "INT8_NUMBERS",
    "LAYER_NORM",
    "NET",
    "OP",
    "SCALE",
    "TENSOR_NUMBERS",
    "WEIGHTS",
    "Layout",
    "Record",
    "Rewriter",
]

# Fields in the order of the schema. "o" refers to a table, vector or string; the others are struct's letters.
Layout = Mapping[str, str]

NET: Layout = {
    "biz_code": "o",
    "described": "o",
    "extra": "o",
    "ops": "o",
    "output_names": "o",
    "forward": "b",
    "source": "b",
    "tensor_names": "o",
    "tensor_count": "i",
    "usage": "b",
    "subgraphs": "o",
    "uuid": "o",
}
OP: Layout = {
    "inputs": "o",
    "main_type": "B",
    "main": "o",
    "name": "o",
    "outputs": "o",
    "kind": "i",
    "dimensions": "b",
    "external_path": "o",
}
CONVOLUTION: Layout = {
    "common": "o",
    "weight": "o",
    "bias": "o",
    "quantized": "o",
    "int8": "o",
    "sparse": "o",
    "external": "o",
}
WEIGHTS: Layout = {
    "buffer": "o",
    "scales": "o",
    "type": "i",
    "int32": "B",
    "scale": "f",
    "input_scale": "f",
    "output_scale": "f",
    "bits": "i",
    "minimum": "i",
    "read_type": "i",
    "int_scale": "B",
    "wide_shape": "B",
    "size": "I",
}
INT8_NUMBERS: Layout = {
    "weight": "o",
    "bias": "o",
    "scale": "o",
    "tensor_scale": "o",
    "method": "b",
    "bits": "i",
    "zero_point": "b",
    "output_zero_point": "b",
    "lowest": "b",
    "highest": "b",
}
DESCRIPTION: Layout = {"blob": "o", "index": "i", "name": "o", "regions": "o", "numbers": "o"}
TENSOR_NUMBERS: Layout = {"scale": "f", "zero_point": "f", "lowest": "f", "highest": "f", "type": "i"}
BINARY: Layout = {"operation": "i", "type": "i", "activation": "i"}
CAST: Layout = {"source": "i", "target": "i"}
BLOB: Layout = {
    "shape": "o",
    "format": "b",
    "type": "i",
    "uint8": "o",
    "int8": "o",
    "int32": "o",
    "int64": "o",
    "float32": "o",
    "strings": "o",
    "external": "o",
}
LAYER_NORM: Layout = {
    "axis": "o",
    "epsilon": "f",
    "gamma": "o",
    "beta": "o",
    "group": "i",
    "external": "o",
    "rms": "B",
}
SCALE: Layout = {"channels": "i", "scale": "o", "bias": "o", "external": "o"}

# Vectors of 64-bit numbers are the widest things in the format.
_ALIGNMENT = 8


@dataclass(frozen=True)
class Record:
    """One table of the file.

    Args:
        content: the whole file.
        position: of the table in it.
        layout: its fields.
    """

    content: bytes
    position: int
    layout: Layout

    @classmethod
    def root(cls, content: bytes) -> Record:
        """The network, which every other table hangs from."""
        return cls(content, _follow(content, 0), NET)

    def number(self, field: str, default: float = 0) -> Any:
        """A number, or the schema's default where the file leaves it out."""
        place = self._place(field)
        return default if place is None else struct.unpack_from("<" + self.layout[field], self.content, place)[0]

    def numbers(self, field: str, dtype: type[np.generic]) -> np.ndarray:
        """A vector of numbers; empty where the file leaves it out."""
        start = self.target(field)
        if start is None:
            return np.empty(0, dtype)
        (count,) = struct.unpack_from("<I", self.content, start)
        values: np.ndarray = np.frombuffer(self.content, dtype, count, start + 4)
        return values

    def text(self, field: str) -> str:
        """A string; empty where the file leaves it out."""
        return self.numbers(field, np.uint8).tobytes().decode()

    def texts(self, field: str) -> tuple[str, ...]:
        """A vector of strings."""
        return tuple(_text(self.content, start) for start in self.targets(field))

    def record(self, field: str, layout: Layout) -> Record | None:
        """A table that this one refers to."""
        start = self.target(field)
        return None if start is None else Record(self.content, start, layout)

    def records(self, field: str, layout: Layout) -> Iterator[Record]:
        """The tables of a vector."""
        return (Record(self.content, start, layout) for start in self.targets(field))

    def target(self, field: str) -> int | None:
        """The position of what a field refers to."""
        place = self._place(field)
        return None if place is None else _follow(self.content, place)

    def targets(self, field: str) -> list[int]:
        """The positions of what a vector refers to."""
        start = self.target(field)
        if start is None:
            return []
        (count,) = struct.unpack_from("<I", self.content, start)
        return [_follow(self.content, start + 4 + 4 * index) for index in range(count)]

    def has(self, field: str) -> bool:
        """Whether the file has the field."""
        return self._place(field) is not None

    def slots(self) -> int:
        """How many fields whoever wrote the file knew; more than the layout's means a newer format."""
        size = struct.unpack_from("<H", self.content, self._table())[0]
        return int(size - 4) // 2

    def _table(self) -> int:
        return int(self.position - struct.unpack_from("<i", self.content, self.position)[0])

    def _place(self, field: str) -> int | None:
        slot = list(self.layout).index(field)
        if slot >= self.slots():
            return None
        offset = struct.unpack_from("<H", self.content, self._table() + 4 + 2 * slot)[0]
        return self.position + offset if offset else None


class Rewriter:
    """Writes new tables in front of a file; they may refer to the old ones."""

    def __init__(self, content: bytes) -> None:
        import flatbuffers

        self._end = len(content) + -len(content) % _ALIGNMENT
        self._builder = flatbuffers.Builder(self._end + 4096)
        self._builder.CreateByteVector(content.ljust(self._end, b"\0"))
        self._builder.Prep(_ALIGNMENT, 0)
        self._vectors: dict[tuple[str, bytes], int] = {}

    def old(self, position: int) -> int:
        """A reference to what stands at that position of the old file."""
        return self._end - position

    def fields(self, record: Record) -> dict[str, Any]:
        """All fields of an old table, ready to be changed and written.

        Raises:
            ConversionError: the table has fields that are unknown here, which would be lost.
        """
        if record.slots() > len(record.layout):
            raise ConversionError(
                "mnn", "the installed MNN writes a newer file format than is known here", "Install MNN 3.6.1."
            )
        found: dict[str, Any] = {}
        for field, kind in record.layout.items():
            if record.has(field):
                target = record.target(field) if kind == "o" else None
                found[field] = record.number(field) if target is None else self.old(target)
        return found

    def table(self, layout: Layout, fields: Mapping[str, Any]) -> int:
        """Write a table; fields that are None are left out."""
        self._builder.StartObject(len(layout))
        for slot, (field, kind) in enumerate(layout.items()):
            value = fields.get(field)
            if value is not None:
                _PREPEND[kind](self._builder, value)
                self._builder.Slot(slot)
        return int(self._builder.EndObject())

    def numbers(self, values: np.ndarray) -> int:
        """Write a vector of numbers; equal ones once."""
        key = (values.dtype.str, hashlib.sha256(values.tobytes()).digest())
        if key not in self._vectors:
            self._vectors[key] = int(self._builder.CreateNumpyVector(np.ascontiguousarray(values).ravel()))
        return self._vectors[key]

    def text(self, text: str) -> int:
        """Write a string."""
        return int(self._builder.CreateString(text))

    def references(self, offsets: Sequence[int]) -> int:
        """Write a vector of references."""
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def finish(self, net: Mapping[str, Any]) -> bytes:
        """The new file, with that network as its root."""
        self._builder.Finish(self.table(NET, net))
        return bytes(self._builder.Output())


_PREPEND = {
    "o": lambda builder, value: builder.PrependUOffsetTRelative(value),
    "b": lambda builder, value: builder.PrependInt8(value),
    "B": lambda builder, value: builder.PrependUint8(value),
    "i": lambda builder, value: builder.PrependInt32(value),
    "I": lambda builder, value: builder.PrependUint32(value),
    "f": lambda builder, value: builder.PrependFloat32(value),
}


def _follow(content: bytes, place: int) -> int:
    return int(place + struct.unpack_from("<I", content, place)[0])


def _text(content: bytes, start: int) -> str:
    (size,) = struct.unpack_from("<I", content, start)
    return content[start + 4 : start + 4 + size].decode()

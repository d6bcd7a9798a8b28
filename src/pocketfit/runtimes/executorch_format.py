"""ExecuTorch's `.pte` files, as far as Pocketfit looks into them: the kernels they call and the weights those read.

A program is a flatbuffer followed by segments. An instruction calls a kernel by name or a delegate by number; what the
XNNPACK delegate computes is a flatbuffer of its own behind a header, and its constants are segments found by name.
Tables are read by the numbers of their fields, which the schemas never change, so that no converter needs to be
imported to look at a file.

Source: ExecuTorch's `program.fbs` and `schema.fbs` of its XNNPACK backend.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FLOAT32", "HALF", "INTEGERS", "DelegateGraph", "Layer", "Program", "Table"]

# Of XNNPACK's data types, those that weights have.
FLOAT32, HALF = 1, 2
INTEGERS = frozenset({3, 6, 8, 10})

# Kinds of XNNPACK nodes that multiply and sum, and the field in which each names its second input.
_FULLY_CONNECTED, _CONVOLUTION, _DEPTHWISE, _MATRIX_PRODUCT, _TRANSPOSED = 2, 7, 13, 37, 39
_ATTENTION = 36
_SECOND_INPUT = {_FULLY_CONNECTED: 1, _CONVOLUTION: 16, _DEPTHWISE: 16, _TRANSPOSED: 16, _MATRIX_PRODUCT: 1}
_LAYERS = frozenset({_FULLY_CONNECTED, _CONVOLUTION, _DEPTHWISE, _TRANSPOSED})

_KERNEL_CALL, _DELEGATE_CALL = 1, 2
_QUANTIZED_VALUE = 2


class Table:
    """One table of a flatbuffer.

    Args:
        data: the whole flatbuffer.
        position: where the table begins; the root's when left out.
    """

    def __init__(self, data: bytes | bytearray, position: int | None = None) -> None:
        self.data = data
        self.position = self._jump(0) if position is None else position

    def place(self, field: int) -> int:
        """Where the field's value lies; 0 where the table leaves it out."""
        fields = self.position - self._number("<i", self.position)
        if 4 + 2 * field >= self._number("<H", fields):
            return 0
        offset = self._number("<H", fields + 4 + 2 * field)
        return self.position + offset if offset else 0

    def number(self, field: int, kind: str = "<I", default: int = 0) -> int:
        """An integer, in the notation of `struct`."""
        place = self.place(field)
        return self._number(kind, place) if place else default

    def table(self, field: int) -> Table:
        """A table that is known to be there."""
        return Table(self.data, self._jump(self.place(field)))

    def tables(self, field: int) -> list[Table]:
        """A vector of tables."""
        place = self.place(field)
        if not place:
            return []
        start = self._jump(place)
        items = range(start + 4, start + 4 + 4 * self._number("<I", start), 4)
        return [Table(self.data, self._jump(item)) for item in items]

    def text(self, field: int) -> str:
        """A string; empty where it is left out."""
        place, length = self.text_place(field)
        return bytes(self.data[place : place + length]).decode()

    def text_place(self, field: int) -> tuple[int, int]:
        """Where a string begins, and its bytes; also those of a vector of bytes."""
        place = self.place(field)
        if not place:
            return 0, 0
        start = self._jump(place)
        return start + 4, self._number("<I", start)

    def _number(self, kind: str, place: int) -> int:
        value: int = struct.unpack_from(kind, self.data, place)[0]
        return value

    def _jump(self, place: int) -> int:
        return place + self._number("<I", place)


@dataclass(frozen=True)
class Layer:
    """A node of XNNPACK that multiplies and sums.

    Args:
        datatype: of its weight, or second factor, as XNNPACK numbers them.
        value: the weight's table of type and shape; None for attention, which has no single one.
        constant: the weight's entry among the constants; None where it is computed.
        has_weight: whether it is a convolution or linear layer, and not a product of two results.
    """

    datatype: int
    value: Table | None
    constant: Table | None
    has_weight: bool


class DelegateGraph:
    """What an XNNPACK delegate was handed; `data` is its flatbuffer, which may be changed in place."""

    def __init__(self, blob: bytes) -> None:
        self.blob = bytearray(blob)
        start, size = struct.unpack_from("<II", blob, 10)
        self._start = start
        self.data = self.blob[start : start + size]
        self._root = Table(self.data)

    def packed(self) -> bytes:
        """The blob with the changes made to `data`."""
        return bytes(self.blob[: self._start] + self.data + self.blob[self._start + len(self.data) :])

    def constants(self) -> list[Table]:
        """Entries of (offset, size, name); the first stands for none."""
        return self._root.tables(8)

    def layers(self) -> Iterator[Layer]:
        """The nodes that multiply and sum, in the order in which they run."""
        values, constants = self._root.tables(2), self.constants()
        for node in self._root.tables(1):
            kind = node.number(0, "<B")
            if kind in _SECOND_INPUT:
                value = _plain(values[node.table(1).number(_SECOND_INPUT[kind])])
                index = value.number(3)
                constant = constants[index] if index else None
                yield Layer(value.number(0, "<h"), value, constant, kind in _LAYERS)
            elif kind == _ATTENTION:
                yield from [Layer(FLOAT32, None, None, has_weight=False)] * 2


def _plain(value: Table) -> Table:
    """The part of a value that quantized and other ones have in common."""
    table = value.table(1)
    return table.table(0) if value.number(0, "<B") == _QUANTIZED_VALUE else table


class Program:
    """A `.pte` file opened for reading."""

    def __init__(self, path: Path) -> None:
        self._content = path.read_bytes()
        self._root = Table(self._content)
        (self._plan,) = [plan for plan in self._root.tables(1) if plan.text(0) == "forward"]

    def operators(self) -> list[str]:
        """Kernels outside of delegates, as `namespace::name.overload`."""
        named = ((entry.text(0), entry.text(1)) for entry in self._plan.tables(6))
        return [f"{name}.{overload}" if overload else name for name, overload in named]

    def kernel_calls(self) -> Iterator[str]:
        """The kernel of each call outside of delegates, in the order in which they run."""
        operators = self.operators()
        for instruction in self._instructions():
            if instruction.number(0, "<B") == _KERNEL_CALL:
                yield operators[instruction.table(1).number(0, "<i")]

    def delegates(self) -> list[str]:
        """The backend of each call of a delegate, in the order in which they run."""
        names = [delegate.text(0) for delegate in self._plan.tables(7)]
        calls = (each for each in self._instructions() if each.number(0, "<B") == _DELEGATE_CALL)
        return [names[call.table(1).number(0, "<i")] for call in calls]

    def planned_bytes(self) -> int:
        """Memory that the program has planned outside of delegates; the first of its buffers stands for none."""
        place = self._plan.place(8)
        start = self._plan._jump(place)
        (count,) = struct.unpack_from("<I", self._content, start)
        sizes: tuple[int, ...] = struct.unpack_from(f"<{count}q", self._content, start + 4)
        return sum(sizes)

    def graphs(self) -> list[DelegateGraph]:
        """What the XNNPACK delegates compute."""
        mine = [delegate for delegate in self._plan.tables(7) if delegate.text(0) == "XnnpackBackend"]
        return [DelegateGraph(self._blob(delegate.table(1))) for delegate in mine]

    def named(self) -> dict[str, bytes]:
        """Constants of delegates, by name."""
        return {entry.text(0): self._segment(entry.number(1)) for entry in self._root.tables(7)}

    def _instructions(self) -> Iterator[Table]:
        for chain in self._plan.tables(5):
            yield from chain.tables(2)

    def _blob(self, reference: Table) -> bytes:
        index = reference.number(1)
        if reference.number(0, "<b"):
            return self._segment(index)
        place, length = self._root.tables(3)[index].text_place(0)
        return self._content[place : place + length]

    def _segment(self, index: int) -> bytes:
        segment = self._root.tables(4)[index]
        # Behind the flatbuffer's identifier: magic, length, size of the program, where the segments begin.
        start: int = struct.unpack_from("<Q", self._content, 24)[0] + segment.number(0, "<Q")
        return self._content[start : start + segment.number(1, "<Q")]

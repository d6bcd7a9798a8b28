"""Who is enrolled, and who of them an embedding is like: the reference that every language follows bit for bit."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketfit.errors import DataError, InputError, OutputError
from pocketfit.matching.cosine import dot, normalised

__all__ = ["Gallery", "Match", "normalised"]

# The file: this, the embedding's length, the model, the number of templates; then each name and its float32 numbers.
# Whole numbers are unsigned with 4 bytes, texts are their bytes in UTF-8 behind their number; all is little-endian.
_MAGIC = b"PFGALL01"
_WHOLE = struct.Struct("<I")


@dataclass(frozen=True)
class Match:
    """Somebody in the gallery, and the cosine with the template, -1..1."""

    name: str
    score: float


class Gallery:
    """Templates by name, in the order of their enrolment.

    Args:
        model: what makes the embeddings, which tell nothing to another one.
        length: of an embedding.
        threshold: a cosine above it is that of the same person.
    """

    def __init__(self, model: str, length: int, threshold: float) -> None:
        self.model = model
        self.length = length
        self.threshold = threshold
        self._names: list[str] = []
        self._templates = np.empty((0, length), np.float32)

    @property
    def names(self) -> tuple[str, ...]:
        """Who is enrolled."""
        return tuple(self._names)

    def enrol(self, name: str, embeddings: np.ndarray) -> float:
        """Keep the mean of somebody's embeddings, in the place of an older one of that name.

        The template is the mean of the embeddings at length 1, summed in float64 in their order, rounded to float32 and
        brought to length 1.

        Args:
            name: not empty.
            embeddings: n×length, at least one.

        Returns:
            The lowest cosine of an embedding with the template: low where one of them is of somebody else.

        Raises:
            DataError: an embedding is of another length or has no direction, or they cancel each other out.
        """
        if not name:
            raise DataError("Nobody can be enrolled without a name.")
        if not len(embeddings):
            raise DataError(f"There is no embedding to enrol {name} with. Give at least one.")
        rows = normalised(np.stack([self._checked(row) for row in embeddings]))
        total = np.zeros(self.length)
        for row in rows:
            total += row
        template = normalised(total / len(rows))
        if name in self._names:
            self._templates[self._names.index(name)] = template
        else:
            self._names.append(name)
            self._templates = np.concatenate([self._templates, template[None]])
        return float(dot(rows, template).min())

    def remove(self, name: str) -> None:
        """Forget somebody.

        Raises:
            InputError: nobody of that name is enrolled.
        """
        at = self._index(name)
        del self._names[at]
        self._templates = np.delete(self._templates, at, axis=0)

    def score(self, name: str, embedding: np.ndarray) -> float:
        """The cosine of an embedding with somebody's template.

        Raises:
            InputError: nobody of that name is enrolled.
            DataError: the embedding is of another length or has no direction.
        """
        return float(dot(self._templates[self._index(name)], normalised(self._checked(embedding))))

    def verify(self, name: str, embedding: np.ndarray) -> bool:
        """Whether an embedding is of that person (1:1); errors are those of `score`."""
        return self.score(name, embedding) > self.threshold

    def search(self, embedding: np.ndarray, most: int = 1) -> list[Match]:
        """Whom an embedding may be of (1:N), best first and of equal ones those enrolled first; empty for a stranger.

        Args:
            embedding: of the gallery's length.
            most: how many are told, at least 1.

        Raises:
            DataError: the embedding is of another length or has no direction.
        """
        scores = dot(self._templates, normalised(self._checked(embedding)))
        order = np.argsort(-scores, kind="stable")[:most]
        return [Match(self._names[i], float(scores[i])) for i in order if scores[i] > self.threshold]

    def save(self, path: Path) -> None:
        """Write all templates to a file. It is not encrypted; whoever has it can look for these persons.

        Raises:
            OutputError: the file cannot be written.
        """
        try:
            path.write_bytes(self.to_bytes())
        except OSError as error:
            raise OutputError(
                f"the gallery cannot be written to {path} ({error.strerror}). Give a file in a folder that can be"
            ) from error

    def to_bytes(self) -> bytes:
        """What `save` writes."""
        parts = [_MAGIC, _WHOLE.pack(self.length), _text(self.model), _WHOLE.pack(len(self._names))]
        for name, template in zip(self._names, self._templates, strict=True):
            parts += [_text(name), template.astype("<f4").tobytes()]
        return b"".join(parts)

    @classmethod
    def from_bytes(cls, content: bytes, model: str, length: int, threshold: float) -> Gallery:
        """Read what `to_bytes` gave.

        Args:
            content: of the file.
            model: that makes the embeddings now.
            length: of them.
            threshold: likewise.

        Raises:
            DataError: it is no gallery, is cut off, or holds templates of another model.
        """
        reader = _Reader(content)
        if reader.take(len(_MAGIC)) != _MAGIC:
            raise DataError("The file is no gallery. Give one that `Gallery.save` wrote.")
        told_length, told_model = reader.whole(), reader.text()
        if (told_length, told_model) != (length, model):
            raise DataError(
                f"The gallery holds {told_length} numbers a template by {told_model}; the model is {model} with "
                f"{length}. Enrol everybody again with it."
            )
        gallery = cls(model, length, threshold)
        rows = []
        for _ in range(reader.whole()):
            gallery._names.append(reader.text())
            rows.append(np.frombuffer(reader.take(4 * length), "<f4").astype(np.float32))
        if not reader.ended() or len(set(gallery._names)) < len(rows) or not all(gallery._names):
            raise DataError("The gallery is damaged: it goes on behind its end, or names are missing or there twice.")
        if rows:
            gallery._templates = np.stack(rows)
        if not np.isfinite(gallery._templates).all():
            raise DataError("The gallery is damaged: a template holds a number that is not finite.")
        return gallery

    @classmethod
    def load(cls, path: Path, model: str, length: int, threshold: float) -> Gallery:
        """Read what `save` wrote; arguments and errors are those of `from_bytes`, and DataError for no such file."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"The gallery {path} cannot be read ({error.strerror}).") from error
        return cls.from_bytes(content, model, length, threshold)

    def _checked(self, embedding: np.ndarray) -> np.ndarray:
        row: np.ndarray = np.asarray(embedding).reshape(-1)
        if len(row) != self.length:
            raise DataError(f"The embedding has {len(row)} numbers; the gallery's have {self.length}.")
        return row

    def _index(self, name: str) -> int:
        if name not in self._names:
            raise InputError(f"nobody is enrolled as {name!r}; there are {', '.join(self._names) or 'none'}")
        return self._names.index(name)


def _text(text: str) -> bytes:
    content = text.encode()
    return _WHOLE.pack(len(content)) + content


class _Reader:
    """Goes through a file that may end anywhere."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, count: int) -> bytes:
        found = self._content[self._at : self._at + count]
        if len(found) < count:
            raise DataError("The gallery is cut off. Take it from a backup, or enrol everybody again.")
        self._at += count
        return found

    def whole(self) -> int:
        number: int = _WHOLE.unpack(self.take(_WHOLE.size))[0]
        return number

    def text(self) -> str:
        try:
            return self.take(self.whole()).decode()
        except UnicodeDecodeError as error:
            raise DataError("The gallery is damaged: a name is not UTF-8.") from error

    def ended(self) -> bool:
        return self._at == len(self._content)

"""One of the processes of a training, on some node: Ray makes an actor of it."""

from __future__ import annotations

import os
import socket
import tempfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pocketfit.compress.training.cluster.packing import unpack
from pocketfit.compress.training.loop import Lesson, Step, learn
from pocketfit.errors import PocketfitError

__all__ = ["Learnt", "Member", "News"]


@dataclass(frozen=True)
class News:
    """What happened since somebody asked last.

    Args:
        steps: that were taken.
        checkpoint: content of the newest, where it is new.
    """

    steps: tuple[Step, ...]
    checkpoint: bytes | None


@dataclass(frozen=True)
class Learnt:
    """What a training gives.

    Args:
        state: of the student's network, on the CPU.
        log: every step.
    """

    state: Mapping[str, torch.Tensor]
    log: tuple[Step, ...]


class Member:
    """Learns together with others; answers questions meanwhile, from another thread.

    Args:
        rank: its number, 0 for the main process.
        members: how many there are.
        threads: of torch.
    """

    def __init__(self, rank: int, members: int, threads: int) -> None:
        self.rank, self.members, self.threads = rank, members, threads
        self.steps: deque[Step] = deque()
        self.checkpoint: bytes | None = None

    def meeting_place(self) -> tuple[str, int]:
        """Host and port where the others find this process."""
        import ray

        util: Any = ray.util
        with socket.socket() as free:
            free.bind(("", 0))
            return util.get_node_ip_address(), free.getsockname()[1]

    def learn(self, content: bytes, checkpoint: bytes | None, place: tuple[str, int]) -> Learnt | PocketfitError | None:
        """Take part.

        Args:
            content: a packed lesson.
            checkpoint: content of one to go on from; None to begin at the beginning.
            place: of the main process.

        Returns:
            What was learnt, of the main process; why the lesson is refused, of any.
        """
        self._join(place)
        lesson: Lesson = unpack(content)
        lesson = replace(lesson, recipe=replace(lesson.recipe, cpu=True))
        with tempfile.TemporaryDirectory(prefix="pocketfit-training-") as folder:
            file = Path(folder) / "checkpoint"
            if checkpoint is not None:
                file.write_bytes(checkpoint)

            def took(step: Step) -> None:
                if lesson.recipe.stores(step.number, step.steps):
                    self.checkpoint = file.read_bytes()
                self.steps.append(step)

            try:
                log = learn(lesson, file, took)
            except PocketfitError as refusal:
                return refusal
        if self.rank:
            return None
        state = {name: value.detach().cpu() for name, value in lesson.student.network.state_dict().items()}
        return Learnt(state, log)

    def news(self) -> News:
        """What happened since the last question."""
        checkpoint, self.checkpoint = self.checkpoint, None
        return News(tuple(self.steps.popleft() for _ in range(len(self.steps))), checkpoint)

    def _join(self, place: tuple[str, int]) -> None:
        """Say to `accelerate` what its own launcher would."""
        torch.set_num_threads(self.threads)
        if self.members == 1:
            return
        host, port = place
        found = {"WORLD_SIZE": self.members, "RANK": self.rank, "LOCAL_RANK": 0, "MASTER_ADDR": host}
        os.environ.update({name: str(value) for name, value in (found | {"MASTER_PORT": port}).items()})

"""A training on a Ray cluster, led from here.

Each process is an actor that asks for CPUs and memory; together they are one training of `accelerate`'s, which deals
every batch out among them. The main one's checkpoints are fetched, so that a node that dies, and one that leads, loses
the steps since the last one and nothing else: the rest of the cluster begins again from there, and ends as a training
that nothing happened to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketfit.cluster import ATTEMPTS, MEMORY_BYTES, connected
from pocketfit.compress.training.checkpoint import write_checkpoint
from pocketfit.compress.training.cluster.member import Learnt, Member, News
from pocketfit.compress.training.cluster.packing import pack
from pocketfit.compress.training.loop import Lesson, Step, check_lesson
from pocketfit.compress.training.recipe import LoopRecipe
from pocketfit.errors import OptionError, PocketfitError

__all__ = ["ClusterLearner"]

# Seconds between two questions for news.
ASKED_S = 0.5
# Seconds in which a process has to answer, and in which the cluster has to find room for all of them.
ANSWERED_S = 60
ROOM_S = 120
# Seconds until a node that is gone is known to be gone.
GONE_S = 5


@dataclass(frozen=True)
class ClusterLearner:
    """Trains as `learn` does, on a cluster's CPUs.

    Args:
        address: of the cluster: `auto`, `HOST:6379`, `ray://HOST:10001`, or `local` for one on this host.
        workers: number of processes; None for one on each node, with all of its CPUs. Where nodes have died, or the
            batch cannot be dealt out evenly to so many, there are fewer.
        memory_bytes: that a process asks for.
    """

    address: str
    workers: int | None = None
    memory_bytes: int = MEMORY_BYTES

    def __call__(
        self, lesson: Lesson, checkpoint: Path | None = None, progress: Callable[[Step], None] | None = None
    ) -> tuple[Step, ...]:
        """See `learn`; the student's network has what was learnt afterwards.

        Raises:
            OptionError: there is no such cluster, it has no room, or its processes die again and again.
            PocketfitError: whatever `learn` raises.
        """
        check_lesson(lesson)
        ray, started = connected(self.address)
        try:
            learnt = _Led(ray, self, lesson, checkpoint, progress).learnt()
        finally:
            if started:
                ray.shutdown()
        lesson.student.network.load_state_dict(dict(learnt.state))
        return learnt.log


class _LostError(Exception):
    """A process is gone, or what linked it to the others."""


class _Led:
    """One training, however often it has to begin again."""

    def __init__(
        self,
        ray: Any,
        learner: ClusterLearner,
        lesson: Lesson,
        checkpoint: Path | None,
        progress: Callable[[Step], None] | None,
    ) -> None:
        self.ray, self.learner, self.recipe = ray, learner, lesson.recipe
        self.batch = min(lesson.recipe.batch, len(lesson.samples.inputs))
        self.content = ray.put(pack(lesson))
        self.checkpoint, self.progress = checkpoint, progress
        self.stored = checkpoint.read_bytes() if checkpoint is not None and checkpoint.exists() else None
        self.told = 0

    def learnt(self) -> Learnt:
        """What comes out, once the processes have stayed alive to the end."""
        attempts = 0
        while True:
            before = self.stored
            try:
                return self._attempt()
            except _LostError as lost:
                attempts = 1 if self.stored is not before else attempts + 1
                if attempts == ATTEMPTS:
                    raise OptionError(
                        f"the training was lost {ATTEMPTS} times without coming to its next checkpoint: {lost}. Look "
                        "after the nodes, or train with fewer --workers; the same command goes on from the last "
                        "checkpoint."
                    ) from lost
                time.sleep(GONE_S)

    def _attempt(self) -> Learnt:
        with self._members() as members:
            place = self._answer(members[0].meeting_place.remote())
            running = [
                member.learn.remote(self.content, None if rank else self.stored, place)
                for rank, member in enumerate(members)
            ]
            main = running[0]
            found: Learnt | None = None
            while running:
                done, running = self.ray.wait(running, timeout=ASKED_S)
                self._tell(self._answer(members[0].news.remote()))
                for one in done:
                    result = self._answer(one)
                    if isinstance(result, PocketfitError):
                        raise result
                    found = result if one == main else found
        assert found is not None  # the main process was among them
        return found

    def _tell(self, news: News) -> None:
        content = news.checkpoint
        if content is not None:
            self.stored = content
            if self.checkpoint is not None:
                write_checkpoint(self.checkpoint, lambda file: file.write(content))
        for step in news.steps:
            # What was lost is learnt again.
            if step.number > self.told and self.progress is not None:
                self.progress(step)
            self.told = max(self.told, step.number)

    def _answer(self, asked: Any) -> Any:
        """Of a process.

        Raises:
            _LostError: there is none, or it failed: one whose neighbour is gone fails with its connection.
        """
        from ray.exceptions import RayError

        try:
            return self.ray.get(asked, timeout=ANSWERED_S)
        except RayError as error:
            raise _LostError(str(error).strip().splitlines()[-1]) from error

    @contextmanager
    def _members(self) -> Iterator[Sequence[Any]]:
        """Processes on the nodes that are alive; killed in the end."""
        from ray.util.placement_group import remove_placement_group
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        group, number, cpus = self._room()
        actor = self.ray.remote(num_cpus=cpus, memory=self.learner.memory_bytes, max_concurrency=2)(Member)
        members = [
            actor.options(
                scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank)
            ).remote(rank, number, cpus)
            for rank in range(number)
        ]
        try:
            yield members
        finally:
            for member in members:
                with suppress(Exception):  # dead already
                    self.ray.kill(member)
            remove_placement_group(group)

    def _room(self) -> tuple[Any, int, int]:
        """A place for every process, how many there are, and the CPUs of each.

        Raises:
            OptionError: the cluster has no CPUs, or they stay busy.
        """
        from ray.util.placement_group import placement_group, remove_placement_group

        end = time.monotonic() + ROOM_S
        while True:
            nodes = [int(node["Resources"].get("CPU", 0)) for node in self.ray.nodes() if node["Alive"]]
            number, cpus = shares(nodes, self.learner.workers, self.batch, self.recipe)
            if number:
                needs = {"CPU": cpus, "memory": self.learner.memory_bytes}
                group = placement_group([needs] * number, strategy="SPREAD")
                if group.wait(timeout_seconds=GONE_S):
                    return group, number, cpus
                remove_placement_group(group)
            if time.monotonic() > end:
                raise OptionError(
                    f"the cluster {self.learner.address} found no room for {max(number, 1)} processes of "
                    f"{max(cpus, 1)} CPUs and {self.learner.memory_bytes / 2**30:.1f} GiB each within {ROOM_S} s. "
                    "Wait until it is free, add nodes, or train with fewer --workers."
                )
            time.sleep(ASKED_S)


def shares(nodes: Sequence[int], workers: int | None, batch: int, recipe: LoopRecipe) -> tuple[int, int]:
    """How many processes there are, and how many CPUs each of them gets.

    Args:
        nodes: CPUs of each.
        workers: processes that were asked for; None for one a node.
        batch: samples a step, dealt out evenly.
        recipe: says in how many parts a process computes its share.

    Returns:
        Processes and CPUs; zeros where no node has a CPU.
    """
    able = [cpus for cpus in nodes if cpus > 0]
    if not able:
        return 0, 0
    wanted = workers or len(able)
    cpus = max(1, min(able) // -(-wanted // len(able)))
    number = min(wanted, sum(node // cpus for node in able))
    while number > 1 and (batch % number or batch // number < recipe.accumulate):
        number -= 1
    return number, cpus

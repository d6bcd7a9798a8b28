"""Work on a Ray cluster: each job is a task that asks for a CPU and for memory.

Files travel as one object a folder, which every node fetches once. A task whose node or process dies is begun again by
Ray, elsewhere; one that was lost for good comes back as such.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocketfit.cluster import ATTEMPTS, MEMORY_BYTES, connected
from pocketfit.search.executors.executor import Finished, Work
from pocketfit.search.executors.packing import pack, unpacked

__all__ = ["RayExecutor"]


class RayExecutor:
    """Tasks on a cluster.

    Args:
        work: what is done for each job; importable on every node, where Pocketfit is installed.
        address: of the cluster: `auto`, `HOST:6379`, `ray://HOST:10001`, or `local` for one on this host.
        workers: jobs at once; None for one a CPU of the cluster.
        cpus: that a task asks for.
        memory_bytes: that a task asks for.

    Raises:
        OptionError: Ray is not installed, or there is no cluster at the address.
    """

    remote = True

    def __init__(
        self,
        work: Work,
        address: str,
        workers: int | None = None,
        cpus: float = 1,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self.ray, self.started = connected(address)
        asked = {"num_cpus": cpus, "memory": memory_bytes, "max_retries": ATTEMPTS - 1}
        self.task = self.ray.remote(**asked, scheduling_strategy="SPREAD")(_run)
        self.work = work
        self.slots = workers or max(1, int(self.ray.cluster_resources().get("CPU", 1) // cpus))
        self.folders: dict[Path, Any] = {}
        self.running: dict[Any, int] = {}

    def submit(self, number: int, job: object, folder: Path) -> None:
        """Begin a job; see `Executor`."""
        if folder not in self.folders:
            self.folders[folder] = self.ray.put(pack(folder))
        self.running[self.task.remote(self.work, job, self.folders[folder])] = number

    def wait(self, timeout_s: float | None) -> list[Finished]:
        """Jobs that have ended; see `Executor`."""
        done, _ = self.ray.wait(list(self.running), timeout=timeout_s)
        return [self._finished(self.running.pop(one), one) for one in done]

    def close(self) -> None:
        """End all work; see `Executor`."""
        for one in self.running:
            self.ray.cancel(one, force=True)
        self.running.clear()
        if self.started:
            self.ray.shutdown()

    def _finished(self, number: int, one: Any) -> Finished:
        from ray.exceptions import RayError, RayTaskError

        try:
            return Finished(number, self.ray.get(one))
        except RayTaskError:
            raise  # the work itself is wrong, here as anywhere
        except RayError as error:
            return Finished(number, lost=str(error).splitlines()[0])


def _run(work: Work, job: object, content: bytes) -> Any:
    return work(job, unpacked(content))

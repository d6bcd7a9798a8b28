"""On a real cluster of several nodes, each a process of its own on this host."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketfit.errors import OptionError
from pocketfit.search.executors.executor import Finished
from pocketfit.search.executors.ray import RayExecutor

ray = pytest.importorskip("ray")

pytestmark = pytest.mark.slow
# Starting a worker takes seconds, more on a busy machine.
PATIENCE_S = 240
SMALL = 100 * 2**20


def where(job: Any, folder: Path) -> tuple[Any, str, str]:
    """Long enough that a node is killed while it works."""
    time.sleep(job["seconds"])
    return job["number"], (folder / "name.txt").read_text(), ray.get_runtime_context().get_node_id()


@pytest.fixture
def cluster(ray_cluster: Any) -> Iterator[Any]:
    """What is in this file is on no node."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield ray_cluster
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def add_node(cluster: Any) -> Any:
    return cluster.add_node(num_cpus=1, memory=2**30, object_store_memory=SMALL)


def test_a_node_that_is_killed_loses_nothing(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "name.txt").write_text("a file")
    nodes = [add_node(cluster), add_node(cluster)]
    executor = RayExecutor(where, cluster.address, memory_bytes=2**28)
    assert executor.slots == 2

    executor.submit(0, {"number": 0, "seconds": 0}, tmp_path)
    first = _all(executor, 1)
    for number in range(1, 5):
        executor.submit(number, {"number": number, "seconds": 3}, tmp_path)
    time.sleep(1)
    cluster.remove_node(nodes[0], allow_graceful=False)
    rest = _all(executor, 4)
    executor.close()

    assert [one.lost for one in (*first, *rest)] == [""] * 5
    assert sorted(one.result[0] for one in rest) == [1, 2, 3, 4]
    assert {one.result[1] for one in rest} == {"a file"}


def test_a_task_asks_for_what_it_needs(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "name.txt").write_text("a file")
    add_node(cluster)
    executor = RayExecutor(where, cluster.address, memory_bytes=2**31)  # more than the node has
    executor.submit(0, {"number": 0, "seconds": 0}, tmp_path)
    assert executor.wait(3.0) == []

    cluster.add_node(num_cpus=1, memory=2**32, object_store_memory=SMALL)

    assert _all(executor, 1)[0].result[0] == 0
    executor.close()


def test_no_cluster_there() -> None:
    with pytest.raises(OptionError, match="no Ray cluster that answers"):
        RayExecutor(where, "127.0.0.1:1")


def _all(executor: RayExecutor, count: int) -> list[Finished]:
    found: list[Finished] = []
    while len(found) < count:
        news = executor.wait(PATIENCE_S)
        assert news, "nothing came"
        found += news
    return found

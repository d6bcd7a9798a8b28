import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pocketfit.devices.host import describe_host, measure, measure_on_host
from pocketfit.errors import OptionError
from pocketfit.runtimes import get_runtime
from pocketfit.types import Artifact, Precision, Scheme, TensorSpec

WEIGHT_BYTES = 48_000_000


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """One matrix product whose weights alone are `WEIGHT_BYTES`."""
    weight = np.ones((3000, WEIGHT_BYTES // 4 // 3000), np.float32)
    path = tmp_path_factory.mktemp("heavy") / "model.onnx"
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weight"], ["y"])],
        "heavy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3000])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, weight.shape[1]])],
        [numpy_helper.from_array(weight, "weight")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    specs = TensorSpec("x", (1, 3000)), TensorSpec("y", (1, weight.shape[1]))
    return Artifact("onnxruntime", Precision.FLOAT32, Scheme.AFFINE, (path,), *specs)


def test_the_host_is_named_with_its_cores() -> None:
    assert f", {os.cpu_count()} core" in describe_host()


def test_a_latency_counts_its_runs_and_says_where(heavy: Artifact) -> None:
    latency = measure(get_runtime("onnxruntime"), heavy, threads=1, runs=5, warmup=1, min_seconds=0)
    assert (latency.threads, latency.runs, latency.where) == (1, 5, describe_host())
    assert 0 < latency.median_ms <= latency.p90_ms


def test_a_single_run_is_its_own_p90(heavy: Artifact) -> None:
    latency = measure(get_runtime("onnxruntime"), heavy, threads=1, runs=1, warmup=0, min_seconds=0)
    assert latency.median_ms == latency.p90_ms


def test_a_fast_model_runs_until_the_least_time_is_spent(heavy: Artifact) -> None:
    latency = measure(get_runtime("onnxruntime"), heavy, threads=1, runs=1, warmup=0, min_seconds=0.1)
    assert (
        latency.runs * latency.p90_ms >= 0.1 * 1000 / 2
    )  # half: a few runs may be much slower than the 90th percentile


def test_thread_counts_above_the_cores_are_left_out(heavy: Artifact) -> None:
    latencies, _ = measure_on_host(heavy, threads=(10_000, 1), runs=2)
    assert [latency.threads for latency in latencies] == [1]


def test_no_thread_count_left_is_refused(heavy: Artifact) -> None:
    with pytest.raises(OptionError, match=r"\[10000\]"):
        measure_on_host(heavy, threads=(10_000,))


def test_memory_of_the_weights_is_counted(heavy: Artifact) -> None:
    _, memory = measure_on_host(heavy, threads=(1,), runs=2)
    # At most: the file, the parsed copy, the repacked copy and the library itself, about 60 MB.
    assert WEIGHT_BYTES < memory < 4 * WEIGHT_BYTES + 60_000_000


def test_an_earlier_peak_does_not_hide_a_later_rise() -> None:
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("only Linux can set the peak back")
    # In a process of its own: one that has run for long finds room in memory it has freed, and does not grow.
    program = (
        "import numpy as np; from pocketfit.devices.memory import mark, risen_since; "
        "earlier = np.ones(50_000_000, np.uint8); del earlier; before = mark(); "
        "later = np.ones(20_000_000, np.uint8); print(risen_since(before))"
    )
    # One arena and a fixed threshold, so that arrays of this size always come from the system.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000"}
    risen = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True).stdout
    # A page or two more or less: the allocator rounds, and the process also allocates other things.
    assert int(risen) == pytest.approx(20_000_000, abs=2_000_000)

"""What tools and phones print, in the form that their sources give it."""

import pytest

from pocketfit.devices.measure.android import condition_of, name_of
from pocketfit.devices.measure.place import Condition, Cores, Round
from pocketfit.devices.measure.tools import tool_for
from pocketfit.errors import PocketfitError

TFLITE = """INFO: Running benchmark for at least 5 iterations and at least 0 seconds.
INFO: count=5 first=9000 curr=7000 min=6900 max=9000 avg=7500 std=700
INFO: count=50 first=5720 curr=5630 min=5600 max=5900 avg=5.67125e+03 std=52{more}
INFO: Inference timings in us: Init: 8000, First inference: 9000, Warmup (avg): 7500, Inference (avg): 5671.25
"""
NCNN = """loop_count = 8
num_threads = 4
powersave = 0
          model.ncnn.param  min =    3.50  max =    4.10  avg =    3.72
"""


@pytest.mark.parametrize(
    ("program", "text", "expected"),
    [
        ("benchmark_model", TFLITE.format(more=""), Round(5.67125, 50, "mean")),
        ("benchmark_model_plus_flex", TFLITE.format(more=" p5=5610 median=5660 p95=5800"), Round(5.66, 50, "median")),
        ("benchncnn", NCNN, Round(3.72, 8, "mean")),
        ("my-own", "warm\n1.5\n2.5\n9e1\n", Round(2.5, 3, "median")),
    ],
)
def test_a_timing_is_read(program: str, text: str, expected: Round) -> None:
    assert tool_for(program).timing(text) == expected


@pytest.mark.parametrize("program", ["benchmark_model", "benchncnn", "my-own"])
def test_no_timing_is_told(program: str) -> None:
    with pytest.raises(PocketfitError, match="cannot open"):
        tool_for(program).timing("cannot open the model")


def test_command_lines() -> None:
    shape = (1, 3, 224, 192)
    line = tool_for("benchncnn").command("/d/benchncnn", "/d/m 1.param", shape, 4, 8)
    assert line == "/d/benchncnn 8 4 0 -1 0 'param=/d/m 1.param' 'shape=[192,224,3]'"
    line = tool_for("benchmark_model").command("/d/benchmark_model", "/d/m.tflite", shape, 2, 50)
    assert "--graph=/d/m.tflite --num_threads=2 --num_runs=50" in line
    assert tool_for("own").command("/d/own", "/d/m", shape, 2, 50) == "/d/own /d/m 2 50"


def test_clusters_are_read() -> None:
    def shell(command: str) -> str:
        return "0 1 2 3 / 1804800 / 576000\n4 5 6 7 / 2419200 / \n" if "cpufreq" in command else ""

    assert condition_of(shell) == Condition(clusters=(Cores(4, 1804, 576), Cores(4, 2419, None)))


def test_a_phone_that_tells_nothing_is_unknown() -> None:
    assert condition_of(lambda command: "") == Condition()
    assert name_of(lambda command: "") == "a device"

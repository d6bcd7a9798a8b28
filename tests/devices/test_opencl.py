"""The OpenCL probe on whatever device is there; PoCL, which `dev` installs, computes on the CPU."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pocketfit.cli.app import run
from pocketfit.devices.opencl import prepared
from pocketfit.devices.opencl.convolution import Convolution, make_case, tolerance
from pocketfit.devices.opencl.device import Device, choose_device, find_devices, open_queue
from pocketfit.devices.opencl.layouts import (
    Layout,
    WeightOrder,
    pack_activations,
    pack_weights,
    packed_shape,
    unpack_activations,
)
from pocketfit.devices.opencl.meaning import CPU, LITERT, MNN_BUFFER, MNN_EITHER, MNN_IMAGE, conclude, meaning
from pocketfit.devices.opencl.preference import Preference, judge
from pocketfit.devices.opencl.prepared import WORK_GROUPS, Prepared
from pocketfit.devices.opencl.probe import check, compare, probe
from pocketfit.devices.opencl.results import Row, State
from pocketfit.devices.opencl.variants import VARIANTS, Variant, local_blocks, obstacle
from pocketfit.errors import OptionError, RuntimeMissing
from pocketfit.stages import Nobody

BY_NAME = {variant.name: variant for variant in VARIANTS}

CONVOLUTIONS = {
    "in fours": Convolution(8, 6, 13, 8, 3, 1, 0),
    "not in fours, stride 2": Convolution(3, 9, 11, 6, 3, 2, 1),
    "wide kernel, narrow image": Convolution(5, 7, 5, 3, 5, 1, 2),
}
ONE_BY_ONE = Convolution(6, 5, 9, 5, 1, 1, 0)


@pytest.fixture(scope="module")
def device() -> Device:
    try:
        return choose_device()
    except RuntimeMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(autouse=True)
def _two_work_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """PoCL compiles each kernel anew for every one that is tried, a third of a second each time."""
    monkeypatch.setattr(prepared, "WORK_GROUPS", (WORK_GROUPS[0], WORK_GROUPS[-1]))


def check_untuned(device: Device, variant: Variant, convolution: Convolution) -> Row:
    case = make_case(convolution, half=variant.half)
    kernel = Prepared(open_queue(device), variant, case, device)
    try:
        return compare(kernel, case)
    finally:
        kernel.release()


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("channels", [1, 4, 6])
def test_packed_activations_come_back(layout: Layout, channels: int) -> None:
    x = np.arange(channels * 3 * 5, dtype=np.float32).reshape(channels, 3, 5)
    packed = pack_activations(x, layout)
    assert packed.shape == packed_shape(layout, channels, 3, 5)
    np.testing.assert_array_equal(unpack_activations(packed, layout, channels), x)


def test_each_layout_puts_a_value_where_its_name_says() -> None:
    x = np.random.default_rng(0).random((6, 3, 5), np.float32)
    channel, row, column = 5, 2, 3
    value = x[channel, row, column]
    assert pack_activations(x, Layout.NCHW)[channel, row, column] == value
    assert pack_activations(x, Layout.NHWC)[row, column, channel] == value
    assert pack_activations(x, Layout.NC4HW4)[channel // 4, row, column, channel % 4] == value
    assert pack_activations(x, Layout.IMAGE)[row, channel // 4 * 5 + column, channel % 4] == value


def test_each_order_puts_a_weight_where_its_name_says() -> None:
    weights = np.random.default_rng(0).random((7, 5, 3, 3), np.float32)
    f, c, row, column = 6, 3, 2, 1
    value, tap = weights[f, c, row, column], row * 3 + column
    assert pack_weights(weights, WeightOrder.PLAIN)[f, c, row, column] == value
    assert pack_weights(weights, WeightOrder.CHANNELS_TAPS)[f // 4, c, tap, f % 4] == value
    assert pack_weights(weights, WeightOrder.BLOCKS_TAPS)[f // 4, c // 4, tap, c % 4, f % 4] == value
    assert pack_weights(weights, WeightOrder.TAPS_CHANNELS)[f // 4, tap, c // 4, c % 4, f % 4] == value


def test_the_reference_is_the_formula() -> None:
    convolution = Convolution(2, 4, 5, 3, 3, 2, 1)
    case = make_case(convolution)
    padded = np.pad(case.x.astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    assert case.reference.shape == (3, convolution.output_height, convolution.output_width) == (3, 2, 3)
    expected = (padded[:, 2:5, 4:7] * case.weights[1]).sum()
    # Both sum 18 products in double precision, in different orders: a few units of 2^-53 at a size of about 1.
    assert case.reference[1, 1, 2] == pytest.approx(expected, abs=1e-14)
    assert convolution.operations == 2 * 18 * 3 * 6


def test_half_precision_starts_from_numbers_it_can_hold() -> None:
    case = make_case(ONE_BY_ONE, half=True)
    assert (case.x == case.x.astype(np.float16)).all()
    assert (case.weights == case.weights.astype(np.float16)).all()


def test_the_tolerance_lets_rounding_pass_and_not_a_lost_product() -> None:
    case = make_case(Convolution())
    bound = tolerance(case, VARIANTS[0].unit_roundoff)
    # The mean product of two numbers drawn from -1 to 1 has a size of 1/4.
    assert bound < 0.25 / 1000
    half = make_case(Convolution(), half=True)
    added_in_half = np.cumsum((half.x[:, :3, :3] * half.weights[0]).ravel(), dtype=np.float16)[-1]
    error = abs(float(added_in_half) - half.reference[0, 1, 1])
    assert 0 < error <= tolerance(half, BY_NAME["half 4x4"].unit_roundoff)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"channels": 0}, "channels 0"),
        ({"stride": -1}, "stride -1"),
        ({"padding": 3}, "padding 3"),
        ({"height": 2, "width": 2, "kernel": 7, "padding": 1}, "kernel 7 is larger than the input of 2x2"),
    ],
)
def test_a_convolution_that_computes_nothing_is_refused(wrong: dict[str, int], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        Convolution(**wrong)


@pytest.mark.parametrize("convolution", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
@pytest.mark.parametrize("variant", VARIANTS, ids=BY_NAME)
def test_every_kernel_gives_the_answer(device: Device, variant: Variant, convolution: Convolution) -> None:
    if reason := obstacle(variant, convolution, device):
        pytest.skip(reason)
    row = check_untuned(device, variant, convolution)
    assert (row.state, row.reason) == (State.RIGHT, "")
    assert row.max_error is not None and row.tolerance is not None
    assert row.max_error <= row.tolerance


def test_weights_pass_through_little_local_memory_in_parts(device: Device) -> None:
    convolution = Convolution(20, 6, 7, 4, 3, 1, 1)
    small = replace(device, local_memory_bytes=2 * 2 * 9 * 64)
    assert local_blocks(convolution, small) == 2
    assert check_untuned(small, BY_NAME["local weights 4x4"], convolution).state is State.RIGHT


def test_weights_in_a_wrong_order_are_found(device: Device) -> None:
    wrong = replace(BY_NAME["nc4hw4 4x4"], weights=WeightOrder.TAPS_CHANNELS)
    row = check_untuned(device, wrong, CONVOLUTIONS["in fours"])
    assert row.state is State.WRONG
    assert "rounding explains" in row.reason


def test_what_is_not_written_is_found(device: Device) -> None:
    # Taken for a kernel of eight filters a work-item, it is started for half of them.
    lazy = replace(BY_NAME["naive"], filters=8)
    row = check_untuned(device, lazy, CONVOLUTIONS["in fours"])
    assert (row.state, row.max_error) == (State.WRONG, None)


def test_a_kernel_that_does_not_compile_is_a_row_with_the_drivers_words(device: Device) -> None:
    if device.has_half:
        pytest.skip("the kernel compiles here")
    boasting = replace(device, extensions=("cl_khr_fp16",))
    row, ready = check(open_queue(device), boasting, ONE_BY_ONE, BY_NAME["half 4x4"])
    assert (row.state, ready) == (State.FAILED, None)
    assert "half4" in row.reason


@pytest.mark.parametrize(
    ("variant", "lacking", "says"),
    [
        ("half 4x4", {"extensions": ()}, "cl_khr_fp16"),
        ("local weights 4x4", {"local_memory_bytes": 1000}, "1000 bytes of local memory"),
        ("image2d 4x4", {"image_sides": None}, "no images"),
        ("image2d 4x4", {"image_sides": (512, 512)}, "side of 896 texels; the device takes 512"),
        ("nc4hw4 4x4", {"image_sides": None}, ""),
    ],
)
def test_what_a_device_lacks_is_said(device: Device, variant: str, lacking: dict[str, object], says: str) -> None:
    reason = obstacle(BY_NAME[variant], Convolution(), replace(device, **lacking))  # type: ignore[arg-type]
    assert says in reason
    assert bool(reason) == bool(says)


def test_a_probe_is_whole_and_shows_its_progress(device: Device) -> None:
    class Seen(Nobody):
        def __init__(self) -> None:
            self.stages: list[tuple[str, int | None]] = []

        def start(self, stage: str, total: int | None) -> None:
            self.stages.append((stage, total))

    seen = Seen()
    result = probe(device, [ONE_BY_ONE], rounds=3, watcher=seen)
    assert seen.stages == [("1x1 convolution", len(VARIANTS) + 3)]
    (one,) = result.convolutions
    assert [row.variant for row in one.rows] == list(BY_NAME)
    assert one.rows[0].speedup == 1
    for row in one.rows:
        timed = row.state is State.RIGHT
        assert timed or row.state is State.SKIPPED
        assert timed == (not row.reason) == (row.median_ms is not None) == (row.gflops is not None)
        if row.median_ms is not None and row.gflops is not None and row.p10_ms is not None and row.p90_ms is not None:
            assert 0 < row.p10_ms <= row.median_ms <= row.p90_ms
            # The same quotient, computed twice in double precision.
            assert row.gflops == pytest.approx(one.convolution.operations / row.median_ms / 1e6, rel=1e-12)
    # Three tosses of a coin are alike in one case of four: nothing can be clear.
    assert one.preference is not None and not one.preference.clear
    assert "no clear preference" in result.conclusion


def test_a_probe_of_nothing_is_refused(device: Device) -> None:
    with pytest.raises(OptionError, match="0 convolutions"):
        probe(device, [])


def test_one_layout_always_ahead_is_preferred() -> None:
    times = {Layout.NCHW: [3.0] * 21, Layout.IMAGE: [1.0] * 21, Layout.NC4HW4: [1.5] * 21}
    found = judge(times)
    assert found == Preference((Layout.IMAGE,), Layout.NC4HW4, 1.5)
    assert found.clear


def test_a_lead_that_changes_sides_is_none() -> None:
    draw = np.random.default_rng(0)
    times = {layout: list(draw.lognormal(0, 0.3, 21)) for layout in Layout}
    found = judge(times)
    assert found is not None and not found.clear and len(found.layouts) > 1


def test_a_lead_in_every_round_that_is_small_is_none() -> None:
    found = judge({Layout.NHWC: [1.0] * 21, Layout.NC4HW4: [1.1] * 21})
    assert found == Preference((Layout.NHWC, Layout.NC4HW4), Layout.NC4HW4, 1.1)


def test_a_lead_in_few_rounds_is_none() -> None:
    # Five heads in a row come in one case of sixteen, counting tails as well.
    found = judge({Layout.NHWC: [1.0] * 5, Layout.NC4HW4: [2.0] * 5})
    assert found is not None and not found.clear


def test_a_layout_alone_is_not_preferred() -> None:
    found = judge({Layout.NHWC: [1.0]})
    assert found == Preference((Layout.NHWC,), None, 1.0)
    assert not found.clear
    assert judge({}) is None


IMAGE = Preference((Layout.IMAGE,), Layout.NC4HW4, 1.5)
BUFFER = Preference((Layout.NC4HW4, Layout.NHWC), Layout.NHWC, 1.01)
EITHER = Preference((Layout.NC4HW4, Layout.IMAGE), Layout.IMAGE, 1.01)


@pytest.mark.parametrize(
    ("found", "mnn"),
    [
        ([IMAGE, IMAGE], MNN_IMAGE),
        ([BUFFER, BUFFER], MNN_BUFFER),
        ([IMAGE, BUFFER], MNN_EITHER),
        ([IMAGE, EITHER], MNN_EITHER),
        ([None], MNN_EITHER),
    ],
)
def test_what_a_gpus_preference_means_for_mnn(device: Device, found: list[Preference | None], mnn: str) -> None:
    gpu = replace(device, kind="GPU")
    assert meaning(gpu, [(Convolution(), one) for one in found]) == (mnn, LITERT)


def test_a_cpus_figures_are_labelled_so(device: Device) -> None:
    cpu = replace(device, kind="CPU", name="pthread")
    assert meaning(cpu, [(Convolution(), IMAGE)]) == (CPU,)
    assert conclude(cpu, [(Convolution(), IMAGE)]) == (
        "pthread (CPU device): 3x3: prefers image2d, 1.50 times as fast as buffer NC4HW4."
    )


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, "3x3: no layout gave a right answer."),
        (EITHER, "3x3: no clear preference; buffer NC4HW4 and image2d are too close for the noise."),
        (Preference((Layout.NCHW,), None, 1.0), "3x3: only buffer NCHW could be timed."),
    ],
)
def test_a_conclusion_promises_no_more_than_was_found(device: Device, found: Preference | None, says: str) -> None:
    assert conclude(device, [(Convolution(), found)]).endswith(says)


def test_a_device_is_chosen_by_number_or_part_of_its_name(device: Device) -> None:
    assert choose_device(str(device.number)) == device
    if len(find_devices()) == 1:
        assert choose_device(device.name[:6].upper()) == device


def test_a_device_that_is_not_there_is_refused_with_those_that_are(device: Device) -> None:
    with pytest.raises(OptionError, match="names no device") as refused:
        choose_device("9999")
    assert device.name in str(refused.value)


@pytest.mark.usefixtures("device")
def test_the_devices_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["opencl", "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["number"] for one in listed] == list(range(len(listed)))
    assert listed[0]["kind"] in ("CPU", "GPU", "accelerator", "other")
    assert run(["opencl", "--list"]) == 0
    assert listed[0]["kind"] in capsys.readouterr().out


@pytest.mark.usefixtures("device")
def test_a_probe_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["opencl", "--input", "6x5x9", "--filters", "5", "--kernel", "1", "--rounds", "2"]
    assert run([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["convolutions"][0]["convolution"]["kernel"] == 1
    assert result["convolutions"][0]["rows"][0]["state"] == "right"
    assert run(arguments) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in BY_NAME)
    assert f"{result['device']['kind']} device" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--kernel", "three"], "--kernel 'three'"),
        (["--input", "64x56"], "channels x height x width"),
        (["--rounds", "0"], "--rounds 0"),
        (["--filters", "0"], "filters 0"),
    ],
)
def test_what_cannot_be_probed_is_refused(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["opencl", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert says in printed.err


def test_without_pyopencl_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyopencl", None)
    assert run(["opencl"]) == 2
    assert 'pip install "pocketfit[opencl]"' in capsys.readouterr().err


@pytest.mark.usefixtures("device")
def test_without_a_driver_it_says_what_to_install() -> None:
    script = "from pocketfit.cli.app import run; raise SystemExit(run(['opencl']))"
    # In a process of its own: the loader looks for drivers once, in the folder that this variable names.
    environment = os.environ | {"OCL_ICD_VENDORS": os.devnull}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode == 0:
        pytest.skip("this loader of OpenCL drivers does not heed OCL_ICD_VENDORS")
    assert done.returncode == 2
    assert "pocl-opencl-icd" in done.stderr

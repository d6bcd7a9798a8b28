"""The Kotlin of a generated app answers as Python does, follows the policy, and allocates nothing for a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketfit.apps import Platform, sources
from pocketfit.contract import Yuv, YuvFormat
from pocketfit.data.contract import from_buffer, postprocess, prepare
from pocketfit.devices.measure.app_benchmark import read_benchmark
from pocketfit.runtimes import get_runtime

pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 30, 40
# LiteRT is the same library. The others are other builds than Python's, so that a sum may be added in another order; a
# step of the INT8 output, which a rounding that falls the other way costs, is some 1e-3.
STEP = 2e-3
# Softmax in double precision on both sides.
SCORE = 1e-3


def noise(tmp_path: Path, count: int) -> tuple[Path, np.ndarray]:
    values = np.random.default_rng(1).integers(0, 256, count, dtype=np.uint8)
    path = tmp_path / "noise.bin"
    path.write_bytes(values.tobytes())
    return path, values


def expected(generated, runtime: str, prepared: np.ndarray):
    entry = next(one for one in generated.source.manifest.artifacts if one.runtime == runtime)
    session = get_runtime(runtime).open(generated.source.artifact(entry))
    outputs = session.run([prepared])
    return outputs[0].ravel(), postprocess(outputs, generated.source.contract())


def compare(told, outputs, answers, runtime: str):
    assert told["runtime"] == runtime
    got = np.array(told["outputs"][0], np.float32)
    np.testing.assert_allclose(got, outputs, rtol=0, atol=0 if runtime == "litert" else STEP)
    scores = {one["label"]: one["score"] for one in told["answers"]}
    assert len(scores) == len(answers)
    if runtime == "litert":
        assert [one["index"] for one in told["answers"]] == [one.index for one in answers]
    for one in answers:
        assert scores.get(one.label, one.score) == pytest.approx(one.score, abs=SCORE)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_bitmap_is_classified(kotlin, generated, tmp_path: Path, runtime, orientation):
    path, values = noise(tmp_path, HEIGHT * WIDTH * 4)
    image = values.reshape(HEIGHT, WIDTH, 4)[..., :3]
    prepared = prepare(np.ascontiguousarray(image), generated.source.contract(), orientation=orientation)
    (told,) = kotlin.told("classify", *generated.arguments(runtime), path, WIDTH, HEIGHT, orientation)
    compare(told, *expected(generated, runtime, prepared), runtime)
    assert (told["device"], told["fallback"]) == ("cpu", False)


@pytest.mark.parametrize(("rotation", "orientation"), [(0, 1), (90, 6), (180, 3), (270, 8)])
def test_a_frame_of_a_camera_is_classified(kotlin, generated, tmp_path: Path, rotation, orientation):
    from dataclasses import replace

    path, values = noise(tmp_path, HEIGHT * WIDTH * 3 // 2)
    contract = replace(generated.source.contract(), input=Yuv(YuvFormat.NV21))
    prepared = prepare(from_buffer(values, HEIGHT, WIDTH, contract.input), contract, orientation=orientation)
    (told,) = kotlin.told("camera", *generated.arguments("litert"), path, WIDTH, HEIGHT, rotation)
    compare(told, *expected(generated, "litert", prepared), "litert")


@pytest.mark.parametrize("delegate", ["gpu", "nnapi", "dsp"])
def test_without_the_accelerator_the_cpu_answers_and_it_is_told(kotlin, generated, tmp_path: Path, delegate):
    """The GPU's delegate fails when it is made, NNAPI's when it first runs, and there is none for a DSP."""
    from shutil import copytree

    path, _ = noise(tmp_path, HEIGHT * WIDTH * 4)
    assets = copytree(generated.assets, tmp_path / "assets")
    # It says for each variant what it runs on; without it, the app's options count.
    (assets / "pocketfit/policy.json").unlink()
    arguments = (path, WIDTH, HEIGHT, 1)
    (told,) = kotlin.told("classify", assets, generated.home, "litert", delegate, *arguments)
    (plain,) = kotlin.told("classify", *generated.arguments("litert"), *arguments)
    assert (told["device"], told["fallback"]) == ("cpu", True)
    assert told["outputs"] == plain["outputs"]


def test_the_app_tests_itself(kotlin, generated, runtime):
    told = kotlin.told("selftest", *generated.arguments(runtime))
    checks = {one["name"]: one for one in told}
    for name in ("bundle preprocessing", "bundle postprocessing", f"{runtime} int8"):
        assert checks[name]["passed"] == checks[name]["total"] > 0, checks[name]
    others = [one for one in told if one["name"].endswith("int8") and not one["name"].startswith(runtime)]
    assert all("not run: no engine runs" in one["told"] for one in others)


def test_a_spoilt_bundle_is_refused(kotlin, generated, tmp_path: Path):
    from shutil import copytree

    assets = copytree(generated.assets, tmp_path / "assets")
    (assets / "pocketfit/bundle/preprocess.json").write_text("{}")
    done = kotlin.run("selftest", assets, tmp_path / "home", "litert", "cpu")
    assert done.returncode == 2
    assert "preprocess.json is not the file that was written" in done.stderr


def test_another_bundle_takes_the_place_of_the_one_before(kotlin, generated, tmp_path: Path):
    old = tmp_path / "home/pocketfit/of-an-older-version"
    old.mkdir(parents=True)
    kotlin.told("selftest", generated.assets, tmp_path / "home", "litert", "cpu")
    (folder,) = (tmp_path / "home/pocketfit").iterdir()
    assert folder != old
    assert (folder / "manifest.json").is_file()


def test_the_benchmark_is_what_the_measuring_room_reads(kotlin, generated, tmp_path: Path):
    done = kotlin.run("benchmark", *generated.arguments("litert"))
    assert done.returncode == 0, done.stderr
    (tmp_path / "told.json").write_text(done.stdout)
    found = read_benchmark(tmp_path / "told.json")
    assert [(one.runtime, one.threads, one.first.runs) for one in found.measured] == [
        ("litert", 1, 3),
        ("litert", 2, 3),
    ]
    assert found.measured[0].before.battery_c == 31.5
    assert all("no engine runs" in one for one in found.failed)


def test_a_hot_phone_is_spared(kotlin, generated):
    cool, hot, _ = kotlin.told("policy", bundle_of(generated), policy_of(generated))
    assert (cool["variant"], cool["outcomes"][-1]) == ("full", "FRESH")
    assert (hot["variant"], hot["outcomes"][-1]) == ("lite", "KEPT")
    assert "WAITING" in hot["outcomes"]


# Classes that a contract tells, when it does not say how many.
TOP = 5
UNKNOWN = -1


@pytest.mark.parametrize(
    ("level", "heat"), [(26, (UNKNOWN, UNKNOWN)), (28, (UNKNOWN, UNKNOWN)), (29, (0, UNKNOWN)), (30, (0, 500))]
)
def test_sensors_ask_a_phone_for_nothing_that_its_release_lacks(kotlin, level, heat):
    first, second, closed = kotlin.told("sensors", **{"stub.sdk": level})
    assert (first["THERMAL_STATUS"], first["HEADROOM_PERMILLE"]) == heat
    assert (first["BATTERY_PERCENT"], first["CHARGING"], first["MEMORY_PRESSURE"]) == (80, 1, 0)
    assert (second["BATTERY_PERCENT"], second["CHARGING"], second["MEMORY_PRESSURE"]) == (15, 0, 3)
    assert closed == {"closed": True}


def test_a_frame_allocates_nothing(kotlin, generated):
    (told,) = kotlin.told("allocated", generated.assets, generated.home)
    assert told["answers"] == TOP * told["frames"]
    # The smallest object takes 16 bytes, so not even every fourth frame makes one. What is asked for once in a second,
    # and the JVM itself, now and then do: 0 and 360 bytes in 300 frames were seen.
    assert told["bytes"] < 4 * told["frames"]


def test_threads_are_those_of_the_fast_cores(kotlin, tmp_path: Path):
    for core, clock in enumerate((2_400_000, 1_800_000)):
        path = tmp_path / f"cpu{core}/cpufreq/cpuinfo_max_freq"
        path.parent.mkdir(parents=True)
        path.write_text(f"{clock}\n")
    assert kotlin.run("threads", tmp_path).stdout == "1\n"
    assert kotlin.run("threads", tmp_path / "none").stdout.strip() in ("1", "2", "3", "4")


def test_gradle_scripts_parse(kotlin, tmp_path: Path):
    """Nothing knows Gradle's names here, so that only their syntax is tried."""
    scripts = {name: path for name, path in sources(Platform.ANDROID).items() if str(name).endswith(".gradle.kts")}
    for index, path in enumerate(scripts.values()):
        lines = path.read_text().splitlines()
        body = [line for line in lines if not line.startswith("import ")]
        (tmp_path / f"Script{index}.kt").write_text("\n".join([f"fun script{index}() {{", *body, "}"]))
    found = kotlin.compile(sorted(tmp_path.glob("*.kt")), tmp_path / "out")
    assert "unresolved reference" in found.stderr
    assert "syntax error" not in found.stderr


def bundle_of(generated) -> Path:
    return generated.assets / "pocketfit/bundle"


def policy_of(generated) -> Path:
    return generated.assets / "pocketfit/policy.json"

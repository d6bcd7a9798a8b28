"""Training of shared weights, the search, and both together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pocketfit.cli.app import app
from pocketfit.devices.predict.limit import LatencyLimit
from pocketfit.devices.profile import find_profile
from pocketfit.errors import DataError, OptionError
from pocketfit.models.load import load_model
from pocketfit.nas.architecture import Architecture, space_for
from pocketfit.nas.cost import Cost, macs_of, predicted_latency
from pocketfit.nas.design import NasRequest, design
from pocketfit.nas.find import find
from pocketfit.nas.train import supernet_recipe, train_supernet
from pocketfit.types import Samples

pytest.importorskip("optuna")

SPACE = space_for((1, 8, 8), 4, 8)


@pytest.fixture(scope="module")
def samples() -> Samples:
    """Four classes: which corner is bright."""
    random = np.random.default_rng(0)
    inputs, labels = random.standard_normal((192, 1, 8, 8)).astype(np.float32) / 2, np.arange(192) % 4
    for image, label in zip(inputs, labels, strict=True):
        top, left = 4 * (label // 2), 4 * (label % 2)
        image[0, top : top + 4, left : left + 4] += 1
    return Samples(inputs, labels, None, fingerprint="corners")


def test_all_networks_learn(samples: Samples) -> None:
    supernet = train_supernet(SPACE, samples, supernet_recipe(12))
    for architecture in (SPACE.smallest(), SPACE.largest()):
        net = supernet.taken_out(architecture, [samples.inputs])
        with torch.no_grad():
            right = (net(torch.from_numpy(samples.inputs)).argmax(1).numpy() == samples.labels).mean()
        assert right > 0.7, str(architecture)  # by chance: 0.25


class Stop(Exception):
    """What ends a training."""


def test_a_training_that_was_stopped_ends_as_if_it_had_not_been(samples: Samples, tmp_path: Path) -> None:
    def stop(step) -> None:
        if step.number == 5:
            raise Stop

    recipe = replace(supernet_recipe(3), checkpoint_steps=2)
    whole = train_supernet(SPACE, samples, recipe)
    with pytest.raises(Stop):
        train_supernet(SPACE, samples, recipe, checkpoint=tmp_path / "s.pt", progress=stop)
    steps: list[int] = []
    resumed = train_supernet(
        SPACE, samples, recipe, checkpoint=tmp_path / "s.pt", progress=lambda step: steps.append(step.number)
    )
    assert steps == [5, 6, 7, 8, 9]
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_labels_are_needed(samples: Samples) -> None:
    with pytest.raises(DataError, match="learn from labels"):
        train_supernet(SPACE, Samples(samples.inputs, None, None), supernet_recipe(1))
    with pytest.raises(DataError, match="a label is 3, but the space is for 2 classes"):
        train_supernet(space_for((1, 8, 8), 2, 8), samples, supernet_recipe(1))


def blocks(architecture: Architecture) -> float:
    return float(sum(map(len, architecture.stages)))


def widths(architecture: Architecture) -> float:
    return float(sum(block.expansion for stage in architecture.stages for block in stage))


def test_the_front_holds_what_nothing_beats() -> None:
    front = find(SPACE, widths, Cost("blocks", blocks), 40)
    assert [one.cost for one in front] == sorted({one.cost for one in front})
    assert [one.accuracy for one in front] == sorted({one.accuracy for one in front})
    # Both ends are looked at in any case: nothing answers better than the largest, and nothing is smaller.
    assert (front[-1].accuracy, front[0].cost) == (widths(SPACE.largest()), 2.0)


def test_what_is_too_dear_is_never_judged() -> None:
    judged: list[float] = []

    def judge(architecture: Architecture) -> float:
        judged.append(blocks(architecture))
        return widths(architecture)

    front = find(SPACE, judge, Cost("blocks", blocks, 3), 30)
    assert max(judged) <= 3 and all(one.cost <= 3 for one in front)
    with pytest.raises(OptionError, match="None of 5 networks costs at most 1 blocks; the cheapest costs 2"):
        find(SPACE, judge, Cost("blocks", blocks, 1), 5)


def test_a_search_goes_on_where_it_stopped(tmp_path: Path) -> None:
    judged: list[str] = []

    def judge(architecture: Architecture) -> float:
        judged.append(str(architecture))
        return widths(architecture)

    cost = Cost("blocks", blocks)
    first = find(SPACE, judge, cost, 6, storage=tmp_path / "s.db")
    before = len(judged)
    assert find(SPACE, judge, cost, 6, storage=tmp_path / "s.db") == first
    assert len(judged) == before
    find(SPACE, judge, cost, 9, storage=tmp_path / "s.db")
    assert before < len(judged) <= before + 3


def test_costs() -> None:
    macs = macs_of(SPACE)
    assert macs.of(SPACE.smallest()) < macs.of(SPACE.largest())
    latency = predicted_latency(SPACE, find_profile("xiaomi-mi-11"))
    assert 0 < latency.of(SPACE.smallest()) < latency.of(SPACE.largest())
    assert latency.name == "ms on xiaomi-mi-11, predicted"


@pytest.mark.slow
def test_digits_from_nothing_to_a_model(tmp_path: Path) -> None:
    out = tmp_path / "designed.pt2"
    request = NasRequest(out=out, width=8, epochs=6, trials=6, max_macs=400_000, cache=tmp_path / "cache")
    result = design(request)
    assert result.accuracy is not None and result.accuracy.samples == 599
    assert result.accuracy.value > 50  # by chance: 10
    assert all(row.cost <= 400_000 for row in result.front)
    assert result.macs == result.front[-1].cost
    model = load_model(str(out))
    assert (model.input.shape, model.output.shape) == ((1, 1, 8, 8), (1, 10))
    assert design(request).front == result.front


def test_a_limit_needs_a_phone(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="Name a phone: --latency 5ms@xiaomi-mi-11"):
        design(NasRequest(latency=LatencyLimit(5.0), cache=tmp_path))


def test_what_it_learns_from_judges_nothing(tmp_path: Path, samples: Samples) -> None:
    np.savez(tmp_path / "d.npz", x=samples.inputs, y=samples.labels)
    spec = str(tmp_path / "d.npz")
    with pytest.raises(OptionError, match="judged by what it knows already"):
        design(NasRequest(training_data=spec, data=spec, input_shape=(1, 8, 8), cache=tmp_path))
    with pytest.raises(OptionError, match="Give --input"):
        design(NasRequest(training_data=spec, cache=tmp_path))


KILLED = """
import sys
from pathlib import Path
from pocketfit.nas.design import NasRequest, design

request = NasRequest(width=8, epochs=6, trials=8, cache=Path(sys.argv[1]))
print(design(request).front, flush=True)
"""


@pytest.mark.slow
def test_killed_anywhere_it_goes_on(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(textwrap.dedent(KILLED))
    command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "cache")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # As soon as there is a checkpoint, in the middle of the training or of the search.
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not list(tmp_path.glob("cache/nas/*/supernet.pt")):
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert list(tmp_path.glob("cache/nas/*/supernet.pt"))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "Row(architecture=" in done.stdout


@pytest.mark.slow
def test_the_verb(tmp_path: Path) -> None:
    out = tmp_path / "net.pt2"
    options = ["--width", "8", "--epochs", "2", "--trials", "3", "--cache", str(tmp_path), "-o", str(out)]
    result = CliRunner().invoke(app, ["nas", *options, "--json"])
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["cost"] == "MACs" and told["front"] and out.is_file()
    shown = CliRunner().invoke(app, ["nas", *options])
    assert "share their weights" in " ".join(shown.stdout.split())

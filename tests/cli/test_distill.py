"""`pocketfit distill` as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from pocketfit.cli.app import run

pytest.importorskip("accelerate")

NETS = """
from pocketfit.models.zoo.digits_cnn import DigitsCnn, trained_digits_cnn

def big():
    net = trained_digits_cnn()
    net.input_shape = (1, 8, 8)
    return net

def small():
    return DigitsCnn(width=8)
"""


@pytest.fixture
def nets(tmp_path: Path) -> str:
    path = tmp_path / "nets.py"
    path.write_text(NETS)
    return str(path)


def line(nets: str, tmp_path: Path, *more: str) -> list[str]:
    return [
        *("distill", f"{nets}:big", f"--student={nets}:small", "--data=digits", "--batch=16", "--rate=5e-3"),
        *(f"--cache={tmp_path / 'cache'}", f"--out={tmp_path / 'student.pt2'}", *more),
    ]


def test_it_writes_a_student_and_says_what_it_has_learnt(
    nets: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line(nets, tmp_path, "--epochs=4", "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["after"]["accuracy"]["value"] > told["before"]["accuracy"]["value"] + 20
    assert told["after"]["parameters"] < told["teacher"]["parameters"]
    assert torch.export.load(tmp_path / "student.pt2").module()(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert run(line(nets, tmp_path, "--epochs=4")) == 0
    printed = capsys.readouterr().out
    assert "student before" in printed
    assert "Wrote" in printed


# One thread in all of them: sums in another order would lead a training elsewhere.
ALONE = os.environ | {"OMP_NUM_THREADS": "1"}
COMMAND = [sys.executable, "-c", "import sys; from pocketfit.cli.app import run; sys.exit(run(sys.argv[1:]))"]


def told(arguments: list[str]) -> dict[str, Any]:
    """What a process of its own prints."""
    done = subprocess.run([*COMMAND, *arguments], env=ALONE, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_killed_run_goes_on(nets: str, tmp_path: Path) -> None:
    """Killed for good, once its first checkpoint is there; what it ends with is what an undisturbed run has.

    The convolutions of the hints are part of what is taken up again.
    """
    more = ("--epochs=5", "--json", "--features=hint", "--teacher-warm-up=2")
    child = subprocess.Popen(
        [*COMMAND, *line(nets, tmp_path, *more)], env=ALONE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (found := list((tmp_path / "cache" / "distill").glob("*.checkpoint"))) and child.poll() is None:
        time.sleep(0.02)
    child.kill()
    child.wait()
    taken = torch.load(found[0], weights_only=True)["log"]
    resumed = told(line(nets, tmp_path, *more))
    (tmp_path / "fresh").mkdir()
    fresh = told(line(nets, tmp_path / "fresh", *more))
    assert len(taken) < resumed["steps"]
    assert {**resumed, "seconds": 0} == {**fresh, "seconds": 0}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--loss=huge"], "dkd"),
        (["--teacher-share=2"], "0 to 1"),
        (["--epochs=0"], "1 or more"),
        (["--test=digits"], "held"),
        (["--features=eyes"], "attention, hint"),
        (["--match=blocks=blocks"], "features are not compared"),
        (["--features=hint", "--match=blocks"], "STUDENT=TEACHER"),
        (["--features=hint", "--feature-weight=-1"], "0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(
    nets: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert run(line(nets, tmp_path, *options)) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "student.pt2").exists()


def test_features_are_matched_and_the_pairs_are_said(
    nets: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line(nets, tmp_path, "--epochs=1", "--features=attention", "--match=blocks.0=blocks.2", "--json")) == 0
    (pair,) = json.loads(capsys.readouterr().out)["matched"]
    assert (pair["student"]["name"], pair["student"]["shape"]) == ("blocks.0", [8, 8, 8])
    assert (pair["teacher"]["name"], pair["teacher"]["shape"]) == ("blocks.2", [48, 4, 4])
    # The student that came out is a graph; it may learn on.
    graph = [*line(nets, tmp_path, "--epochs=1", "--features=hint"), f"--student={tmp_path / 'student.pt2'}"]
    assert run(graph) == 0
    assert "Matched blocks (16x4x4) with blocks (48x4x4)." in capsys.readouterr().out


def test_losses_are_logged(nets: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    assert run(line(nets, tmp_path, "--epochs=1", f"--logs={tmp_path / 'logs'}")) == 0
    assert list((tmp_path / "logs").glob("events.out.tfevents.*"))


@pytest.mark.slow
def test_on_a_cluster(nets: str, tmp_path: Path, ray_cluster: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ray_cluster.add_node(num_cpus=1, memory=4 * 2**30)
    assert run(line(nets, tmp_path, "--epochs=4", "--json", f"--ray={ray_cluster.address}")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["after"]["accuracy"]["value"] > told["before"]["accuracy"]["value"] + 20
    assert run(line(nets, tmp_path, "--epochs=4", "--json", f"--ray={ray_cluster.address}", "--workers=0")) == 2
    assert "--workers 0 is too few" in capsys.readouterr().err


def test_workers_are_those_of_a_cluster(nets: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line(nets, tmp_path, "--workers=2")) == 2
    assert "Give --ray, too" in capsys.readouterr().err
    pytest.importorskip("ray")
    assert run(line(nets, tmp_path, "--ray=127.0.0.1:1")) == 2
    assert "no Ray cluster that answers" in capsys.readouterr().err
    assert not (tmp_path / "student.pt2").exists()

"""`pocketfit policy`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pocketfit.cli.app import run


@pytest.fixture
def policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "policy.json"
    assert run(["policy", "init", "-o", str(path)]) == 0
    capsys.readouterr()
    return path


def change(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_init_replaces_nothing_unless_told(policy: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["policy", "init", "-o", str(policy)]) == 2
    assert "--force" in capsys.readouterr().err
    assert run(["policy", "init", "-o", str(policy), "--force"]) == 0


def test_check_says_that_the_default_is_fine(policy: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["policy", "check", str(policy), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["faults"] == 0


def test_check_ends_with_code_4_for_faults_and_2_for_what_is_no_policy(
    policy: Path, capsys: pytest.CaptureFixture[str]
):
    when = {"battery_percent": {"at_most": 20}}
    change(policy, rules=[{"name": "mine", "when": when, "then": {"use": "lite"}}])
    assert run(["policy", "check", str(policy)]) == 4
    printed = capsys.readouterr()
    assert "flapping" in printed.out
    assert "1 fault" in printed.err
    change(policy, version=9)
    assert run(["policy", "check", str(policy)]) == 2
    assert "version 9" in capsys.readouterr().err


def test_a_bundle_that_is_none(policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["policy", "check", str(policy), "--bundle", str(tmp_path)]) == 2
    assert "is not a bundle" in capsys.readouterr().err


def test_simulate_prints_a_table_and_json(policy: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["policy", "simulate", str(policy), "--scenario", "memory"]) == 0
    text = capsys.readouterr().out
    assert "memory" in text
    assert "Predicted" in text
    assert run(["policy", "simulate", str(policy), "--scenario", "memory", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["predicted"] is True
    assert [span["rule"] for span in found["spans"]].count("memory") == 2


def test_simulate_draws_a_page_from_a_trace(policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    trace, page = tmp_path / "trace.csv", tmp_path / "page.html"
    trace.write_text("time_ms,battery_percent,headroom_permille\n0,50,100\n1000,50,200\n2000,50,200\n20000,10,300\n")
    assert run(["policy", "simulate", str(policy), "--trace", str(trace), "--plot", str(page)]) == 0
    assert "Predicted" not in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert "battery-low" in text
    assert all(f'data-plot="{name}"' in text for name in ("variant", "battery", "headroom"))
    assert 'data-plot="temperature"' not in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Give either"),
        (["--trace", "a.csv", "--scenario", "sun"], "Give either"),
        (["--scenario", "moon"], "camera, sun"),
        (["--trace", "none.csv"], "cannot be read"),
    ],
)
def test_simulate_refuses_what_it_cannot_follow(
    policy: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
):
    assert run(["policy", "simulate", str(policy), *arguments]) == 2
    assert told in capsys.readouterr().err


def test_sensors_are_read(capsys: pytest.CaptureFixture[str]):
    assert run(["policy", "sensors"]) == 0
    assert "memory_pressure" in capsys.readouterr().out
    assert run(["policy", "sensors", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["memory_pressure"] in range(4)


def test_vectors_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "vectors.jsonl"
    assert run(["policy", "vectors", str(path), "--count", "2", "--frames", "3"]) == 0
    assert len(path.read_text().splitlines()) == 3
    assert "Wrote 3 cases" in capsys.readouterr().out
    assert run(["policy", "vectors", str(path), "--count", "0"]) == 2

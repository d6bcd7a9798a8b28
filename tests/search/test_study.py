from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketfit.errors import OptionError, OutputError
from pocketfit.search.outcome import Outcome, State
from pocketfit.search.space import Deployment, Point, Space
from pocketfit.search.study import Study, sqlite_url, without_password
from pocketfit.types import Precision

SPACE = Space((100, 70, 40), ((3, 32, 32),), (Deployment("ncnn", Precision.INT8), Deployment("mnn", Precision.INT8)))


def proved(point: Point) -> Outcome:
    drop = (100 - point.macs) / 20
    return Outcome(point, State.PROVED, drop=drop, latency_ms=point.macs / 10, size_bytes=point.macs * 100)


def next_of(study: Study) -> tuple[int, Point]:
    proposal = study.ask()
    assert proposal is not None
    return proposal


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "study.db")


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of our own, on a socket in a folder."""
    pytest.importorskip("psycopg")
    folder = tmp_path_factory.mktemp("pg")
    tools = {name: shutil.which(name) for name in ("initdb", "pg_ctl")}
    if None in tools.values() or not hasattr(os, "geteuid"):
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed")
    user = getpass.getuser()
    prefix: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        user, prefix = "nobody", ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        shutil.chown(folder, "nobody", "nogroup")
        for parent in list(folder.parents)[: len(folder.parents) - 2]:
            parent.chmod(parent.stat().st_mode | 0o055)
    run = {"check": True, "capture_output": True, "cwd": folder}
    subprocess.run([*prefix, str(tools["initdb"]), "-D", folder / "data", "-A", "trust", "-N"], **run)
    options = f"-c listen_addresses='' -k {folder} -F"
    control = [*prefix, str(tools["pg_ctl"]), "-D", str(folder / "data"), "-w"]
    subprocess.run([*control, "-o", options, "-l", folder / "log", "start"], check=True, stdout=subprocess.DEVNULL)
    try:
        yield f"postgresql://{user}@/postgres?host={folder}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("storage", ["sqlite", "postgresql"])
def test_every_candidate_is_proposed_once(storage: str, request: pytest.FixtureRequest) -> None:
    study = Study(SPACE, request.getfixturevalue(storage), "every")
    asked = []
    while (proposal := study.ask()) is not None:
        number, point = proposal
        asked.append(point)
        study.tell(number, proved(point))

    assert asked[:2] == SPACE.first()
    assert sorted(asked, key=str) == sorted(SPACE.points(), key=str)


@pytest.mark.parametrize("storage", ["sqlite", "postgresql"])
def test_another_process_goes_on_where_the_first_one_died(storage: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(storage)
    first = Study(SPACE, url, "resumed")
    number, done = next_of(first)
    first.tell(number, proved(done))
    _, unfinished = next_of(first)
    del first  # nobody tells what became of the second

    second = Study(SPACE, url, "resumed")

    assert second.outcomes == (proved(done),)
    asked = [next_of(second)[1] for _ in range(len(SPACE) - 1)]
    assert unfinished in asked and done not in asked
    assert second.ask() is None


def test_a_dropped_candidate_comes_again(sqlite: str) -> None:
    study = Study(SPACE, sqlite, "dropped")
    number, point = next_of(study)
    study.drop(number)

    assert study.outcomes == ()
    assert point in [next_of(study)[1] for _ in range(len(SPACE))]


@pytest.mark.parametrize("state", [State.STOPPED, State.FAILED])
def test_what_was_not_proved_is_kept_too(sqlite: str, state: State) -> None:
    study = Study(SPACE, sqlite, "kept")
    number, point = next_of(study)
    study.tell(number, Outcome(point, state, "a reason"))

    assert Study(SPACE, sqlite, "kept").outcomes == (Outcome(point, state, "a reason"),)


def test_other_searches_in_the_same_database_are_apart(sqlite: str) -> None:
    one = Study(SPACE, sqlite, "one")
    number, point = next_of(one)
    one.tell(number, proved(point))

    assert Study(SPACE, sqlite, "other").outcomes == ()


def test_a_url_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="is no database"):
        Study(SPACE, "somewhere", "name")
    with pytest.raises(OutputError, match="cannot be kept"):
        Study(SPACE, sqlite_url(tmp_path / "missing" / "study.db"), "name")


def test_passwords_are_not_shown() -> None:
    assert "secret" not in without_password("postgresql://me:secret@host/db")

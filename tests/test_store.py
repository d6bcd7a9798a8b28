"""The store of finished stages: all of a result or nothing, whatever happens to the run that makes it."""

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pocketfit.errors import OutputError
from pocketfit.store import CACHE_VARIABLE, Store, default_cache, key_of


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def write(text: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        (folder / "result.txt").write_text(text)

    return build


def everything(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def test_a_stage_is_built_once(store: Store) -> None:
    first = store.get("plan", "key", write("one"))
    second = store.get("plan", "key", write("two"))
    assert first == second == store.root / "plan" / "key"
    assert (first / "result.txt").read_text() == "one"
    assert everything(store.root) == ["plan", "plan/key", "plan/key/result.txt"]


def test_stages_and_keys_are_kept_apart(store: Store) -> None:
    folders = {store.get(stage, key, write(stage + key)) for stage in ("plan", "run") for key in ("a", "b")}
    assert len(folders) == 4


def test_find_knows_what_is_finished(store: Store) -> None:
    assert store.find("plan", "key") is None
    folder = store.get("plan", "key", write("one"))
    assert store.find("plan", "key") == folder


def test_another_run_finds_it(store: Store) -> None:
    store.get("plan", "key", write("one"))
    assert Store(store.root).find("plan", "key") is not None


def test_while_it_is_built_nothing_is_found(store: Store) -> None:
    def build(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        assert store.find("plan", "key") is None

    assert store.get("plan", "key", build).name == "key"


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt(), SystemExit(1)])
def test_an_exception_stores_nothing_and_passes_through(store: Store, error: BaseException) -> None:
    def build(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise error

    with pytest.raises(type(error)):
        store.get("plan", "key", build)
    assert everything(store.root) == ["plan"]
    assert (store.get("plan", "key", write("whole")) / "result.txt").read_text() == "whole"


def test_sizes_and_clearing(store: Store) -> None:
    assert store.size_bytes() == 0
    store.get("plan", "a", write("four"))
    store.get("plan", "b", write("seven77"))
    assert store.size_bytes() == 11
    store.clear()
    assert not store.root.exists()


# Keys


def test_the_order_of_the_parts_does_not_matter() -> None:
    assert key_of({"a": 1, "b": {"c": 2, "d": 3}}) == key_of({"b": {"d": 3, "c": 2}, "a": 1})


def test_any_difference_gives_another_key() -> None:
    parts: list[dict[str, object]] = [{}, {"a": 1}, {"a": "1"}, {"a": 1.5}, {"b": 1}, {"a": 1, "b": None}, {"a": [1]}]
    keys = {key_of(part) for part in parts}
    assert len(keys) == len(parts)
    assert all(len(key) == 32 and key.isalnum() for key in keys)  # a file name on every system


def test_a_key_is_the_same_in_every_process() -> None:
    code = "from pocketfit.store import key_of; print(key_of({'a': [1, 'x'], 'b': {'c': 2.5}}))"
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert printed == {key_of({"a": [1, "x"], "b": {"c": 2.5}})}


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "mine"))
    assert default_cache() == tmp_path / "mine"
    monkeypatch.delenv(CACHE_VARIABLE)
    assert "pocketfit" in default_cache().name


# Processes that die, and several at once


BUILDER = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from pocketfit.store import Store

    def build(folder):
        (folder / "half.txt").write_text("half")
        print("building", flush=True)
        time.sleep(600)

    Store(Path(sys.argv[1])).get("plan", "key", build)
    """
)


@pytest.fixture
def builder(store: Store) -> Iterator[subprocess.Popen[str]]:
    """A process in the midst of building a stage."""
    process = subprocess.Popen([sys.executable, "-c", BUILDER, str(store.root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "building\n"
    yield process
    process.kill()
    process.wait()


def test_a_killed_builder_leaves_nothing_that_is_found(store: Store, builder: subprocess.Popen[str]) -> None:
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    again = Store(store.root)
    assert everything(store.root) == ["plan"]  # what it left was cleared away
    assert (again.get("plan", "key", write("whole")) / "result.txt").read_text() == "whole"


def test_what_a_living_process_builds_is_left_alone(store: Store, builder: subprocess.Popen[str]) -> None:
    other = Store(store.root)
    assert any("half.txt" in name for name in everything(store.root))
    assert other.find("plan", "key") is None
    assert (other.get("plan", "key", write("whole")) / "result.txt").read_text() == "whole"


def _race(root: Path, start: float, results: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "one.txt").write_text(str(os.getpid()))
        time.sleep(0.3)
        (folder / "two.txt").write_text(str(os.getpid()))

    time.sleep(max(0.0, start - time.time()))
    folder = Store(root).get("plan", "key", build)
    found = [(folder / name).read_text() for name in ("one.txt", "two.txt")]
    (results / f"{os.getpid()}.json").write_text(json.dumps(found))


def test_several_builders_at_once_end_with_one_whole_result(store: Store, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    context = multiprocessing.get_context("fork")
    start = time.time() + 0.3
    processes = [context.Process(target=_race, args=(store.root, start, results)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    seen = [json.loads(path.read_text()) for path in results.iterdir()]
    assert len(seen) == 4
    assert len({one for pair in seen for one in pair}) == 1  # all saw the same result, of one builder
    assert everything(store.root) == ["plan", "plan/key", "plan/key/one.txt", "plan/key/two.txt"]


# What cannot be written


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES])
def test_a_full_disk_is_said_and_stores_nothing(store: Store, code: int) -> None:
    def build(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise OSError(code, os.strerror(code))

    with pytest.raises(OutputError) as caught:
        store.get("plan", "key", build)
    assert str(store.root) in str(caught.value)
    assert os.strerror(code) in str(caught.value)
    assert "--cache" in str(caught.value)
    assert CACHE_VARIABLE in str(caught.value)
    assert everything(store.root) == ["plan"]


def test_a_disk_with_next_to_no_space_is_refused_before_a_stage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketfit.store.LEAST_FREE_BYTES", 2**62)
    with pytest.raises(OutputError, match=r"is full: .* MB are left.*Free some.*--cache"):
        store.get("plan", "key", lambda folder: pytest.fail("a native library would have crashed here"))
    assert everything(store.root) == ["plan"]


@pytest.mark.parametrize(
    "error",
    [OSError("100000 requested and 25584 written"), RuntimeError("[enforce fail] unexpected pos 576 vs 534")],
    ids=["numpy", "torch"],
)
def test_what_libraries_raise_on_a_full_disk_is_told_as_such(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def build(folder: Path) -> None:
        monkeypatch.setattr("pocketfit.store.LEAST_FREE_BYTES", 2**62)  # it has become full meanwhile
        raise error

    with pytest.raises(OutputError, match="is full"):
        store.get("plan", "key", build)
    assert everything(store.root) == ["plan"]


@pytest.mark.parametrize("error", [OSError("odd"), RuntimeError("mat1 and mat2 shapes cannot be multiplied")])
def test_with_space_left_they_pass_through(store: Store, error: Exception) -> None:
    def build(folder: Path) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        store.get("plan", "key", build)
    assert caught.value is error


def test_other_errors_of_the_system_pass_through(store: Store) -> None:
    def build(folder: Path) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    with pytest.raises(OSError, match="too many"):
        store.get("plan", "key", build)


def test_a_file_in_the_place_of_the_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("mine")
    with pytest.raises(OutputError, match="name another folder with --cache"):
        Store(tmp_path / "cache")
    with pytest.raises(OutputError, match="name another folder with --cache"):
        Store(tmp_path / "cache" / "below")
    assert (tmp_path / "cache").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_without_permission_is_refused(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        Store(locked / "cache")
    store = Store(tmp_path / "cache")
    store.root.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Permission denied"):
            store.get("plan", "key", write("one"))
    finally:
        store.root.chmod(0o700)

"""Work done in a child process: a converter that crashes, hangs or chatters cannot take the run with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter

from pocketfit.runtimes import get_runtime
from pocketfit.runtimes.isolate import call
from pocketfit.types import Artifact, LoadedModel, Precision, Variant

__all__ = ["artifact_from_json", "artifact_to_json", "convert_float_in_child", "convert_in_child"]

# Generous: the slowest converter needs a minute for a phone-sized model on two busy cores.
TIMEOUT_S = 1200.0
MEMORY_BYTES = 12 * 2**30

_ARTIFACT = TypeAdapter(Artifact)


def convert_in_child(
    runtime: str,
    model: Path,
    plan: Path,
    out: Path,
    *,
    options: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Artifact:
    """Convert in a child process.

    Args:
        runtime: name of the runtime.
        model: folder written by `pocketfit.models.canonical.save`.
        plan: JSON file of the plan.
        out: existing folder for the artifact's files.
        options: of the runtime, by name; None for its defaults.
        log: file that receives what the converter prints.

    Raises:
        ConversionError: the converter refused the model.
        IsolationError: the child crashed, hung or took too much memory.
    """
    arguments = {"runtime": runtime, "model": model, "plan": plan, "out": out, "options": dict(options or {})}
    result = call("pocketfit.runtimes.work:convert", arguments, timeout_s=TIMEOUT_S, memory_bytes=MEMORY_BYTES, log=log)
    return artifact_from_json(result, out)


def convert_float_in_child(model: LoadedModel, runtime: str, folder: Path) -> Artifact:
    """Convert a model in float32 in a child process.

    Args:
        model: in canonical form.
        runtime: name of the runtime.
        folder: existing and empty; the artifact's files come into a folder within.

    Raises:
        ConversionError: the converter refused the model.
        IsolationError: the child crashed, hung or took too much memory.
    """
    from pocketfit.compress.quantize.plan import float_plan, plan_to_json
    from pocketfit.models.store import save

    for name in ("model", "artifact"):
        (folder / name).mkdir()
    save(model, folder / "model")
    plan = folder / "plan.json"
    plan.write_text(plan_to_json(float_plan(model, Precision.FLOAT32)))
    return convert_in_child(runtime, folder / "model", plan, folder / "artifact")


def convert(
    runtime: str, model: str, plan: str, out: str, options: Mapping[str, str] | None = None
) -> dict[str, object]:
    """The child's part of `convert_in_child`."""
    from pocketfit.compress.quantize.plan import plan_from_json
    from pocketfit.models.store import restore

    variant = Variant(restore(Path(model)), plan_from_json(Path(plan).read_bytes()), dict(options or {}))
    return artifact_to_json(get_runtime(runtime).convert(variant, Path(out)))


def artifact_to_json(artifact: Artifact) -> dict[str, object]:
    """The artifact with file names relative to their folder, so that the folder can be moved."""
    data: dict[str, object] = _ARTIFACT.dump_python(artifact, mode="json")
    data["files"] = [path.name for path in artifact.files]
    return data


def artifact_from_json(data: Mapping[str, object], folder: Path) -> Artifact:
    """Read what `artifact_to_json` made; the files lie in `folder`."""
    names = data["files"]
    assert isinstance(names, list)
    return _ARTIFACT.validate_python({**data, "files": [folder / name for name in names]})

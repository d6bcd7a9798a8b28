"""What every runtime promises, as tests that any package can run over its own.

    class TestMine(RuntimeContract):
        runtime_name = "mine"

It is run with pytest; each tiny model is converted at most once per precision. `docs/runtimes.md` tells the rest.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from pocketfit.compress.quantize.plan import float_plan, plan_to_json
from pocketfit.compress.quantize.simulate import simulate
from pocketfit.errors import ConversionError, RuntimeMissing
from pocketfit.models.canonical import canonicalise
from pocketfit.models.store import save
from pocketfit.rows import apart, together
from pocketfit.runtimes import get_runtime, runs_here, why_not_run_here
from pocketfit.runtimes.batch import BATCH
from pocketfit.runtimes.work import artifact_from_json, artifact_to_json, convert_in_child
from pocketfit.testing.models import MODELS, Mixed, ThreeInputs, TinyModel, TwoHeads, build
from pocketfit.testing.plans import MIXED_PLANS, Artifacts, Case, case_of
from pocketfit.types import Artifact, KernelUse, Precision, Runtime, RuntimeInfo, Session, Variant
from pocketfit.verify.parity import compare

__all__ = ["RuntimeContract"]


class RuntimeContract:
    """Inherit, set `runtime_name`, and let pytest collect the class.

    Of a runtime that does not run on this host everything is tested but its answers; those checks are skipped.

    Attributes:
        runtime_name: as registered in the entry-point group `pocketfit.runtimes`.
        int8_kernels: False for a runtime that stores INT8 but multiplies in float; `kernels` then has to say so.
        unsupported: a model that the runtime cannot take, and the op that its error has to name.
        float_tolerance: largest error of float artifacts, relative to the largest output.
        int8_steps: largest error of INT8 artifacts, in steps of the output's INT8 scale.
    """

    runtime_name: ClassVar[str]
    int8_kernels: ClassVar[bool] = True
    unsupported: ClassVar[tuple[type[TinyModel], str] | None] = None
    # The same float32 sums in another order: 2e-6 is the most that was seen in these shallow models.
    float_tolerance: ClassVar[float] = 1e-5
    # Kernels may round a value that lies between two integers to either; the layers that follow hardly widen it.
    int8_steps: ClassVar[float] = 2.0

    @pytest.fixture(scope="class")
    @classmethod
    def runtime(cls) -> Runtime:
        """What is tested."""
        return get_runtime(cls.runtime_name)

    @pytest.fixture(scope="class")
    @classmethod
    def artifacts(cls, runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
        """Its files."""
        return Artifacts(runtime, tmp_path_factory.mktemp(runtime.info.name))

    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> Case:
        """The model that is converted to every precision."""
        return case_of(Mixed)

    @pytest.fixture(scope="class", params=[*Precision], ids=str)
    @classmethod
    def precision(cls, runtime: Runtime, request: pytest.FixtureRequest) -> Precision:
        """One that the runtime declares."""
        precision: Precision = request.param
        if precision not in runtime.info.precisions:
            pytest.skip(f"{runtime.info.name} does not declare {precision}")
        return precision

    @pytest.fixture(scope="class")
    @classmethod
    def artifact(cls, artifacts: Artifacts, precision: Precision) -> Artifact:
        """The model's files in that precision."""
        return artifacts.get(Mixed, precision)

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls, runtime: Runtime, artifact: Artifact) -> Session:
        """The files opened, for all checks that may share a session."""
        return _open(runtime, artifact)

    # information -------------------------------------------------------------------------------------------------

    def test_info_is_complete(self, runtime: Runtime) -> None:
        """Everything that `pocketfit runtimes` prints is there."""
        info = runtime.info
        assert re.fullmatch(r"[a-z][a-z0-9_-]*", info.name), "users type the name in a comma-separated list"
        assert info.title and info.packages and info.platforms
        assert re.fullmatch(r"\.[a-z0-9.]+", info.suffix)
        assert Precision.FLOAT32 in info.precisions, "without it nobody can tell the converter's faults from INT8's"
        assert len(set(info.precisions)) == len(info.precisions)
        assert info.hosts and set(info.hosts) <= {"linux", "macos", "windows"}
        for option in info.options:
            assert re.fullmatch(r"[a-z][a-z0-9-]*", option.name) and option.values and option.meaning

    def test_name_leads_to_the_runtime(self, runtime: Runtime) -> None:
        """Child processes find the runtime by its name alone."""
        assert type(get_runtime(runtime.info.name)) is type(runtime)

    def test_info_is_read_without_importing_packages(self, runtime: Runtime) -> None:
        """`pocketfit runtimes` asks every runtime, installed or not, and answers at once."""
        module, name = type(runtime).__module__, type(runtime).__name__
        loaded = _print(f"import sys; from {module} import {name}; {name}.info; print(*sys.modules)").split()
        assert not _modules(runtime.info) & set(loaded)

    # files -------------------------------------------------------------------------------------------------------

    def test_converts_into_its_folder_alone(self, runtime: Runtime, artifact: Artifact) -> None:
        """Files lie in `out`, the main one first, and nothing is left anywhere else."""
        out = artifact.files[0].parent
        assert sorted(out.iterdir()) == sorted(artifact.files)
        assert artifact.files[0].suffix == runtime.info.suffix
        assert sorted(path.name for path in out.parent.iterdir()) == ["elsewhere", "out"]
        assert not list((out.parent / "elsewhere").iterdir())

    def test_artifact_says_what_it_is(self, runtime: Runtime, artifact: Artifact, precision: Precision) -> None:
        """Its description goes into the bundle's manifest as it is."""
        assert (artifact.runtime, artifact.precision) == (runtime.info.name, precision)
        assert artifact.scheme is runtime.info.scheme
        assert artifact.versions.keys() >= set(runtime.info.packages)
        assert artifact.input.name and artifact.output.name
        assert artifact.options.keys() == {option.name for option in runtime.info.options}

    def test_narrower_is_smaller(self, runtime: Runtime, artifacts: Artifacts) -> None:
        """Each precision takes fewer bytes than the wider ones."""
        declared = [precision for precision in Precision if precision in runtime.info.precisions]
        sizes = [artifacts.get(Mixed, precision).size_bytes for precision in declared]
        assert sizes == sorted(set(sizes), reverse=True)

    def test_child_process_converts_to_the_same_bytes(
        self, runtime: Runtime, artifacts: Artifacts, case: Case, tmp_path: Path
    ) -> None:
        """The way `pocketfit fit` converts, with the plan as a file; equal input gives equal files."""
        precision = _narrowest(runtime.info)
        expected = artifacts.get(Mixed, precision)
        model, plan, out = tmp_path / "model", tmp_path / "plan.json", tmp_path / "out"
        model.mkdir()
        out.mkdir()
        save(case.model, model)
        plan.write_text(plan_to_json(case.plans[precision]))
        artifact = convert_in_child(runtime.info.name, model, plan, out)
        assert replace(artifact, files=()) == replace(expected, files=())
        assert [path.name for path in artifact.files] == [path.name for path in expected.files]
        assert [_content(path) for path in artifact.files] == [_content(path) for path in expected.files]

    def test_folder_can_be_moved(
        self, runtime: Runtime, artifact: Artifact, session: Session, case: Case, tmp_path: Path
    ) -> None:
        """Files hold no path; the artifact's description survives JSON."""
        folder = artifact.files[0].parent
        stored = json.dumps(artifact_to_json(artifact))
        moved = folder.rename(tmp_path / "moved")
        try:
            opened = _open(runtime, artifact_from_json(json.loads(stored), moved))
            assert np.array_equal(opened.run([case.samples[:1]])[0], session.run([case.samples[:1]])[0])
        finally:
            moved.rename(folder)

    # answers -----------------------------------------------------------------------------------------------------

    def test_answers_as_the_plan_says(
        self, runtime: Runtime, session: Session, precision: Precision, case: Case
    ) -> None:
        """Parity with the plan's own simulation."""
        self._compare(_answers(session, case), case, precision, runtime)

    @pytest.mark.parametrize("kind", MODELS[1:], ids=lambda kind: kind.__name__)
    def test_answers_as_the_plan_says_for_other_models(
        self, runtime: Runtime, artifacts: Artifacts, kind: type[TinyModel]
    ) -> None:
        """Parity, in the narrowest precision: it is the one that goes wrong."""
        precision, case = _narrowest(runtime.info), case_of(kind)
        session = _open(runtime, artifacts.get(kind, precision))
        self._compare(_answers(session, case), case, precision, runtime)

    @pytest.mark.parametrize("name", MIXED_PLANS)
    def test_answers_as_a_mixed_plan_says(self, runtime: Runtime, artifacts: Artifacts, case: Case, name: str) -> None:
        """Parity with the simulation of what the runtime says that it can express."""
        if Precision.INT8 not in runtime.info.precisions:
            pytest.skip(f"{runtime.info.name} does not declare {Precision.INT8}")
        plan = case.expressible(name, runtime.info)
        expected = simulate(case.model, plan, runtime.info.scheme, [case.samples.copy()])
        got = _answers(_open(runtime, artifacts.get(Mixed, name)), case)
        rounds = plan.activations or any(layer.dynamic for layer in plan.layers.values())
        self._compare_arrays(got, expected, case.output_steps(runtime.info.scheme) if rounds else None)

    @pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
    def test_answers_alike_in_batches(self, runtime: Runtime, kind: type[TinyModel], tmp_path: Path) -> None:
        """With a dynamic batch, where that can be asked for, each sample's answer is the plan's."""
        if BATCH not in (option.name for option in runtime.info.options):
            pytest.skip(f"{runtime.info.name} has no option '{BATCH}'")
        precision, case = _narrowest(runtime.info), case_of(kind)
        variant = replace(case.variant(precision), options={BATCH: "dynamic"})
        if not case.model.dynamic_batch:
            with pytest.raises(ConversionError, match="one sample at a time"):
                runtime.convert(variant, tmp_path)
            return
        artifact = runtime.convert(variant, tmp_path)
        assert [given.shape for given in artifact.inputs] == [given.shape for given in case.model.inputs]
        session = _open(runtime, artifact)
        batches = np.split(case.samples, [1, 4, 6])
        self._compare(
            np.concatenate([together(session.run(apart(batch, case.model.inputs))) for batch in batches]),
            case,
            precision,
            runtime,
        )

    def test_answers_alike_with_two_threads(
        self, runtime: Runtime, artifact: Artifact, precision: Precision, case: Case
    ) -> None:
        """Threads may change the order of sums, and nothing else."""
        self._compare(_answers(_open(runtime, artifact, threads=2), case), case, precision, runtime)

    def test_output_is_float32_in_the_models_shape(self, session: Session, case: Case) -> None:
        """Callers never see how the runtime stores numbers."""
        (output,) = session.run([case.samples[:1]])
        assert output.dtype == np.float32
        assert output.shape == case.model.output.shape

    def test_several_outputs_come_in_the_models_order(self, runtime: Runtime, artifacts: Artifacts) -> None:
        """Each float32 in its own shape, and named apart."""
        precision, case = _narrowest(runtime.info), case_of(TwoHeads)
        artifact = artifacts.get(TwoHeads, precision)
        assert len({output.name for output in artifact.outputs}) == len(case.model.outputs)
        outputs = _open(runtime, artifact).run([case.samples[:1]])
        assert [output.shape for output in outputs] == [output.shape for output in case.model.outputs]
        assert {output.dtype for output in outputs} == {np.dtype(np.float32)}

    def test_several_inputs_are_told_apart(self, runtime: Runtime, artifacts: Artifacts) -> None:
        """They are named in the order in which a session takes them; exchanged, they answer otherwise."""
        case, artifact = case_of(ThreeInputs), artifacts.get(ThreeInputs, _narrowest(runtime.info))
        assert [given.shape for given in artifact.inputs] == [given.shape for given in case.model.inputs]
        assert len({given.name for given in artifact.inputs}) == len(artifact.inputs)
        session = _open(runtime, artifact)
        before, after, state = apart(case.samples[:1], case.model.inputs)
        assert not np.array_equal(session.run([before, after, state])[0], session.run([after, before, state])[0])

    def test_answers_depend_on_the_input_alone(
        self, runtime: Runtime, artifact: Artifact, session: Session, case: Case
    ) -> None:
        """Not on what ran before, nor on the session: the same bits every time."""
        once = _answers(session, case)
        assert np.array_equal(once[::-1], _answers(session, case, case.samples[::-1].copy()))
        assert np.array_equal(once, _answers(_open(runtime, artifact), case))

    def test_input_is_left_as_it_is(self, session: Session, case: Case) -> None:
        """The caller's array is only read."""
        sample = case.samples[:1].copy()
        session.run([sample])
        assert np.array_equal(sample, case.samples[:1])

    def test_input_may_lie_in_memory_in_any_order(self, session: Session, case: Case) -> None:
        """Decoded images are views with channels last, and stored samples are read-only."""
        sample = case.samples[:1]
        channels_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(sample, 1, -1)), -1, 1)
        channels_last.flags.writeable = False
        assert np.array_equal(session.run([channels_last])[0], session.run([sample])[0])

    def test_output_outlives_the_next_run(self, session: Session, case: Case) -> None:
        """It is no view of the runtime's memory."""
        (first,) = session.run([case.samples[:1]])
        kept = first.copy()
        session.run([case.samples[1:2]])
        assert np.array_equal(first, kept)

    # kernels and refusals ----------------------------------------------------------------------------------------

    def test_kernels_are_told_as_they_are(self, session: Session, precision: Precision, case: Case) -> None:
        """Float artifacts have no INT8 kernels; INT8 artifacts have some, or say that they have none."""
        self._check_kernels(session.kernels(), precision, case)

    def test_kernels_are_read_from_the_files(
        self, runtime: Runtime, artifact: Artifact, precision: Precision, case: Case
    ) -> None:
        """Where an artifact cannot be run, its files are all that tells."""
        if artifact.kernels is None:
            assert runs_here(runtime), "a runtime that does not run here has to give Artifact.kernels"
            pytest.skip(f"{runtime.info.name} tells its kernels when a session is open")
        self._check_kernels(artifact.kernels, precision, case)

    def test_opening_where_it_does_not_run_is_refused(self, runtime: Runtime, artifact: Artifact) -> None:
        """`pocketfit verify` says where it runs instead."""
        if runs_here(runtime):
            pytest.skip(f"{runtime.info.name} runs here")
        with pytest.raises(RuntimeMissing, match="runs on"):
            runtime.open(artifact)

    def test_refusal_names_the_op(self, runtime: Runtime, tmp_path: Path) -> None:
        """A model that cannot be converted is a typed error, which becomes a row of the table."""
        if self.unsupported is None:
            pytest.skip("no unsupported model is given")
        kind, op = self.unsupported
        model = canonicalise(build(kind), kind.input_shape, name="unsupported")
        with pytest.raises(ConversionError, match=re.escape(op)) as caught:
            runtime.convert(Variant(model, float_plan(model, Precision.FLOAT32)), tmp_path)
        assert caught.value.runtime == runtime.info.name

    def _check_kernels(self, used: KernelUse, precision: Precision, case: Case) -> None:
        assert used.how
        assert used.total >= len(case.plans[Precision.INT8].layers)
        assert 0 <= used.int8 <= used.total
        assert (used.int8 > 0) == (precision is Precision.INT8 and self.int8_kernels)

    def _compare(self, got: np.ndarray, case: Case, precision: Precision, runtime: Runtime) -> None:
        scheme = runtime.info.scheme
        steps = case.output_steps(scheme) if precision is Precision.INT8 else None
        self._compare_arrays(got, case.expected(precision, scheme), steps)

    def _compare_arrays(self, got: np.ndarray, expected: np.ndarray, steps: np.ndarray | None) -> None:
        got, expected = (values.reshape(len(values), -1) for values in (got, expected))
        if steps is None:
            assert compare(got, expected).max_error <= self.float_tolerance * np.abs(expected).max()
            return
        parity = compare(got / steps, expected / steps)
        assert parity.max_error <= self.int8_steps * 1.001  # both sides of a step are rounded to float32
        # Single values may differ; a shift of all of them is a wrong number in the file.
        assert parity.mean_error <= 0.25


def _open(runtime: Runtime, artifact: Artifact, *, threads: int = 1) -> Session:
    if reason := why_not_run_here(runtime):
        pytest.skip(reason)
    return runtime.open(artifact, threads=threads)


def _content(file: Path) -> dict[str, bytes]:
    """A file's bytes, or those of each file in a folder by its path."""
    inside = sorted(path for path in (file, *file.rglob("*")) if path.is_file())
    return {path.relative_to(file).as_posix(): path.read_bytes() for path in inside}


def _answers(session: Session, case: Case, samples: np.ndarray | None = None) -> np.ndarray:
    """To the case's samples, or to these, one by one."""
    rows = case.samples if samples is None else samples
    each = (apart(rows[index : index + 1], case.model.inputs) for index in range(len(rows)))
    return np.concatenate([together(session.run(inputs)) for inputs in each])


def _print(code: str) -> str:
    """What a fresh Python that finds the same packages prints."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def _narrowest(info: RuntimeInfo) -> Precision:
    return [precision for precision in Precision if precision in info.precisions][-1]


def _modules(info: RuntimeInfo) -> set[str]:
    """What the runtime's packages, and torch, are called when they are imported."""
    heavy = {"torch", *map(_normal, info.packages)}
    return {module for module, owners in metadata.packages_distributions().items() if heavy & set(map(_normal, owners))}


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()

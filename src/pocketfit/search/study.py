"""What Optuna does for a search: it proposes candidates, and keeps what became of them in a database.

Three objectives, all to be small: drop, latency and size; how far a candidate is over the limits is a constraint. The
database is what a search resumes from: a candidate that was running when the search was killed is proposed again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from pocketfit.errors import OptionError, OutputError
from pocketfit.search.outcome import Outcome, State
from pocketfit.search.pareto import objectives
from pocketfit.search.space import Deployment, Point, Space
from pocketfit.types import Precision

if TYPE_CHECKING:
    import optuna

__all__ = ["Study", "outcome_to_json", "sqlite_url", "without_password"]

# Of a candidate, going by what became of others.
RulesOut = Callable[[Point, Collection[Outcome]], bool]

_OUTCOME = TypeAdapter(Outcome)
_KEPT = "outcome"
# Proposals of known candidates in a row after which an unknown one is drawn by lot.
PATIENCE = 8
# Seconds that a process waits for another one to finish writing.
LOCKED_S = 60


def sqlite_url(path: Path) -> str:
    """The storage in a file."""
    return f"sqlite:///{path.absolute()}"


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """JSON values."""
    values: dict[str, Any] = _OUTCOME.dump_python(outcome, mode="json")
    return values


def without_password(storage: str) -> str:
    """A database's URL that may be shown."""
    from sqlalchemy import make_url

    return make_url(storage).render_as_string(hide_password=True)


class Study:
    """A search's memory and its next idea.

    Args:
        space: what may be proposed.
        storage: URL of a database, such as `sqlite:///file.db` or `postgresql://user:password@host/database`.
        name: of the search within the database; one that is there already is gone on with.
        seed: of the proposals.
        is_ruled_out: whether a candidate is not worth proposing, going by what is known of others; None for no such
            rule.

    Raises:
        OptionError: Optuna or the database's driver is not installed, or the URL is none.
        OutputError: the database cannot be reached or written.
    """

    def __init__(
        self, space: Space, storage: str, name: str, seed: int = 0, is_ruled_out: RulesOut | None = None
    ) -> None:
        self.space = space
        self.is_ruled_out = is_ruled_out or _nothing
        self.study = _open(storage, name, seed)
        self.lots = random.Random(seed)
        self.running: dict[int, optuna.Trial] = {}
        self.known = {outcome.point: outcome for outcome in self._kept()}
        self._take_up()

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Of every candidate so far, those of earlier runs of the same search included."""
        return tuple(self.known.values())

    @property
    def ruled_out(self) -> frozenset[Point]:
        """Candidates that were not tried, and will not be."""
        return frozenset(point for point in self.space.points() if point not in self.known and self._cannot_fit(point))

    def ask(self) -> tuple[int, Point] | None:
        """The next candidate and its number; None when every one is known, running or ruled out."""
        taken = set(self.known) | {self._point(trial) for trial in self.running.values()} | self.ruled_out
        left = [point for point in self.space.points() if point not in taken]
        if not left:
            return None
        for attempt in range(PATIENCE + 1):
            if attempt == PATIENCE:
                self.study.enqueue_trial(_parameters(self.lots.choice(left)))
            trial = self.study.ask()
            point = self._point(trial)
            if point in taken:
                self._tell_again(trial, point)
                continue
            self.running[trial.number] = trial
            return trial.number, point
        return None

    def tell(self, number: int, outcome: Outcome) -> None:
        """Keep what became of a candidate."""
        trial = self.running.pop(number)
        trial.set_user_attr(_KEPT, outcome_to_json(outcome))
        self.known[outcome.point] = outcome
        self._finish(trial, outcome)

    def drop(self, number: int) -> None:
        """Forget a candidate that was not finished; the same search, started again, proposes it first."""
        trial = self.running.pop(number)
        self._again(trial.params)
        self.study.tell(trial, state=_states().FAIL)

    def _finish(self, trial: optuna.Trial, outcome: Outcome) -> None:
        states = _states()
        if outcome.state is not State.PROVED:
            self.study.tell(trial, state=states.PRUNED if outcome.state is State.STOPPED else states.FAIL)
            return
        trial.set_constraint("limits", outcome.over)
        self.study.tell(trial, objectives(outcome))

    def _cannot_fit(self, point: Point) -> bool:
        return self.is_ruled_out(point, self.outcomes)

    def _tell_again(self, trial: optuna.Trial, point: Point) -> None:
        """A proposal that is known has its figures again, one that is ruled out is as good as stopped; one that runs is
        no news."""
        if point in self.known:
            self._finish(trial, self.known[point])
        elif self._cannot_fit(point):
            self.study.tell(trial, state=_states().PRUNED)
        else:
            self.study.tell(trial, state=_states().FAIL)

    def _point(self, trial: optuna.Trial) -> Point:
        macs = trial.suggest_categorical("macs", self.space.macs)
        size = trial.suggest_categorical("input", ["x".join(map(str, one)) for one in self.space.inputs])
        deployment = trial.suggest_categorical("deployment", list(map(str, self.space.deployments)))
        runtime, precision = deployment.split(" ")
        shape = tuple(int(side) for side in size.split("x"))
        return Point(macs, shape, Deployment(runtime, Precision(precision)))

    def _kept(self) -> list[Outcome]:
        """What is stored; candidates that the space no longer has are left alone."""
        points = set(self.space.points())
        stored = [trial.user_attrs[_KEPT] for trial in self.study.trials if _KEPT in trial.user_attrs]
        return [outcome for outcome in map(_OUTCOME.validate_python, stored) if outcome.point in points]

    def _take_up(self) -> None:
        """Begin with what the space says; or with what a killed run was at."""
        states = _states()
        if not self.study.trials:
            for point in self.space.first():
                self._again(_parameters(point))
        for trial in self.study.trials:
            if trial.state is states.RUNNING:
                self._again(trial.params)
                self.study.tell(trial.number, state=states.FAIL)

    def _again(self, parameters: dict[str, Any]) -> None:
        self.study.enqueue_trial(parameters, skip_if_exists=False)


def _parameters(point: Point) -> dict[str, Any]:
    size = "x".join(map(str, point.input))
    return {"macs": point.macs, "input": size, "deployment": str(point.deployment)}


def _nothing(point: Point, known: Collection[Outcome]) -> bool:
    return False


def _states() -> Any:
    from optuna.trial import TrialState

    return TrialState


def _open(storage: str, name: str, seed: int) -> optuna.Study:
    try:
        import optuna
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
    except ImportError as error:
        raise OptionError(
            f"--strategy search needs Optuna ({error}). Install it: pip install 'pocketfit[search]'."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        kept = optuna.storages.RDBStorage(_with_driver(storage), engine_kwargs=_engine(storage))
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=8, constant_liar=True)
        directions = [optuna.study.StudyDirection.MINIMIZE] * 3
        return optuna.create_study(
            storage=kept, sampler=sampler, study_name=name, directions=directions, load_if_exists=True
        )
    except (ArgumentError, NoSuchModuleError) as error:
        raise OptionError(
            f"--storage {storage!r} is no database: {error}. Write for example sqlite:///search.db or "
            "postgresql://user:password@host/database."
        ) from error
    except ImportError as error:
        raise OptionError(
            f"--storage needs the database's driver ({error}). For PostgreSQL: pip install 'pocketfit[postgresql]'."
        ) from error
    except SQLAlchemyError as error:
        reason = str(error).splitlines()[0]
        raise OutputError(f"the search cannot be kept in {without_password(storage)}: {reason}") from error


def _engine(storage: str) -> dict[str, Any]:
    return {"connect_args": {"timeout": LOCKED_S}} if storage.startswith("sqlite") else {"pool_pre_ping": True}


def _with_driver(storage: str) -> str:
    """PostgreSQL by the driver that the extra installs, unless the user names another."""
    scheme, colon, rest = storage.partition("://")
    return f"postgresql+psycopg{colon}{rest}" if scheme in ("postgresql", "postgres") else storage

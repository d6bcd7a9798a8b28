"""The best so far as a finished bundle, and the front so far as a file; both replaced in one step."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pocketfit.pipeline import Prepared, fit
from pocketfit.search.allowed import Allowed
from pocketfit.search.executors.packing import unpack
from pocketfit.search.outcome import Outcome, State
from pocketfit.search.pareto import best, front
from pocketfit.search.study import outcome_to_json
from pocketfit.searching.ground import read_ground
from pocketfit.searching.networks import STAGE, network_key, stored_network
from pocketfit.searching.request import SearchRequest
from pocketfit.searching.task import Answer
from pocketfit.store import Store
from pocketfit.types import FitResult

__all__ = ["Keeper"]


class Keeper:
    """Keeps what a search has found, so that it may end at any moment.

    Args:
        request: as the user asked, the budget filled in.
        allowed: the limits.
        grounds: folders by input shape.
        store: of this process.
        workers: processes that work on this host at once, while the search runs.
    """

    def __init__(
        self,
        request: SearchRequest,
        allowed: Allowed,
        grounds: Mapping[tuple[int, ...], Path],
        store: Store,
        workers: int,
    ) -> None:
        self.request, self.allowed, self.grounds, self.store, self.workers = request, allowed, grounds, store, workers
        self.packed: Outcome | None = None

    def receive(self, answer: Answer) -> Outcome:
        """Store the network that came with an answer from another host."""
        point, files = answer.outcome.point, answer.network
        if files is not None:
            key = network_key(read_ground(self.grounds[point.input]), point.macs)
            self.store.get(STAGE, key, lambda out: unpack(files, out))
        return answer.outcome

    def keep(self, outcomes: tuple[Outcome, ...]) -> None:
        """Write the front, and the bundle where there is a better one than the one that is written."""
        self._write_front(outcomes)
        winner = best(outcomes, self.request.fit.prefer)
        if winner is not None and winner != self.packed:
            self._fit(winner, outcomes, self.workers, self.request.fit.out)
            self.packed = winner

    def alone(self, outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
        """The outcomes, those of the front measured again on this host while nothing else works on it."""
        shown = front(outcomes)
        return tuple(self._again(one, outcomes) if one in shown else one for one in outcomes)

    def finish(self, outcomes: tuple[Outcome, ...]) -> FitResult | None:
        """The last bundle, of figures measured alone; None where nothing fits."""
        self._write_front(outcomes)
        winner = best(outcomes, self.request.fit.prefer)
        return None if winner is None else self._fit(winner, outcomes, 1, self.request.fit.out)

    def _again(self, outcome: Outcome, outcomes: tuple[Outcome, ...]) -> Outcome:
        evidence = self._fit(outcome, outcomes, 1, None).candidates[0].evidence
        if evidence is None:
            return replace(outcome, state=State.FAILED, reason="it did not run again on this host")
        measured = replace(outcome, latency_ms=evidence.median_ms(), size_bytes=evidence.size_bytes)
        return replace(measured, over=self.allowed.over(measured))

    def _fit(self, outcome: Outcome, outcomes: tuple[Outcome, ...], workers: int, out: Path | None) -> FitResult:
        """What `fit` makes of a candidate; on this host most of it is stored."""
        point = outcome.point
        ground = read_ground(self.grounds[point.input])
        network = stored_network(self.store, ground, point.macs)
        deployment = point.deployment
        return fit(
            replace(
                self.request.fit,
                out=out,
                targets=(deployment.runtime,),
                precisions=(deployment.precision,),
                prepared=Prepared(network, ground.data, ground.floats, outcomes, workers),
            )
        )

    def _write_front(self, outcomes: tuple[Outcome, ...]) -> None:
        folder = self.request.folder
        if folder is None:
            return
        shown = [outcome_to_json(one) for one in front(outcomes)]
        partial = folder / f"front.json.{os.getpid()}"
        partial.write_text(json.dumps(shown, indent=2) + "\n", encoding="utf-8")
        partial.replace(folder / "front.json")

"""Stage by stage: a face that is not alive is never embedded, and what took too long is told."""

from __future__ import annotations

from itertools import accumulate, chain, repeat

import numpy as np
import pytest

from pocketfit.errors import OptionError
from pocketfit.matching import Gallery, Gate, Outcome, Recogniser

ANN = np.array([1.0, 0.0])


def recogniser(alive: float | None = None, **more: object) -> tuple[Recogniser[np.ndarray], list[np.ndarray]]:
    gallery = Gallery("net", 2, 0.8)
    gallery.enrol("ann", ANN[None])
    embedded: list[np.ndarray] = []

    def embed(given: np.ndarray) -> np.ndarray:
        embedded.append(given)
        return given

    gate = None if alive is None else Gate(lambda _: alive, 0.5)
    return Recogniser(lambda picture: picture * 2, embed, gallery, gate, **more), embedded  # type: ignore[arg-type]


def test_somebody_known() -> None:
    look = recogniser(alive=0.9)[0].look(ANN)
    assert (look.outcome, look.matches[0].name, look.reason, look.liveness) == (Outcome.KNOWN, "ann", "", 0.9)
    assert list(look.ms) == ["prepare", "liveness", "embed", "match", "total"]


def test_a_stranger_is_told_why() -> None:
    look = recogniser()[0].look(ANN[::-1])
    assert (look.outcome, look.matches, look.liveness) == (Outcome.STRANGER, (), None)
    assert look.reason == "a stranger: nobody of 1 is alike above 0.800"


@pytest.mark.parametrize("alive", [0.5, 0.1, float("nan")])
def test_what_is_not_alive_is_never_embedded(alive: float) -> None:
    one, embedded = recogniser(alive)
    look = one.look(ANN)
    assert (look.outcome, look.matches, embedded) == (Outcome.NOT_LIVE, (), [])
    assert look.reason == f"not live: {alive:.3f}, and more than 0.500 is asked"
    assert list(look.ms) == ["prepare", "liveness", "total"]


def test_stages_above_their_budget_are_told() -> None:
    # Read before and after each stage: 1, 2, 3 and 4 ms.
    ticks = accumulate(chain.from_iterable((0.0, ms / 1000) for ms in (1, 2, 3, 4)), initial=0.0)
    clock = chain(list(ticks)[1:], repeat(1.0))
    budget = {"prepare": 1.5, "liveness": 1.5, "match": 3.5, "total": 11.0}
    one, _ = recogniser(0.9, budget_ms=budget, clock=lambda: next(clock))
    look = one.look(ANN)
    assert [round(ms, 6) for ms in look.ms.values()] == [1, 2, 3, 4, 10]
    assert look.late == ("liveness", "match")


@pytest.mark.parametrize("budget", [{"swim": 1.0}, {"embed": 0.0}, {"total": float("nan")}])
def test_what_is_no_budget_is_refused(budget: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="Stages are prepare, liveness, embed, match and total"):
        recogniser(budget_ms=budget)

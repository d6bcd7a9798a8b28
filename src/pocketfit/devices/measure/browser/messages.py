"""What goes between the waiting command and the page, as JSON; what a page says is checked here."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = ["Battery", "Done", "Given", "Hello", "Job", "Progress"]

# Of one text, as a browser's name or an error's message.
MAX_TEXT = 300


def _printable(text: str) -> str:
    """Without what could steer a terminal."""
    return "".join(sign if unicodedata.category(sign)[0] != "C" else " " for sign in text)[:MAX_TEXT].strip()


Words = Annotated[str, AfterValidator(_printable)]
Milliseconds = Annotated[float, Field(gt=0, lt=1e7, allow_inf_nan=False)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Battery(_Said):
    """As far as the browser tells."""

    percent: Annotated[int, Field(ge=0, le=100)]
    charging: bool


class Hello(_Said):
    """The first that a page says.

    Args:
        browser: as it calls itself.
        cores: that it tells of.
        threads: whether it gives threads to this page.
        battery: None where the browser does not tell.
    """

    browser: Words
    cores: Annotated[int, Field(ge=1, le=1024)]
    threads: bool
    battery: Battery | None = None


class Progress(_Said):
    """Where the page is: that it still is there is what counts."""

    done: Annotated[int, Field(ge=0)]
    of: Annotated[int, Field(ge=0)]


class Done(_Said):
    """What came of a job.

    Args:
        times_ms: of each inference, or the mean of each group of inferences.
        group: inferences between two readings of the clock: more than one where it is coarse.
        error: why nothing came of it; empty where all went well.
        battery: behind it.
    """

    times_ms: Annotated[tuple[Milliseconds, ...], Field(max_length=100_000)] = ()
    group: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    error: Words = ""
    battery: Battery | None = None


class Given(BaseModel):
    """An input or output as the page has to know it: its shape with the batch, its dtype as numpy spells it."""

    shape: tuple[int, ...]
    dtype: str


class Job(BaseModel):
    """What the page has to do: "time" an artifact, or "answer" the golden inputs with it.

    Args:
        id: counted from 0.
        kind: of the two.
        artifact: number of the artifact, under which the page asks for its file.
        title: for the person in front of the page.
        runtime: whose artifact it is.
        threads: handed to the runtime.
        runs: readings of the clock, to be timed.
        samples: golden inputs, to be answered.
        inputs: of the artifact, in order.
        outputs: likewise.
    """

    id: int
    kind: Literal["time", "answer"]
    artifact: int
    title: str
    runtime: str
    threads: int
    runs: int = 0
    samples: int = 0
    inputs: tuple[Given, ...]
    outputs: tuple[Given, ...]

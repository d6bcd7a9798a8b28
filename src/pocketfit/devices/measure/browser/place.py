"""A browser as a place to measure: the page that it has opened runs the artifacts."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pocketfit.devices.measure.browser.certificate import is_this_host_only, made_for, own_address
from pocketfit.devices.measure.browser.exchange import Exchange, Material
from pocketfit.devices.measure.browser.messages import Battery, Done, Given, Hello, Job
from pocketfit.devices.measure.browser.packages import files_for, pinned
from pocketfit.devices.measure.browser.server import Server
from pocketfit.devices.measure.place import Condition, Round
from pocketfit.errors import OptionError
from pocketfit.rows import apart, together
from pocketfit.types import Artifact, TensorSpec

if TYPE_CHECKING:
    import numpy as np

__all__ = ["InBrowser"]

ITEM_BYTES = 4
_INT8 = "int8"


class InBrowser:
    """A page for one browser; leave it by `with`, which ends the page.

    Args:
        artifacts: that may be run.
        address: of this host, to listen on; None for the one in its network. For 127.0.0.1, which is a browser on this
            host or a phone behind `adb reverse`, the page comes without HTTPS.
        port: likewise; 0 for any that is free.
        web_runtimes: folder with the runtimes for browsers; None for what this installation has.

    Raises:
        OptionError: a browser runs none of them, or this host cannot listen there.
        RuntimeMissing: trustme is not installed, or the runtimes for browsers are not there.
    """

    def __init__(
        self, artifacts: Sequence[Artifact], address: str | None, port: int, web_runtimes: Path | None = None
    ) -> None:
        self._artifacts = tuple(artifacts)
        web = files_for({artifact.runtime for artifact in artifacts}, web_runtimes)
        if not web:
            raise OptionError(f"A browser runs artifacts of {' and '.join(pinned().runtimes)}, and none was given.")
        address = address or own_address()
        secure, self.fingerprint = (None, "") if is_this_host_only(address) else made_for(address)
        self._exchange = Exchange()
        self._server = Server(address, port, self._exchange, web, secure)
        self._numbers = count()
        self._hello: Hello | None = None
        self._battery: Battery | None = None

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(*error)

    @property
    def url(self) -> str:
        """Of the page, with the token that lets one browser in."""
        return self._server.url

    def wait(self, seconds: float, waiting: Callable[[float], None]) -> None:
        """Wait until a browser has opened the page.

        Args:
            seconds: at most.
            waiting: told the seconds that are left, now and then.

        Raises:
            PocketfitError: none did.
        """
        self._hello = self._exchange.wait_for_page(seconds, waiting)
        self._battery = self._hello.battery

    @property
    def where(self) -> str:
        """The browser as it calls itself."""
        assert self._hello is not None, "wait() comes first"
        return f"{self._hello.browser}, {self._hello.cores} cores, in the browser"

    def condition(self) -> Condition:
        """The battery, where the browser tells."""
        if self._battery is None:
            return Condition()
        return Condition(battery_percent=self._battery.percent, charging=self._battery.charging)

    def run(self, artifact: Artifact, *, threads: int, runs: int, batch: int = 1) -> Round:
        """Time an artifact in the page.

        Raises:
            PocketfitError: the browser cannot run it, or is gone.
        """
        done, _ = self._ask("time", artifact, threads, runs=runs, batch=batch)
        return Round(statistics.median(done.times_ms), len(done.times_ms) * done.group, "median")

    def answers(self, artifact: Artifact, inputs: np.ndarray, *, threads: int) -> np.ndarray:
        """What an artifact answers in the page.

        Args:
            artifact: to be run.
            inputs: float32 N×…, several inputs of a sample as one row.
            threads: handed to the runtime.

        Returns:
            Float32 N×…, several outputs as `pocketfit.rows.together` puts them.

        Raises:
            PocketfitError: the browser cannot run it, or is gone.
        """
        import numpy as np

        size = ITEM_BYTES * sum(math.prod(spec.shape) for spec in artifact.outputs)
        rows = _on_grid(artifact, inputs) if _has_int8_ends(artifact) else inputs
        given = [np.ascontiguousarray(row, dtype="<f4").tobytes() for row in rows]
        _, answers = self._ask("answer", artifact, threads, inputs=given, answer_bytes=size)
        outputs = np.stack([np.frombuffer(answer, dtype="<f4") for answer in answers])
        return outputs if artifact.more_outputs else outputs.reshape(len(outputs), *artifact.output.shape[1:])

    def _ask(
        self,
        kind: Literal["time", "answer"],
        artifact: Artifact,
        threads: int,
        *,
        runs: int = 0,
        batch: int = 1,
        inputs: Sequence[bytes] = (),
        answer_bytes: int = 0,
    ) -> tuple[Done, list[bytes]]:
        self._check_threads(threads)
        job = Job(
            id=next(self._numbers),
            kind=kind,
            artifact=self._artifacts.index(artifact),
            title=f"{artifact.runtime} {artifact.precision}",
            runtime=artifact.runtime,
            threads=threads,
            runs=runs,
            samples=len(inputs),
            inputs=_given(artifact.inputs, batch),
            outputs=_given(artifact.outputs, batch),
        )
        done, answers = self._exchange.ask(job, Material(_content(artifact), inputs, answer_bytes))
        self._battery = done.battery or self._battery
        return done, answers

    def _check_threads(self, threads: int) -> None:
        """Runtimes would take fewer without a word."""
        assert self._hello is not None, "wait() comes first"
        if threads > 1 and not self._hello.threads:
            raise OptionError("This browser gives the page no threads. Give --threads 1.")
        if threads > self._hello.cores:
            raise OptionError(f"Got {threads} threads; this browser tells of {self._hello.cores} cores.")


def _given(specs: Sequence[TensorSpec], batch: int) -> tuple[Given, ...]:
    """INT8 ends are floats in the browser."""
    return tuple(
        Given(shape=(batch, *spec.shape[1:]), dtype="float32" if spec.dtype == _INT8 else spec.dtype) for spec in specs
    )


def _content(artifact: Artifact) -> bytes:
    content = artifact.files[0].read_bytes()
    if not _has_int8_ends(artifact):
        return content
    from pocketfit.runtimes.litert_ends import with_float_ends

    return with_float_ends(content)


def _has_int8_ends(artifact: Artifact) -> bool:
    return any(spec.dtype == _INT8 for spec in (*artifact.inputs, *artifact.outputs))


def _on_grid(artifact: Artifact, rows: np.ndarray) -> np.ndarray:
    from pocketfit.runtimes.litert_ends import on_grid

    return together(on_grid(artifact.files[0].read_bytes(), apart(rows, artifact.inputs)))

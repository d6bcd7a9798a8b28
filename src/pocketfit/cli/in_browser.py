"""What `pocketfit measure --browser` does at the terminal: invite a phone, and say what its answers are worth."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from pocketfit.errors import RuntimeMissing

if TYPE_CHECKING:
    from pocketfit.bundle import Bundle
    from pocketfit.bundle.manifest import ArtifactEntry
    from pocketfit.devices.measure.browser.place import InBrowser
    from pocketfit.types import Artifact

__all__ = ["CAUTION", "Golden", "Invitation", "check_golden", "opened"]

CAUTION = (
    "Figures of a browser: whether a model runs there and answers right. They are not those of an app, and say nothing "
    "about which precision is faster in one."
)


@dataclass(frozen=True)
class Invitation:
    """How a phone is invited.

    Args:
        address: of this host; None for the one in its network.
        port: likewise; 0 for any that is free.
        minutes: to wait for it.
        web_runtimes: folder with the runtimes for browsers; None for what this installation has.
    """

    address: str | None
    port: int
    minutes: float
    web_runtimes: Path | None


@dataclass(frozen=True)
class Golden:
    """An artifact's answers to the golden inputs.

    Args:
        max_error: largest absolute difference from what is expected; None where it is not finite.
        tolerance: that is allowed.
        agreement: share of samples, 0..1, with the same largest output.
        passed: whether the difference is allowed.
    """

    max_error: float | None
    tolerance: float
    agreement: float
    passed: bool

    def __str__(self) -> str:
        """Such as "1.2e-05 (0.0018)": how much they are off, and how much they may be."""
        off = "infinity" if self.max_error is None else f"{self.max_error:.2g}"
        return f"{'' if self.passed else 'WRONG: '}{off} ({self.tolerance:.2g})"


@contextmanager
def opened(artifacts: Sequence[Artifact], invitation: Invitation) -> Iterator[InBrowser]:
    """A browser that has opened the page.

    Raises:
        OptionError: a browser runs none of the artifacts, or this host cannot listen there.
        RuntimeMissing: packages or the runtimes for browsers are not there.
        PocketfitError: no browser came.
    """
    from pocketfit.devices.measure.browser.place import InBrowser

    with InBrowser(artifacts, invitation.address, invitation.port, invitation.web_runtimes) as place:
        _invite(place)
        place.wait(60 * invitation.minutes, _tell_waiting)
        typer.echo(f"Opened by {place.where}.", err=True)
        yield place


def check_golden(place: InBrowser, bundle: Bundle, entry: ArtifactEntry, threads: int) -> Golden:
    """Have the page answer the bundle's golden inputs.

    Raises:
        PocketfitError: the browser cannot run the artifact, or is gone.
    """
    from pocketfit.verify.parity import compare_outputs

    artifact = bundle.artifact(entry)
    answers = place.answers(artifact, bundle.golden_inputs(), threads=threads)
    parity = compare_outputs(answers, bundle.golden_outputs(entry), artifact.outputs)
    off = parity.max_error if math.isfinite(parity.max_error) else None
    return Golden(off, entry.tolerance, parity.agreement, parity.max_error <= entry.tolerance)


def _invite(place: InBrowser) -> None:
    if not place.fingerprint:
        port = urlsplit(place.url).port
        typer.echo(f"Open on this host, or on a phone after `adb reverse tcp:{port} tcp:{port}`:\n", err=True)
        typer.echo(f"  {place.url}\n", err=True)
        return
    typer.echo(f"Open on the phone, in the same network:\n\n  {place.url}\n", err=True)
    _draw(place.url)
    typer.echo(
        "The browser warns of the certificate, which was made for this measurement alone: go on to the page. "
        f"Its SHA-256 fingerprint is\n  {place.fingerprint}",
        err=True,
    )


def _draw(url: str) -> None:
    """The address as a QR code, for a camera in front of a terminal."""
    try:
        import segno
    except ImportError as error:
        raise RuntimeMissing("segno is not installed: pip install 'pocketfit[browser]'") from error
    if sys.stderr.isatty():
        segno.make_qr(url, error="l").terminal(sys.stderr, compact=True)


def _tell_waiting(seconds: float) -> None:
    typer.echo(f"Waiting for the browser, {math.ceil(seconds / 60)} minutes at most. Ctrl-C ends it.", err=True)

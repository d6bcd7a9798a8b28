"""The delegate that an artifact is made for, and what a session says of it.

A delegate is recorded wherever the artifact was converted, and used where it is there: elsewhere the session runs on
the CPU and says why. The files are the same for every delegate.
"""

from __future__ import annotations

from dataclasses import replace

from pocketfit.types import Acceleration, Artifact, KernelUse, RuntimeOption

__all__ = [
    "CPU",
    "DELEGATE",
    "asked_delegate",
    "delegate_notes",
    "delegate_option",
    "delegate_told",
    "for_cpu",
    "on_cpu",
    "with_delegate",
]

DELEGATE = "delegate"
CPU = "cpu"

_AND = "; "


def delegate_option(*others: str) -> RuntimeOption:
    """The option by which a user names a delegate; without it, the CPU."""
    return RuntimeOption(DELEGATE, (CPU, *others), "The accelerator to run on; the CPU where it is not there.")


def asked_delegate(artifact: Artifact) -> str:
    """The delegate that the artifact is made for; the CPU where its options name none."""
    return artifact.options.get(DELEGATE, CPU)


def delegate_notes(delegate: str) -> tuple[str, ...]:
    """What an artifact says of a delegate other than the CPU, in a sentence."""
    return () if delegate == CPU else (f"made for {delegate}; where that is not there, it runs on the CPU",)


def for_cpu(artifact: Artifact) -> Artifact:
    """The same files, to be opened on the CPU, as a converter does that tries what it wrote."""
    return replace(artifact, options={**artifact.options, DELEGATE: CPU})


def on_cpu(asked: str, reason: str = "") -> Acceleration:
    """A session on the CPU: as asked, or else for that reason."""
    return Acceleration(asked, CPU, reason="" if asked == CPU else reason)


def delegate_told(kernels: KernelUse) -> str:
    """What `with_delegate` said; empty where the artifact is made for the CPU."""
    return kernels.how.partition(_AND)[2]


def with_delegate(kernels: KernelUse, acceleration: Acceleration) -> KernelUse:
    """Say beside the kernels what they run on, unless that is the CPU as asked."""
    if acceleration.asked == CPU:
        return kernels
    return replace(kernels, how=f"{kernels.how}{_AND}{acceleration}")

"""Checks of the machine: Python, operating system, processor, memory, disk."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path

from pocketfit.cli.checks import Check, State
from pocketfit.cli.python_version import refusal

__all__ = ["all_checks", "check_cores", "check_disk", "check_isa", "check_memory", "check_python"]

CPUINFO = Path("/proc/cpuinfo")
# As the kernel spells them: x86 vectors and integer dot products, then their ARM counterparts.
ISA_FEATURES = (
    *("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "sve"),
)
INT8_DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
# The largest converter keeps several copies of a phone-sized model next to torch and itself.
MEMORY_NEEDED_BYTES = 3 * 10**9
# Stored stages of one model: its graph, a plan, and three artifacts per runtime.
DISK_NEEDED_BYTES = 2 * 10**9


def all_checks() -> tuple[Check, ...]:
    """Look at this machine."""
    import psutil  # it ships no types

    from pocketfit.devices.host import describe_host
    from pocketfit.store import default_cache

    return (
        check_python(sys.version_info[:2]),
        Check("operating system", f"{platform.system()} {platform.release()} on {platform.machine()}"),
        Check("host", describe_host()),
        check_isa(_cpuinfo()),
        check_cores(psutil.cpu_count(logical=False) or os.cpu_count() or 1),
        check_memory(psutil.virtual_memory().available),
        check_disk(default_cache()),
    )


def check_python(version: tuple[int, int]) -> Check:
    """Whether every converter is published for this Python."""
    refused = refusal(version)
    state: State = "problem" if refused else "ok"
    return Check("Python", f"{version[0]}.{version[1]}", state, refused)


def check_isa(cpuinfo: str) -> Check:
    """Whether the processor multiplies INT8 natively.

    Args:
        cpuinfo: the text of /proc/cpuinfo; empty where there is none.
    """
    listed = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)
    if listed is None:
        return Check("instructions", "not listed by this operating system")
    present = [feature for feature in ISA_FEATURES if feature in listed[1].split()]
    found = ", ".join(present) or "none of those that matter"
    if INT8_DOT_PRODUCTS.intersection(present):
        return Check("instructions", found)
    return Check(
        "instructions",
        found,
        "warning",
        "This processor has no INT8 dot product, so INT8 may be slower than float here though it is faster on a phone.",
        "Judge INT8 latency on a device; sizes and accuracies are not affected.",
    )


def check_cores(cores: int) -> Check:
    """Whether latencies with two threads mean anything."""
    if cores > 1:
        return Check("cores", str(cores))
    return Check("cores", "1", "warning", "Latencies with 2 threads share one core.", "Read those with 1 thread.")


def check_memory(available_bytes: int) -> Check:
    """Whether a converter fits into the free memory."""
    found = f"{available_bytes / 1e9:.1f} GB available"
    if available_bytes >= MEMORY_NEEDED_BYTES:
        return Check("memory", found)
    why = f"A converter needs about {MEMORY_NEEDED_BYTES / 1e9:.0f} GB and may be ended by the system."
    return Check("memory", found, "warning", why, "Close other programs, or convert fewer --targets at once.")


def check_disk(folder: Path) -> Check:
    """Whether stages can be stored.

    Args:
        folder: the cache; need not exist yet.
    """
    import psutil  # it ships no types

    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free_bytes = psutil.disk_usage(str(existing)).free
    found = f"{free_bytes / 1e9:.1f} GB free in {folder}"
    if not os.access(existing, os.W_OK):
        return Check(
            "cache", found, "problem", f"{existing} cannot be written.", "Give yourself permission to write there."
        )
    if free_bytes < DISK_NEEDED_BYTES:
        why = f"A run may store {DISK_NEEDED_BYTES / 1e9:.0f} GB there."
        return Check("cache", found, "warning", why, "Free some space.")
    return Check("cache", found)


def _cpuinfo() -> str:
    return CPUINFO.read_text() if CPUINFO.exists() else ""

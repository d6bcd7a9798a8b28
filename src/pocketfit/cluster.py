"""A Ray cluster: how it is reached."""

from __future__ import annotations

import os
import socket
from typing import Any

from pocketfit.errors import OptionError

__all__ = ["ATTEMPTS", "MEMORY_BYTES", "connected"]

# What was lost with its process or its node is tried elsewhere, so many times in all.
ATTEMPTS = 3
# Of a process, converter included: what the largest network that fits a phone took.
MEMORY_BYTES = 2 * 2**30
# Seconds until a cluster's head has to have answered.
REACHED_S = 10
_ADVICE = "Start one (`ray start --head`) and give auto or its HOST:6379; or give local, for this host alone."


def connected(address: str) -> tuple[Any, bool]:
    """The package, connected to a cluster, and whether this process has connected it now.

    Args:
        address: `auto`, `HOST:6379`, `ray://HOST:10001`, or `local` for one on this host.

    Raises:
        OptionError: Ray is not installed, or there is no cluster at the address.
    """
    try:
        import ray
    except ImportError as error:
        raise OptionError(f"--ray needs Ray ({error}). Install it: pip install 'pocketfit[ray]'.") from error
    if ray.is_initialized():
        return ray, False
    _check_reachable(address)
    # A cluster that is started here reports to nobody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(f"--ray {address!r} is no Ray cluster that answers: {reason}. {_ADVICE}") from error
    return ray, True


def _check_reachable(address: str) -> None:
    """Look for somebody who listens: Ray itself would look for minutes.

    Raises:
        OptionError: nobody does.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return  # a word, such as auto
    try:
        socket.create_connection((host, int(port)), REACHED_S).close()
    except OSError as error:
        raise OptionError(f"--ray {address!r} is no Ray cluster that answers: {error}. {_ADVICE}") from error

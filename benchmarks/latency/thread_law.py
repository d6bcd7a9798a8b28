"""`python -m benchmarks.latency.thread_law`: what `pocketfit.devices.predict.threads` is fitted to.

For each device of the ncnn table with a profile and runs with one thread and with several: the median speed-up over its
networks, what the law says, and, for the law's two constants on a grid, how far it is off in the mean.
"""

from __future__ import annotations

import tomllib
from itertools import product

import numpy as np

from benchmarks.latency.leave_out import table
from benchmarks.latency.thread_counts import comparable
from benchmarks.latency.write_profiles import HARDWARE
from pocketfit.devices.predict import threads
from pocketfit.devices.profile import Profile, find_profile

SERIAL = (0.1, 0.15, 0.2, 0.25, 0.3)
IN_ORDER_WORTH = (0.3, 0.4, 0.5, 0.6, 0.8, 1.0)


def main() -> None:
    """Print the table and the best constants."""
    known = _speed_ups()
    for profile, count, measured in known:
        print(
            f"{profile.name} with {count}: {measured:.2f} measured, {threads.speed_up(profile, count):.2f} by the law"
        )
    errors = {}
    for serial, worth in product(SERIAL, IN_ORDER_WORTH):
        threads.SERIAL, threads.IN_ORDER_WORTH = serial, worth
        off = [np.log(threads.speed_up(profile, count) / measured) for profile, count, measured in known]
        errors[serial, worth] = float(np.sqrt(np.mean(np.square(off))))
    for (serial, worth), off in sorted(errors.items(), key=lambda pair: pair[1])[:5]:
        print(f"serial {serial}, in order {worth}: off by {off:.3f}, standard deviation of the logarithm")


def _speed_ups() -> list[tuple[Profile, int, float]]:
    data = table(lambda run: True)
    names = {about["ncnn"]: name for name, about in tomllib.loads(HARDWARE.read_text()).items() if "ncnn" in about}
    return [
        (find_profile(names[one.device]), several.threads, _median(data.log_us[row] - data.log_us[other]))
        for row, one in enumerate(data.runs)
        for other, several in enumerate(data.runs)
        if one.device in names and one.device == several.device and one.powersave != 1 and comparable(one, several)
    ]


def _median(change: np.ndarray) -> float:
    return float(np.exp(np.nanmedian(change)))


if __name__ == "__main__":
    main()

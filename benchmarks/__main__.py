"""`python -m benchmarks NAME`: measure, print a table, and write `benchmarks/results/NAME.json`."""

from __future__ import annotations

import argparse
import importlib

from benchmarks.results import publish

# Each is a module with `run() -> rows`, whose docstring says what it measures.
NAMES = (
    "fit_time",
    "int8_runtimes",
    "against_native_quantizers",
    "rescue",
    "four_bit",
    "op_support",
    "conversion_matrix",
    "arena",
    "graph_passes",
    "pruning",
    "search_scaling",
    "distillation",
    "feature_transfer",
    "inputs",
    "latency_leave_one_out",
    "golden_languages",
    "preprocess_speed",
    "in_browser",
    "frame_scheduler",
)


def main() -> None:
    """Run the named benchmarks, all of them without a name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    names = parser.parse_args().names or NAMES
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        parser.error(f"unknown benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    for name in names:
        publish(name, importlib.import_module(f"benchmarks.{name}").run())


if __name__ == "__main__":
    main()

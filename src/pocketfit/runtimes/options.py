"""What a user asks of a runtime beyond the precision, checked against what the runtime says that it takes."""

from __future__ import annotations

from collections.abc import Mapping

from pocketfit.errors import OptionError
from pocketfit.runtimes.batch import refuse_batch
from pocketfit.types import RuntimeInfo, Variant

__all__ = ["accepted_options", "complete_options"]


def accepted_options(variant: Variant, info: RuntimeInfo) -> dict[str, str]:
    """The variant's options, completed, once it is clear that the runtime can convert it so.

    Raises:
        ConversionError: the plan says what the runtime cannot express, or the model has one batch size only.
        OptionError: as `complete_options`.
    """
    from pocketfit.compress.quantize.express import refuse_inexpressible

    refuse_inexpressible(variant, info)
    options = complete_options(info, variant.options)
    refuse_batch(variant.model, options, info.name)
    return options


def complete_options(info: RuntimeInfo, asked: Mapping[str, str]) -> dict[str, str]:
    """Every option of the runtime with its value: what was asked for, or the default.

    Args:
        info: what the runtime takes.
        asked: values by name of the option.

    Raises:
        OptionError: an option that the runtime does not have, or a value that the option does not take.
    """
    values = {option.name: option.values for option in info.options}
    for name, value in asked.items():
        if name not in values:
            has = ", ".join(values) or "none"
            raise OptionError(f"{info.title} has no option '{name}'. It has: {has}.")
        if value not in values[name]:
            raise OptionError(f"{info.title} has no {name} '{value}'. Allowed: {', '.join(values[name])}.")
    return {option.name: asked.get(option.name, option.values[0]) for option in info.options}

"""A model with the arithmetic of its preprocessing inside, so that an app feeds it pixels as they are."""

from __future__ import annotations

from dataclasses import replace

from pocketfit.contract import Color, Contract, Layout
from pocketfit.data.contract.embed import Embedded
from pocketfit.data.preprocess import input_size, makes
from pocketfit.errors import OptionError
from pocketfit.models.canonical import prepare
from pocketfit.models.source import Source, only_shape

__all__ = ["with_preprocessing"]


def with_preprocessing(source: Source, contract: Contract) -> Source:
    """Put colour, scale, mean, std and layout into the model.

    Args:
        source: whose input shape is known.
        contract: what its images go through.

    Returns:
        A source that takes RGB pixels 0..255, height × width × 3, and says so in its own contract: resize, letterbox
        and crop stay with the app.

    Raises:
        OptionError: the contract does not make what the model takes, or its images are no upright RGB.
    """
    assert source.input_shape is not None
    shape = only_shape(source.input_shape, "--embed-preprocessing is for")
    if not makes(contract, shape):
        raise OptionError(
            f"The preprocessing makes {contract.channels} channels as {contract.layout}, and the model takes "
            f"{'x'.join(map(str, shape))}. Give --crop height x width of its input, --color and --layout to match it."
        )
    prepare(source.module)
    left = replace(contract, color=Color.RGB, scale=1.0, mean=(0.0,), std=(1.0,), layout=Layout.NHWC)
    height, width = input_size(shape, contract.layout)
    return Source(Embedded(source.module, contract), source.name, (height, width, 3), left)

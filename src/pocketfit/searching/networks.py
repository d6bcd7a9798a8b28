"""The networks that candidates are made from: the model at some resolution, pruned to some share."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from pathlib import Path

from pocketfit.compress.prune.channels import prune_channels
from pocketfit.compress.prune.recipe import ChannelRecipe
from pocketfit.data.preprocess import batches
from pocketfit.models.store import save
from pocketfit.searching.ground import Ground
from pocketfit.store import Store, key_of

__all__ = ["network_key", "stored_network"]

STAGE = "network"
# Samples at a time while channels are judged; the largest that leaves memory for the sums of second order.
BATCH = 64


def network_key(ground: Ground, macs: int) -> str:
    """Of a network in the store."""
    return key_of(
        {
            "fingerprint": ground.model.fingerprint,
            "calibration": ground.data.calibration.fingerprint,
            "macs": macs,
            "versions": [metadata.version(name) for name in ("pocketfit", "torch")],
        }
    )


def stored_network(store: Store, ground: Ground, macs: int) -> Path:
    """The folder of a network, pruned where it is missing; every precision and runtime shares it.

    Args:
        store: keeps networks.
        ground: what is pruned, and the unlabelled samples that it is fitted to.
        macs: per cent of the multiply-accumulates that stay.

    Raises:
        PocketfitError: the model cannot be pruned that far.
    """
    if macs == 100:
        return ground.network
    return store.get(STAGE, network_key(ground, macs), lambda out: _prune(ground, macs, out))


def _prune(ground: Ground, macs: int, out: Path) -> None:
    model = ground.model
    samples = tuple(batches(ground.data.calibration, BATCH if model.dynamic_batch else 1))
    pruned = prune_channels(model, ChannelRecipe(macs / 100), samples).model
    save(replace(pruned, name=model.name, source=model.source, preprocess=model.preprocess), out)

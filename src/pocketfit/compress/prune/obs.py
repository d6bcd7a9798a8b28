"""Second order: what the layers that read a unit lose even after the best refit of what is left.

A layer that reads windows A with covariance C and has the weight W loses, when the columns g of a unit leave and all
others are refitted by least squares, the squared error

    Σ_o c_o · w_oᵍᵀ [(C⁻¹)_gg]⁻¹ w_oᵍ,

with the refit  W ← W − W_g [(C⁻¹)_gg]⁻¹ (C⁻¹)_g:  and  C⁻¹ ← C⁻¹ − (C⁻¹)_:g [(C⁻¹)_gg]⁻¹ (C⁻¹)_g: .  c_o is what an
error of the layer's output channel costs at the model's output. The losses of all layers that read the unit add up. The
cheapest unit leaves, everything is updated, and the next is looked for.

Sources: Hassibi and Stork 1993, "Second order derivatives for network pruning: optimal brain surgeon", eq. 5; for a
layer and blocks of its weight, Frantar and Alistarh 2022, "Optimal brain compression", eq. 4-7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.fx import Node

from pocketfit.compress.prune.dependencies import Dependencies, Group
from pocketfit.compress.prune.ranking import Ranking
from pocketfit.compress.prune.rules.layers import groups_of
from pocketfit.compress.prune.statistics import Reader
from pocketfit.compress.prune.trace import Role, Slot
from pocketfit.graph.attributes import get_tensor

__all__ = ["rank_by_surgery", "reading_slots"]

# Share of the mean diagonal that is added to covariances.
DAMPING = 0.01
# Large groups lose several units at once, so that there are no more steps than this.
STEPS = 96


def reading_slots(found: Dependencies) -> list[Slot]:
    """The slots of layers that read units and whose windows are known, each weight once."""
    slots: dict[str, Slot] = {}
    for slot in found.slots:
        readable = "transpose" not in str(slot.node.target)
        if slot.role is Role.READS and readable and bool((slot.labels >= 0).any()):
            slots.setdefault(slot.path, slot)
    return list(slots.values())


def rank_by_surgery(
    found: Dependencies, readers: Mapping[Node, Reader], progress: Callable[[int], None]
) -> list[Ranking]:
    """Rank the units of every group.

    Args:
        found: the model's channels.
        readers: by node of the slots of `reading_slots`.
        progress: told of the units of each finished group.
    """
    slots = reading_slots(found)
    rankings = []
    for group in found.groups:
        lanes = [lane for slot in slots for lane in _lanes(found, slot, readers[slot.node], group)]
        rankings.append(_ranked(group, lanes))
        progress(len(group.units))
    return rankings


@dataclass
class _Lane:
    """One group of a reading layer: its weight, the inverse covariance, and which columns belong to each unit.

    Args:
        weight: float32 output channels × values, scaled by the roots of their curvatures.
        inverse: values × values.
        columns: units × columns of one unit.
    """

    weight: torch.Tensor
    inverse: torch.Tensor
    columns: torch.Tensor

    def losses(self, left: torch.Tensor) -> torch.Tensor:
        """What each of the units that are left would cost alone."""
        columns = self.columns[left]
        blocks = self.inverse[columns.unsqueeze(2), columns.unsqueeze(1)]
        weights = self.weight[:, columns].permute(1, 2, 0)
        losses: torch.Tensor = (weights * torch.linalg.solve(blocks, weights)).sum((1, 2)).double()
        return losses

    def remove(self, units: torch.Tensor) -> float:
        """Take units out together, refit the others, and return what it cost."""
        gone = self.columns[units].flatten()
        block = self.inverse[gone][:, gone]
        solved = torch.linalg.solve(block, self.weight[:, gone].T)
        loss = float((self.weight[:, gone].T * solved).sum())
        self.weight -= solved.T @ self.inverse[gone]
        self.inverse -= self.inverse[:, gone] @ torch.linalg.solve(block, self.inverse[gone])
        # Nothing is left of these columns; a diagonal keeps later blocks regular.
        self.weight[:, gone] = 0
        return loss


def _lanes(found: Dependencies, slot: Slot, reader: Reader, group: Group) -> list[_Lane]:
    """The slot as far as it concerns the group; none where it reads nothing of it."""
    order = slot.labels.argsort(stable=True)
    place = torch.searchsorted(slot.labels[order], group.units)
    if place[0] == len(order) or slot.labels[order][place[0]] != group.units[0]:
        return []
    times = int((slot.labels == group.units[0]).sum())
    positions = order[place.unsqueeze(1) + torch.arange(times)]
    weight = get_tensor(found.graph, slot.path)
    values = weight[0, 0].numel()
    columns = (positions.unsqueeze(2) * values + torch.arange(values)).flatten(1)
    weight = weight.flatten(1) * reader.curvature.sqrt().unsqueeze(1)
    parts = weight.reshape(groups_of(slot.node), -1, weight.shape[1])
    return [_Lane(part.clone(), _inverse(own), columns) for part, own in zip(parts, reader.covariance, strict=True)]


def _inverse(covariance: torch.Tensor) -> torch.Tensor:
    damping = covariance.diagonal().mean() * DAMPING + torch.finfo(torch.float32).tiny
    damped = covariance.double() + torch.eye(len(covariance), dtype=torch.float64) * damping
    return torch.cholesky_inverse(torch.linalg.cholesky(damped)).float()


def _ranked(group: Group, lanes: Sequence[_Lane]) -> Ranking:
    count = len(group.units)
    together = -(-count // STEPS)
    left = torch.arange(count)
    order, losses = [], [0.0]
    while len(left):
        chosen = left[_total(lanes, left).argsort(stable=True)[:together]]
        loss = sum(lane.remove(chosen) for lane in lanes)
        losses += [losses[-1] + max(loss, 0.0) * (place + 1) / len(chosen) for place in range(len(chosen))]
        order.append(chosen)
        left = left[~torch.isin(left, chosen)]
    return Ranking(group, group.units[torch.cat(order)], torch.tensor(losses, dtype=torch.float64))


def _total(lanes: Sequence[_Lane], left: torch.Tensor) -> torch.Tensor:
    return sum((lane.losses(left) for lane in lanes), torch.zeros(len(left), dtype=torch.float64))

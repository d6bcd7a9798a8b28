"""What every step found, for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pocketfit.compress.training.loop import Step
from pocketfit.errors import RuntimeMissing

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

__all__ = ["Logs"]


class Logs:
    """Event files of one training.

    Args:
        folder: made where it is missing.

    Raises:
        RuntimeMissing: `tensorboard` is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import torch.utils.tensorboard as tensorboard
        except ImportError as error:
            raise RuntimeMissing(
                'logs need tensorboard, not installed here. To add it: pip install "pocketfit[train]"'
            ) from error
        self.folder = folder
        self.tensorboard = tensorboard
        self.writer: SummaryWriter | None = None

    def add(self, step: Step) -> None:
        """Write loss and norm of the gradient."""
        if self.writer is None:
            # A training that was killed after its last checkpoint takes some steps again.
            self.writer = self.tensorboard.SummaryWriter(str(self.folder), purge_step=step.number)
        self.writer.add_scalar("loss", step.loss, step.number)
        self.writer.add_scalar("gradient norm", step.gradient_norm, step.number)

    def close(self) -> None:
        """Finish the file."""
        if self.writer is not None:
            self.writer.close()

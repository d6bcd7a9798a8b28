"""Trains the small networks of the benchmarks and keeps their weights in the cache.

Run ``python -m benchmarks.train_small_nets NAME``. A training that is killed continues after its last
whole epoch when it is started again.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional

from benchmarks import cifar_resnets, small_nets
from benchmarks.real_data import cache_folder, cifar10_arrays, mnist_arrays
from pocketfit.contract import Contract

_WARM_UP = 0.2
_LABEL_SMOOTHING = 0.1
_CLIP_NORM = 5.0
_SEED = 0


@dataclass(frozen=True)
class Images:
    """Images of one size with their classes.

    Attributes:
        pixels: (N, C, H, W) uint8.
        labels: (N,) int64.
    """

    pixels: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Recipe:
    """How to train one network.

    Attributes:
        network: Builds it with random weights.
        images: Reads the training and the test images.
        preprocess: Its input.
        optimizer: Builds the optimizer from the network; its learning rate is the highest of the run.
        epochs: Passes over the training images.
        batch: Images in one step.
        padding: Black pixels put around an image before a random crop.
        early_size: Side of the random crops in the first half of the epochs, when less detail will do; the
            second half takes them as large as the image.
        flip: Whether half of the images are mirrored.
    """

    network: Callable[[], nn.Module]
    images: Callable[[], tuple[Images, Images]]
    preprocess: Contract
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    epochs: int
    batch: int
    padding: int
    early_size: int
    flip: bool


def trained_weights(name: str) -> Path:
    """Finds the weights of a network, training it first when there are none yet.

    Args:
        name: A network of ``RECIPES``.

    Returns:
        A file with the network's state dict, which ``torch.load(weights_only=True)`` reads.

    Raises:
        FileNotFoundError: There are no weights yet and the training data is missing.
    """
    path = cache_folder() / "weights" / f"{name}.pth"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        _train(name, RECIPES[name], path)
    return path


def _train(name: str, recipe: Recipe, path: Path) -> None:
    torch.manual_seed(_SEED)
    run = _Run(recipe, path.with_suffix(".checkpoint"))
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(name, total=recipe.epochs * run.steps, completed=run.epoch * run.steps, state="")
        while run.epoch < recipe.epochs:
            for loss in run.train_epoch():
                progress.update(task, advance=1, state=f"epoch {run.epoch + 1}/{recipe.epochs}, loss {loss:.3f}")
            run.finish_epoch()
            progress.console.print(f"{name}: epoch {run.epoch}, test accuracy {run.accuracy:.2%}, {run.seconds:.0f} s")
    run.finish(path)


class _Run:
    """A training that is saved after each epoch."""

    def __init__(self, recipe: Recipe, checkpoint: Path) -> None:
        self.recipe, self._checkpoint = recipe, checkpoint
        self._train, self._test = recipe.images()
        # Depthwise convolutions train about twice as fast on a CPU in this layout.
        self._net = recipe.network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = recipe.optimizer(self._net)
        self._highest_rate = self._optimizer.defaults["lr"]
        self.steps = len(self._train.labels) // recipe.batch
        self.epoch, self.seconds, self.accuracy = 0, 0.0, 0.0
        if checkpoint.is_file():
            self._resume()

    def train_epoch(self) -> Iterator[float]:
        """Takes the steps of one epoch; yields the loss after each."""
        start = time.perf_counter()
        self._net.train()
        # Seeded by the epoch, so that a resumed training sees the same images as one that went through.
        generator = torch.Generator().manual_seed(self.epoch)
        early = self.epoch < self.recipe.epochs // 2
        size = self.recipe.early_size if early else self._train.pixels.shape[-1]
        for step, (x, y) in enumerate(_batches(self._train, self.recipe, size, generator)):
            self._set_rate((self.epoch + step / self.steps) / self.recipe.epochs)
            yield self._step(x, y)
        self.seconds += time.perf_counter() - start

    def finish_epoch(self) -> None:
        """Tests the network and saves the training."""
        self.epoch += 1
        self.accuracy = _accuracy(self._net, self._test, self.recipe)
        state = {"net": self._net.state_dict(), "optimizer": self._optimizer.state_dict()}
        state |= {"epoch": self.epoch, "seconds": self.seconds, "accuracy": self.accuracy}
        _save(state, self._checkpoint)

    def finish(self, path: Path) -> None:
        """Saves the weights and, beside them, what the training came to."""
        figures = {"accuracy": self.accuracy, "epochs": self.epoch, "seconds": round(self.seconds)}
        path.with_suffix(".json").write_text(json.dumps(figures), encoding="utf-8")
        self._net.to(memory_format=torch.contiguous_format)
        _save(self._net.state_dict(), path)
        self._checkpoint.unlink()

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, weights_only=True)
        self._net.load_state_dict(state["net"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.seconds, self.accuracy = state["epoch"], state["seconds"], state["accuracy"]

    def _step(self, x: Tensor, y: Tensor) -> float:
        loss = functional.cross_entropy(self._net(x), y, label_smoothing=_LABEL_SMOOTHING)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._net.parameters(), _CLIP_NORM)
        self._optimizer.step()
        return loss.item()

    def _set_rate(self, progress: float) -> None:
        """One cycle: up along a line, then down to zero along half a cosine; `progress` is 0..1 of the run."""
        if progress < _WARM_UP:
            factor = progress / _WARM_UP
        else:
            factor = 0.5 + 0.5 * math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))
        for group in self._optimizer.param_groups:
            group["lr"] = self._highest_rate * factor


def _batches(images: Images, recipe: Recipe, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Goes once through the images in random order, each cropped and maybe mirrored at random."""
    windows = functional.pad(images.pixels, (recipe.padding,) * 4).unfold(2, size, 1).unfold(3, size, 1)
    order = torch.randperm(len(images.labels), generator=generator)
    for chosen in order[: len(order) // recipe.batch * recipe.batch].reshape(-1, recipe.batch):
        top, left = torch.randint(windows.shape[2], (2, len(chosen)), generator=generator)
        pixels = windows[chosen, :, top, left]
        if recipe.flip:
            mirrored = torch.rand(len(chosen), 1, 1, 1, generator=generator) < 0.5
            pixels = torch.where(mirrored, pixels.flip(3), pixels)
        yield _input(pixels, recipe.preprocess), images.labels[chosen]


def _input(pixels: Tensor, spec: Contract) -> Tensor:
    mean, std = (torch.tensor(values).reshape(1, -1, 1, 1) for values in (spec.mean, spec.std))
    return ((pixels * spec.scale - mean) / std).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def _accuracy(net: nn.Module, images: Images, recipe: Recipe) -> float:
    net.eval()
    parts = (slice(start, start + recipe.batch) for start in range(0, len(images.labels), recipe.batch))
    guesses = torch.cat([net(_input(images.pixels[part], recipe.preprocess)).argmax(1) for part in parts])
    return (guesses == images.labels).float().mean().item()


def _save(state: dict[str, Any], path: Path) -> None:
    """Replaces the file in one step: a killed training never leaves half a file behind."""
    scratch = path.with_name(f"{path.name}.new")
    torch.save(state, scratch)
    scratch.replace(path)


def _cifar10() -> tuple[Images, Images]:
    train, test = cifar10_arrays("train"), cifar10_arrays("test")
    return _images(*train), _images(*test)


def _cifar10_quarter() -> tuple[Images, Images]:
    """A quarter of the training images, drawn at random: enough for batch-norm and weights to get used to them."""
    train, test = _cifar10()
    chosen = torch.randperm(len(train.labels), generator=torch.Generator().manual_seed(_SEED))[:12_800]
    return Images(train.pixels[chosen], train.labels[chosen]), test


def _mnist() -> tuple[Images, Images]:
    train, test = mnist_arrays("train"), mnist_arrays("test")
    return _images(*train), _images(*test)


def _images(pixels: Any, labels: Any) -> Images:
    return Images(torch.tensor(pixels).permute(0, 3, 1, 2), torch.tensor(labels))


def _sgd(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=3e-4)


def _adamw(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)


def _gentle_sgd(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-4)


RECIPES = {
    "mobilenet_v3_cifar": Recipe(
        small_nets.MobileNetV3Cifar, _cifar10, small_nets.MOBILENET_V3_CIFAR_INPUT, _sgd, 12, 128, 4, 24, True
    ),
    "efficientnet_cifar": Recipe(
        small_nets.EfficientNetCifar, _cifar10, small_nets.EFFICIENTNET_CIFAR_INPUT, _sgd, 12, 128, 4, 24, True
    ),
    # From published weights to the JPEG copy of the images.
    "resnet56_cifar": Recipe(
        cifar_resnets.published, _cifar10_quarter, cifar_resnets.RESNET_CIFAR_INPUT, _gentle_sgd, 1, 128, 4, 32, True
    ),
    "small_vit": Recipe(small_nets.SmallViT, _mnist, small_nets.SMALL_VIT_INPUT, _adamw, 16, 64, 2, 28, False),
}


def main(name: Annotated[str, typer.Argument(help=f"One of {', '.join(RECIPES)}.")]) -> None:
    """Train one network, unless its weights are there already; print the file."""
    if name not in RECIPES:
        raise typer.BadParameter(f"no network {name!r}: choose one of {', '.join(RECIPES)}", param_hint="NAME")
    typer.echo(trained_weights(name))


if __name__ == "__main__":
    typer.run(main)

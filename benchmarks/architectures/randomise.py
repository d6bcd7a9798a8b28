"""Random weights that behave like trained ones: no branch is silent, and batch-norm knows what it normalises."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.architectures.architecture import Architecture

__all__ = ["random_inputs", "random_network"]

_BATCHES = 4
_BATCH = 16
# A constant below this is a layer-scale or a gate that starts closed, such as 1e-6.
_CLOSED = 0.1


def random_network(architecture: Architecture) -> nn.Module:
    """Build it with seeded weights, in evaluation mode."""
    torch.manual_seed(0)
    module = architecture.build()
    with torch.no_grad():
        norms = [one for one in module.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
        for name, parameter in module.named_parameters():
            if parameter.numel() > 1 and bool((parameter == parameter.flatten()[0]).all()):
                _vary(parameter, name.rpartition(".")[2])
        for norm in norms:
            _open(norm)
        _settle(module, norms, architecture.input_shape)
    return module.eval()


def random_inputs(shape: tuple[int, ...], count: int, seed: int) -> Tensor:
    """Samples that differ as pictures do, in coarse patterns as well as in noise.

    Noise alone is the same to a network that averages it.

    Args:
        shape: without the batch.
        count: number of samples.
        seed: of the generator.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, *shape, generator=generator)
    if len(shape) != 3:
        return noise + torch.randn(count, *shape[:-1], 1, generator=generator)
    coarse = torch.randn(count, shape[0], 4, 4, generator=generator)
    patterns = nn.functional.interpolate(coarse, shape[1:], mode="bilinear", align_corners=False)
    return patterns + 0.5 * noise


def _vary(parameter: Tensor, name: str) -> None:
    """Give a parameter that is initialised to one constant the spread it would have after training."""
    constant = float(parameter.flatten()[0])
    if parameter.numel() > max(parameter.shape):
        parameter.normal_(0, (parameter.shape[0] / parameter.numel()) ** 0.5)
    elif "bias" in name or name in ("beta", "shift"):
        parameter.normal_(0, 0.1)
    elif abs(constant) < _CLOSED:
        parameter.uniform_(0.3, 1.0)
    else:
        parameter.uniform_(0.7, 1.3).mul_(constant)


def _open(norm: nn.modules.batchnorm._BatchNorm) -> None:
    """Let most of a channel pass the ReLU behind it.

    With half of it cut off, fifty layers of random weights tear any two inputs apart, however close, and what INT8
    rounds with them: the plan of such a network is 5 dB from the float model, and that of a trained one 25.
    """
    if norm.affine:
        norm.bias.normal_(1.0, 0.3)


def _settle(module: nn.Module, norms: list[nn.modules.batchnorm._BatchNorm], shape: tuple[int, ...]) -> None:
    """Let batch-norm layers see some batches, and remember the plain mean of what they saw."""
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    module.eval()
    # Dropout and the like stay off: only the statistics are wanted.
    for norm in norms:
        norm.train()
    for batch in range(_BATCHES):
        pictures = random_inputs(shape, _BATCH // 2, seed=1000 + batch)
        # Whoever tries the network on plain noise must not find it outside everything that it has seen.
        noise = torch.randn(_BATCH // 2, *shape, generator=torch.Generator().manual_seed(2000 + batch))
        module(torch.cat([pictures, noise]))

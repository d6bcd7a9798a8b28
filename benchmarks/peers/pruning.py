"""Hands a network to another tool's pruning and takes back what became of it; data passes as files."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from benchmarks.peers import environment
from benchmarks.peers.call import PeerError
from pocketfit.models.load import load_model
from pocketfit.types import LoadedModel

TOOLS = {"torch-pruning": "run_torch_pruning", "nncf": "run_nncf_pruning"}


@dataclass(frozen=True)
class PeerPruned:
    """What a peer made of a network.

    Attributes:
        model: As any tool could read it from a torch.export file, in canonical form.
        macs_ratio: Multiply-accumulates left, as the tool counts them.
        seconds: Of pruning alone.
        version: Of the peer.
    """

    model: LoadedModel
    macs_ratio: float
    seconds: float
    version: str


@dataclass(frozen=True)
class Network:
    """How the other process makes the network anew.

    Attributes:
        place: `module:class` of this package.
        arguments: Of the class.
        shape: Of one input.
    """

    place: str
    arguments: tuple[int, ...]
    shape: tuple[int, ...]


def prune(tool: str, module: nn.Module, network: Network, method: str, share: float) -> PeerPruned:
    """Prunes a copy of a network.

    Args:
        tool: One of `TOOLS`.
        module: With its weights; left as it is.
        network: What the module is an instance of.
        method: By the tool's `run_*` module.
        share: Of the multiply-accumulates, or of the weights for a tool that sets weights to zero, that may stay.

    Raises:
        PeerError: The tool failed; the message is the last line that it said.
    """
    with tempfile.TemporaryDirectory() as scratch:
        job = Path(scratch)
        torch.save(module.state_dict(), job / "weights.pth")
        about = {"network": network.place, "arguments": network.arguments, "shape": network.shape}
        (job / "job.json").write_text(json.dumps(about | {"method": method, "share": share}))
        _run(TOOLS[tool], job)
        found = json.loads((job / "result.json").read_text())
        model = load_model(str(job / "pruned.pt2"), input_shape=network.shape)
        return PeerPruned(model, found["macs_ratio"], found["seconds"], found["version"])


def _run(script: str, job: Path) -> None:
    interpreter = environment.python("pruning-env", environment.PRUNING)
    variables = environment.variables()
    root = Path(variables["PYTHONPATH"])
    # The networks of the benchmarks say what they take with a class of Pocketfit's.
    variables["PYTHONPATH"] = f"{root}:{root / 'src'}"
    command = [str(interpreter), "-m", f"benchmarks.peers.{script}", str(job)]
    done = subprocess.run(command, cwd=job, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerError(f"{script}: {done.stderr.strip().splitlines()[-1]}")

import importlib
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from pocketfit.models.identity import identity
from pocketfit.models.zoo.digits_cnn import DigitsCnn


def network(seed: int = 0, width: int = 8) -> nn.Module:
    torch.manual_seed(seed)
    return DigitsCnn(width=width)


def test_the_same_module_built_twice_has_one_identity() -> None:
    assert identity(network(), (1, 8, 8)) == identity(network(), (1, 8, 8))


@pytest.mark.parametrize("other", [lambda: network(seed=1), lambda: network(width=16)], ids=["weights", "structure"])
def test_another_module_has_another(other: object) -> None:
    assert callable(other)
    assert identity(other()) != identity(network())


def test_further_values_belong_to_it() -> None:
    assert identity(network(), (1, 8, 8)) != identity(network(), (1, 16, 16))


def test_an_attribute_belongs_to_it() -> None:
    changed = network()
    changed.slope = 0.1  # type: ignore[assignment]
    assert identity(changed) != identity(network())


def test_an_attribute_that_cannot_be_described_leaves_none() -> None:
    changed = network()
    changed.activation = lambda x, slope=[0.1]: x * slope[0]  # type: ignore[assignment]
    changed.handle = object()  # type: ignore[assignment]
    assert identity(changed) is None


def test_a_hook_leaves_none() -> None:
    hooked = network()
    hooked.register_forward_hook(lambda module, inputs, output: output * 2)
    assert identity(hooked) is None


def test_a_changed_helper_of_the_users_changes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    helper = tmp_path / "users_helper.py"
    seen = []
    for name in ("relu", "tanh"):
        helper.write_text(f"from torch import {name} as act\n")
        sys.modules.pop("users_helper", None)
        importlib.invalidate_caches()
        importlib.import_module("users_helper")
        from pocketfit.models import identity as module

        module._content_digest.cache_clear()  # a file does not change under a running process otherwise
        seen.append(identity(network()))
    sys.modules.pop("users_helper", None)
    assert seen[0] != seen[1]

"""The shipped contract suite over every built-in runtime."""

import pytest
import torch

from pocketfit.runtimes import BUILT_IN, get_runtime
from pocketfit.testing import Artifacts, RuntimeContract, TinyModel
from pocketfit.types import Runtime


class Median(TinyModel):
    """None of the converters knows the op."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).median(1, keepdim=True).values


@pytest.mark.slow
class TestBuiltIn(RuntimeContract):
    unsupported = (Median, "median")

    @pytest.fixture(scope="class", params=[name for name in BUILT_IN if name != "coreml"])
    @classmethod
    def runtime(cls, request: pytest.FixtureRequest) -> Runtime:
        return get_runtime(request.param)

    @pytest.fixture(scope="class")
    @classmethod
    def artifacts(cls, runtime: Runtime, artifacts_of: dict[str, Artifacts]) -> Artifacts:
        return artifacts_of[runtime.info.name]


@pytest.mark.slow
class TestCoreML(RuntimeContract):
    runtime_name = "coreml"
    unsupported = (Median, "median")
    # Float16 computes in half, which has three digits; what float32 computes, test_coreml.py checks more closely.
    float_tolerance = 2e-2

    @pytest.fixture(scope="class")
    @classmethod
    def artifacts(cls, artifacts_of: dict[str, Artifacts]) -> Artifacts:
        return artifacts_of["coreml"]

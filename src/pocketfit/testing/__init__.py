"""What other packages need to prove a runtime of their own: the contract suite and tiny models. Needs pytest."""

from __future__ import annotations

import pytest

# Before the import: a failed check is to show the values that it compared.
pytest.register_assert_rewrite("pocketfit.testing.contract")

from pocketfit.testing.contract import RuntimeContract  # noqa: E402
from pocketfit.testing.models import MODELS, TinyModel, build  # noqa: E402
from pocketfit.testing.plans import MIXED_PLANS, Artifacts, Case, case_of, plans_of  # noqa: E402

__all__ = ["MIXED_PLANS", "MODELS", "Artifacts", "Case", "RuntimeContract", "TinyModel", "build", "case_of", "plans_of"]

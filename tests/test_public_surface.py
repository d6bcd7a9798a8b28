import subprocess
import sys

import pytest

import pocketfit

# Not pydantic: typer reads option values with it.
HEAVY = ("torch", "numpy", "onnx", "onnxruntime", "litert_torch", "ai_edge_litert", "ncnn", "plotly", "sklearn")


def test_the_surface_is_exactly_what_is_promised() -> None:
    assert pocketfit.__all__ == ["__version__", "fit", "load_model", "verify_bundle"]
    assert dir(pocketfit) == pocketfit.__all__


@pytest.mark.parametrize("name", ["fit", "load_model", "verify_bundle"])
def test_what_is_promised_is_there(name: str) -> None:
    assert callable(getattr(pocketfit, name))


def test_the_version_is_a_version() -> None:
    assert all(part.isdigit() for part in pocketfit.__version__.split(".")[:2])


def test_nothing_else_is_there() -> None:
    with pytest.raises(AttributeError, match="'pocketfit' has no attribute 'quantize'"):
        _ = pocketfit.quantize


@pytest.mark.parametrize(
    "code",
    [
        "import pocketfit",
        "import pocketfit.types, pocketfit.errors",
        "from pocketfit.cli.app import run; assert run(['--help']) == 0",
        "from pocketfit.cli.app import run; assert run(['fit', '--help']) == 0",
        "from pocketfit.cli.app import run; assert run(['--version']) == 0",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code: str) -> None:
    script = f"import sys; {code}; print(sorted(sys.modules.keys() & set({HEAVY!r})), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "[]")

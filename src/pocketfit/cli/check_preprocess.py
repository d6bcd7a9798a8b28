"""`pocketfit check-preprocess`: does an app prepare images as the model needs it?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketfit.cli.options import AsJson
from pocketfit.cli.output import console, print_json, table
from pocketfit.errors import DataError, OptionError, VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from pocketfit.bundle import Bundle
    from pocketfit.verify.preprocess import Diagnosis

__all__ = ["check_preprocess"]

TITLES, FIGURES = ("fault",), ("error left",)
SHOWN = 5


def check_preprocess(
    bundle: Annotated[Path, typer.Argument(help="The bundle that the app runs.")],
    images: Annotated[
        Path, typer.Option(help="Folder of at most 64 photos; they are taken in the order of their names.")
    ],
    app_inputs: Annotated[
        Path | None,
        typer.Option(help="What the app gave the model for them: .npy, float32, in the model's layout."),
    ] = None,
    app_outputs: Annotated[
        Path | None, typer.Option(help="What the app's model answered: .npy, float32 N x ….")
    ] = None,
    runtime: Annotated[
        str | None, typer.Option(help="Whose artifact the app runs. Without it, the first of the bundle.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell from photos without labels whether an app prepares them as the model needs it, and if not, what is wrong.

    Give the tensors that the app made of the photos, or the answers it got. Exit code 4 says that they differ.
    Example: pocketfit check-preprocess bundle --images photos --app-outputs answers.npy
    """
    if (app_inputs is None) == (app_outputs is None):
        raise OptionError(
            "Give what the app gave the model, --app-inputs, or what it got back, --app-outputs; not both."
        )

    from pocketfit.bundle import read_bundle
    from pocketfit.verify.preprocess import diagnose_preprocess

    read = read_bundle(bundle)
    spec = read.contract()
    if spec is None:
        raise DataError(f"The bundle {bundle} holds no preprocessing: its model was fitted to arrays, not to images.")
    run = _run(read, runtime) if app_outputs is not None else None
    diagnosis = diagnose_preprocess(_photos(images), spec, _array(app_inputs or app_outputs), run)
    if as_json:
        print_json(asdict(diagnosis))
    else:
        _show(diagnosis)
    if diagnosis.differs:
        raise VerificationFailed(f"{bundle}: the app's preprocessing is not the model's")


def _photos(folder: Path) -> list[np.ndarray]:
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    from pocketfit.data.faults import upright

    if not folder.is_dir():
        raise DataError(f"--images {folder} is not a folder. Give a folder of photos.")
    photos = []
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")):
        try:
            with Image.open(path) as image:
                photos.append(np.asarray(upright(image)))
        except (UnidentifiedImageError, OSError) as error:
            raise DataError(f"{path} is not an image that can be read: {error}. Leave it out of the folder.") from error
    return photos


def _array(path: Path | None) -> np.ndarray:
    import numpy as np

    assert path is not None
    try:
        values: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no .npy file of numbers: {error}. Write it with numpy.save.") from error
    return values


def _run(bundle: Bundle, name: str | None) -> Callable[[np.ndarray], np.ndarray]:
    """The artifact, sample by sample."""
    import numpy as np

    from pocketfit.bundle.verify import select_entries, why_not_here
    from pocketfit.runtimes import get_runtime

    entries = select_entries(bundle, None if name is None else (name,))
    usable = [entry for entry in entries if not why_not_here(entry.runtime)]
    if not usable:
        raise OptionError("; ".join(why_not_here(entry.runtime) for entry in entries))
    session = get_runtime(usable[0].runtime).open(bundle.artifact(usable[0]))
    return lambda batch: np.concatenate([session.run([sample[None]])[0] for sample in batch])


def _show(diagnosis: Diagnosis) -> None:
    out = console()
    out.print(str(diagnosis), markup=False, highlight=False)
    out.print(f"error {diagnosis.error:.3g}, allowed {diagnosis.allowed:.3g}", markup=False, highlight=False)
    if diagnosis.differs:
        rows = [(name, f"{left:.3g}") for name, left in list(diagnosis.scores.items())[:SHOWN]]
        out.print(table(rows, TITLES, FIGURES))

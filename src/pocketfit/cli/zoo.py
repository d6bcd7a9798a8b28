"""`pocketfit zoo`: compact networks to begin from."""

from __future__ import annotations

from typing import Any

from pocketfit.cli.options import AsJson
from pocketfit.cli.output import console, print_json, table

__all__ = ["zoo"]

TITLES = ("family", "MODEL", "input", "parameters", "output")


def zoo(as_json: AsJson = False) -> None:
    """Show compact networks that can be given as MODEL.

    They come with random weights, to be trained or to be given theirs with --weights, for example:

        pocketfit fit zoo:shufflenet_v2_x1_0 --weights mine.pth --data photos/
    """
    from pocketfit.models.zoo import IN_TIMM

    rows = _rows()
    if as_json:
        print_json({"zoo": rows, "timm": dict(IN_TIMM)})
        return
    out = console()
    cells = [[row["family"], row["model"], row["input"], f"{row['parameters']:,}", row["output"]] for row in rows]
    out.print(table(cells, TITLES))
    for family, names in IN_TIMM.items():
        out.print(f"{family}: timm:NAME, where NAME is {names}", markup=False, highlight=False)


def _rows() -> list[dict[str, Any]]:
    import torch

    from pocketfit.models.zoo import FAMILIES

    rows = []
    for family, models in FAMILIES.items():
        for name, build in models.items():
            # Without memory or numbers: shapes are all that is asked for.
            with torch.device("meta"):
                network = build().eval()
                shape: tuple[int, ...] = network.input_shape  # type: ignore[assignment]
                output = network(torch.empty(1, *shape)).shape
            rows.append(
                {
                    "family": family,
                    "model": f"zoo:{name}",
                    "input": "x".join(map(str, shape)),
                    "parameters": sum(parameter.numel() for parameter in network.parameters()),
                    "output": "x".join(map(str, output[1:])),
                }
            )
    return rows

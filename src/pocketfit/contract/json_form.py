"""The contract as JSON, which is what an app ships."""

from __future__ import annotations

from functools import cache

from pydantic import TypeAdapter, ValidationError

from pocketfit.contract.outputs import Output
from pocketfit.contract.spec import Contract
from pocketfit.errors import OptionError

__all__ = ["contract_from_json", "contract_to_json", "output_from_json"]

EXAMPLE = (
    '{"resize": {"kind": "shorter_side", "pixels": 256}, "crop": {"size": [224, 224]}, "mean": [0.485, 0.456, 0.406], '
    '"std": [0.229, 0.224, 0.225], "output": {"kind": "classes"}}'
)


def contract_to_json(contract: Contract) -> str:
    """The contract as a JSON object with a `version`: two spaces of indent, keys in the order of the fields.

    Numbers are written so that the double that is read back is the one that was written.
    """
    return _contracts().dump_json(contract, indent=2).decode() + "\n"


def contract_from_json(text: str) -> Contract:
    """Read what `contract_to_json` wrote, or a person; a missing key takes its default.

    Raises:
        OptionError: it is not JSON, has an unknown key or version, or a value that is not allowed.
    """
    try:
        return _contracts().validate_json(text)
    except ValidationError as error:
        raise _refused("preprocessing contract", error) from error


def output_from_json(text: str) -> Output:
    """Read what stands behind `output` in a contract, on its own.

    Raises:
        OptionError: it is not JSON, of an unknown kind, or has a value that is not allowed.
    """
    try:
        return _outputs().validate_json(text)
    except ValidationError as error:
        raise _refused("postprocessing", error) from error


def _refused(what: str, error: ValidationError) -> OptionError:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return OptionError(
        f"The {what} is not valid{f' at {where}' if where else ''}: {first['msg']}. "
        f"docs/preprocessing.md lists its keys and their values. An example: {EXAMPLE}"
    )


@cache
def _contracts() -> TypeAdapter[Contract]:
    return TypeAdapter(Contract)


@cache
def _outputs() -> TypeAdapter[Output]:
    return TypeAdapter(Output)

"""The contract as JSON, which is what an app ships."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from pocketfit.data.contract.spec import Contract
from pocketfit.errors import OptionError

__all__ = ["contract_from_json", "contract_to_json"]

_ADAPTER = TypeAdapter(Contract)


def contract_to_json(contract: Contract) -> str:
    """The contract as a JSON object with a `version`: two spaces of indent, keys in the order of the fields.

    Numbers are written so that the double that is read back is the one that was written.
    """
    return _ADAPTER.dump_json(contract, indent=2).decode() + "\n"


def contract_from_json(text: str) -> Contract:
    """Read what `contract_to_json` wrote, or a person; a missing key takes its default.

    Raises:
        OptionError: it is not JSON, has an unknown key or version, or a value that is not allowed.
    """
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise OptionError(
            f"The preprocessing contract is not valid{f' at {where}' if where else ''}: {first['msg']}. "
            "docs/preprocessing.md lists its keys and their values."
        ) from error

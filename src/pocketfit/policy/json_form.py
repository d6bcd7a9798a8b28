"""`policy.json`: reading, which refuses what it does not know, and writing."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pocketfit.errors import InputError, OutputError
from pocketfit.policy.spec import Policy

__all__ = ["FILE", "policy_from_json", "policy_to_json", "read_policy", "write_policy"]

FILE = "policy.json"


def policy_to_json(policy: Policy) -> str:
    """The policy as a JSON object: two spaces of indent, keys in the order of the fields, defaults left out."""
    head = {"format": policy.format, "version": policy.version}
    data = head | _policies().dump_python(policy, mode="json", exclude_defaults=True)
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def policy_from_json(text: str | bytes) -> Policy:
    """Read what `policy_to_json` wrote, or a person; a missing key takes its default.

    Raises:
        InputError: it is not JSON, has an unknown key, format or version, or a value that is not allowed.
    """
    try:
        _check_head(json.loads(text))
        return _policies().validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top"
        raise InputError(
            f"the policy is not valid at {where}: {first['msg']}. docs/policy.md lists its keys and their values"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"the policy is not JSON ({error}). `pocketfit policy init` writes one to begin from"
        ) from error


def read_policy(path: Path) -> Policy:
    """Read a policy from its file.

    Raises:
        InputError: the file cannot be read, or is no policy.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"the policy {path} cannot be read ({error.strerror}). Give a file that `pocketfit policy init` wrote"
        ) from error
    try:
        return policy_from_json(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def write_policy(policy: Policy, path: Path) -> None:
    """Write a policy to its file.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        path.write_text(policy_to_json(policy), encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"the policy cannot be written to {path} ({error.strerror}). Give a file in a folder that can be written"
        ) from error


def _check_head(data: object) -> None:
    """A file of another program or of a later version is told so, instead of which of its keys is unknown."""
    if not isinstance(data, dict) or data.get("format") != "pocketfit-policy":
        raise InputError('the policy has to be a JSON object that says "format": "pocketfit-policy"')
    if data.get("version") != 1:
        raise InputError(f"the policy has version {data.get('version')}; this Pocketfit reads 1. Install a newer one")


@cache
def _policies() -> TypeAdapter[Policy]:
    return TypeAdapter(Policy)

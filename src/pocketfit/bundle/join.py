"""One bundle of several, each of which becomes a variant of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pocketfit.bundle.files import copy, write_text
from pocketfit.bundle.manifest import MANIFEST
from pocketfit.bundle.place import put
from pocketfit.bundle.policies import check_policy_fits
from pocketfit.bundle.read import Bundle
from pocketfit.bundle.rewrite import check_rewritable, copy_files, write_manifest
from pocketfit.bundle.write import BUNDLE
from pocketfit.errors import InputError
from pocketfit.policy import Policy, policy_to_json
from pocketfit.policy.json_form import FILE as POLICY

__all__ = ["join_bundles", "joined"]

FOLDER = "variants"


def joined(variants: Mapping[str, Bundle]) -> Bundle:
    """How the bundles will lie in one, so that a policy can be written or checked for it; nothing is written.

    Args:
        variants: by name, small letters, digits and hyphens; the first one's folder becomes that of all.

    Raises:
        InputError: fewer than two, a name that is not allowed, or a bundle that cannot be part of another.
    """
    if len(variants) < 2:
        raise InputError("there is one variant only; give at least two, such as full=DIR lite=DIR")
    for name, bundle in variants.items():
        _check_variant(name, bundle)
    first, *others = variants
    folders = {first: ".", **{name: f"{FOLDER}/{name}" for name in others}}
    manifest = variants[first].manifest.model_copy(update={"variants": folders})
    return Bundle(variants[first].path, manifest, {name: variants[name] for name in others})


def join_bundles(variants: Mapping[str, Bundle], policy: Policy | None, destination: Path) -> Path:
    """Write one bundle that has others in folders below it.

    Args:
        variants: as for `joined`. A policy that one of them has is not taken over.
        policy: of all variants, whose `bundle` is "." for the first and "variants/NAME" for the others; None for none.
        destination: as for `write_bundle`.

    Returns:
        The destination, absolute.

    Raises:
        InputError: as `joined` raises it; or a variant of the policy names no artifact of any.
        OutputError: the destination holds something else, or it cannot be written.
    """
    bundle = joined(variants)
    if policy is not None:
        check_policy_fits(policy, bundle.artifacts)
    return put(destination, BUNDLE, lambda folder: _fill(folder, bundle, policy))


def _check_variant(name: str, bundle: Bundle) -> None:
    if not name.replace("-", "").isalnum() or not name.isascii() or name != name.lower() or name.startswith("-"):
        raise InputError(f"a variant is named {name!r}; use small letters, digits and hyphens, such as high-security")
    if bundle.others:
        raise InputError(f"{bundle.path} has variants already; join the bundles that it was made of instead")
    if bundle.manifest.encryption is not None:
        raise InputError(f"{bundle.path} is encrypted; join first, then encrypt what comes of it")
    check_rewritable(bundle)


def _fill(root: Path, bundle: Bundle, policy: Policy | None) -> None:
    copy_files(bundle, root)
    for name, other in bundle.others.items():
        copy_files(other, root / bundle.manifest.variants[name])
        copy(other.path / MANIFEST, root / bundle.manifest.variants[name] / MANIFEST)
    own = bundle.manifest.policy
    if own is not None:
        (root / own).unlink()
    written = write_text(root, POLICY, None if policy is None else policy_to_json(policy))
    write_manifest(root, bundle.manifest, {"policy": written})

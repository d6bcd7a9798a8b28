"""`pocketfit bundle encrypt`: models that only an app with the key can open."""

from __future__ import annotations

import typer

from pocketfit.cli.bundle.options import BundleFolder, KeyFile, Out
from pocketfit.errors import OptionError

__all__ = ["encrypt"]


def encrypt(bundle: BundleFolder, key_file: KeyFile = None, out: Out = None) -> None:
    """Encrypt the models in a bundle with AES-256-GCM; sign it afterwards, for a signature is left out.

    Example: pocketfit bundle encrypt bundle --key-file keys/models.txt
    """
    from pocketfit.bundle import encrypt_bundle, read_bundle
    from pocketfit.bundle.keys import KEY_VARIABLE, read_model_key

    key = read_model_key(key_file)
    if key is None:
        raise OptionError(f"There is no key. Give --key-file, or set {KEY_VARIABLE}; `keygen --models` makes one.")
    typer.echo(f"Encrypted the models in {encrypt_bundle(read_bundle(bundle), key, out or bundle)}. It is not signed.")

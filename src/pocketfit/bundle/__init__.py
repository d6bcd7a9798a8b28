"""The folder an app ships: artifacts, plan, preprocessing, golden vectors and the manifest that vouches for them."""

from pocketfit.bundle.encryption import decrypted
from pocketfit.bundle.join import join_bundles, joined
from pocketfit.bundle.layers import LayerCheck, verify_layers
from pocketfit.bundle.pack import pack_bundle, unpack_bundle
from pocketfit.bundle.read import Bundle, read_bundle
from pocketfit.bundle.sign import encrypt_bundle, sign_bundle
from pocketfit.bundle.signature import Trust
from pocketfit.bundle.verify import Check, Outcome, PreprocessCheck, Verification, verify_bundle
from pocketfit.bundle.write import Contents, check_destination, write_bundle

__all__ = [
    "Bundle",
    "Check",
    "Contents",
    "LayerCheck",
    "Outcome",
    "PreprocessCheck",
    "Trust",
    "Verification",
    "check_destination",
    "decrypted",
    "encrypt_bundle",
    "join_bundles",
    "joined",
    "pack_bundle",
    "read_bundle",
    "sign_bundle",
    "unpack_bundle",
    "verify_bundle",
    "verify_layers",
    "write_bundle",
]

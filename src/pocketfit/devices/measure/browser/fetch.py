"""`python -m pocketfit.devices.measure.browser.fetch [FOLDER]`: put the pinned runtimes for browsers into a folder.

The only code of Pocketfit that downloads, and nothing calls it: it is run by hand, once, or before a wheel is built
that is to have them inside. Every release must have the sha512 that `web_runtimes.json` pins.
"""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path
from urllib.request import urlopen

from pocketfit.devices.measure.browser.packages import SHIPPED, Package, digest, pinned
from pocketfit.errors import PocketfitError

__all__ = ["main", "unpack"]

TIMEOUT_S = 120


def unpack(packed: bytes, package: Package, folder: Path) -> None:
    """Write the files of a packed release that pages need.

    Args:
        packed: the release, a .tgz.
        package: that it must be.
        folder: gets a folder named after the package.

    Raises:
        PocketfitError: it is another release.
    """
    if digest(packed) != package.integrity:
        raise PocketfitError(
            f"{package.name} {package.version} has {digest(packed)}, and {package.integrity} is pinned: not unpacked."
        )
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        for path in package.files:
            member = archive.extractfile(f"package/{path}")
            assert member is not None  # a release with the pinned sha512 has it
            target = folder / package.name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(member.read())


def main(arguments: list[str]) -> None:
    """Fetch all packages into the folder that is named, or into this installation."""
    folder = Path(arguments[0]) if arguments else SHIPPED
    for package in pinned().packages:
        address = f"{pinned().registry}/{package.name}/-/{package.name.rpartition('/')[2]}-{package.version}.tgz"
        print(f"{address} ({package.license})")
        with urlopen(address, timeout=TIMEOUT_S) as answer:
            unpack(answer.read(), package, folder)
    print(f"Wrote {folder}.")


if __name__ == "__main__":
    main(sys.argv[1:])

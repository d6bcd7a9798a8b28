"""What every language opens, and what every one of them refuses: bundles that somebody has had in his hands.

An attack changes a signed and encrypted bundle of two variants. Python, C++ and Java have to refuse it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from pocketfit.apps.selftest import SelfTest
from pocketfit.bundle import (
    Trust,
    encrypt_bundle,
    join_bundles,
    pack_bundle,
    read_bundle,
    sign_bundle,
    unpack_bundle,
)
from pocketfit.bundle.encryption import decrypted
from pocketfit.bundle.keys import read_private_key, write_keys
from pocketfit.bundle.signature import is_signed
from pocketfit.bundle.vectors import COMMITTED, write_integrity_vectors
from pocketfit.contract import Classes, Contract, Crop, ShorterSide
from pocketfit.errors import InputError, PocketfitError, VerificationFailed
from pocketfit.policy import ArtifactRef, default_policy
from pocketfit.types import Precision

pytest.importorskip("cryptography", reason="pip install 'pocketfit[signing]'")

CONTRACT = Contract(resize=ShorterSide(20), crop=Crop((16, 16)), output=Classes())
INT8 = ("onnxruntime", Precision.INT8)
MODEL = "onnxruntime/int8/model.onnx"
LITE = "variants/lite"
# Order of Ed25519's base point: added to a signature's second half it stands for the same number.
ORDER = 2**252 + 27742317777372353535851937790883648493


@dataclass(frozen=True)
class Shipped:
    """A bundle as it reaches a phone, what came before it, and the keys."""

    path: Path
    plain: Path
    older: Path
    private: Path
    public_key: bytes
    model_key: bytes

    @property
    def demands(self) -> tuple[str, ...]:
        """Options of a self-test."""
        keys = ("--public-key", self.public_key.hex(), "--model-key", self.model_key.hex())
        return (*keys, "--least-release", "2")

    def sign(self) -> None:
        """Sign what is there now, whatever it is: the attack is one of the owner's own mistakes, or of the models."""
        signature = read_private_key(self.private).sign((self.path / "manifest.json").read_bytes())
        (self.path / "manifest.sig").write_bytes(signature)

    def open_all(self) -> None:
        """Everything that an app opens, by Python."""
        bundle = read_bundle(self.path, Trust(self.public_key, least_release=2))
        bundle.policy()
        for one in (bundle, *bundle.others.values()):
            with decrypted(one, self.model_key):
                pass


@pytest.fixture
def shipped(bundle, tmp_path: Path) -> Shipped:
    """Release 2 of a bundle with two variants, encrypted and signed, beside release 1 and what is not encrypted."""
    private, public, models = write_keys(tmp_path / "keys", models=True)
    public_key, model_key = (bytes.fromhex(path.read_text()) for path in (public, models))
    read = bundle(CONTRACT, (3, 16, 16))
    policy = default_policy([ArtifactRef(*INT8), ArtifactRef(*INT8, LITE)])
    plain = join_bundles({"full": read, "lite": read}, policy, tmp_path / "plain")
    sealed = encrypt_bundle(read_bundle(plain), model_key, tmp_path / "sealed")
    key = read_private_key(private)
    older = sign_bundle(read_bundle(sealed), key, 1, tmp_path / "older")
    path = sign_bundle(read_bundle(sealed), key, 2, tmp_path / "shipped")
    return Shipped(path, plain, older, private, public_key, model_key)


def test_every_language_opens_what_is_right(selftest: SelfTest, shipped: Shipped):
    shipped.open_all()
    code, suites, told = selftest.run([shipped.path], shipped.demands)
    assert code == 0, told
    assert {suite.suite: (suite.passed, suite.total) for suite in suites} == {
        "bundle preprocessing": (2, 2),
        "bundle postprocessing": (2, 2),
        "bundle models": (1, 1),
        "bundle policy": (3, 3),
        "bundle preprocessing of lite": (2, 2),
        "bundle postprocessing of lite": (2, 2),
        "bundle models of lite": (1, 1),
    }


def test_an_unsigned_bundle_is_opened_where_nothing_is_demanded(selftest: SelfTest, shipped: Shipped):
    code, suites, told = selftest.run([shipped.plain])
    assert code == 0, told
    assert len(suites) == 7


def test_random_vectors(selftest: SelfTest, tmp_path: Path):
    code, _, told = selftest.run(write_integrity_vectors(tmp_path, count=100, seed=5))
    assert code == 0, told


def test_the_committed_vectors_are_written_again_to_the_byte(tmp_path: Path):
    written = write_integrity_vectors(tmp_path, count=46, seed=8)
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in COMMITTED]


def test_the_standards_own_vectors_are_among_them():
    aes_gcm, ed25519 = (json.loads(path.read_text())["cases"] for path in COMMITTED)
    keys = ("d75a980182b10ab7d54bfed3c964073a", "3d4017c3e843895a92b70aa74d1b7ebc", "fc51cd8e6218a1a38da47ed00230f058")
    assert [case["public_key"][:32] for case in ed25519[:24:8]] == list(keys)
    tags = ("530f8afbc74536b9a963b4f1c4cb738b", "d0d1c8a799996bf0265b98b5d48ab919")
    more_tags = ("b094dac5d93471bdec1a502270e3cc6c", "76fc6ece0f4e1768cddf8853bb2d551b")
    assert [case["sealed"][-32:] for case in aes_gcm[:24:6]] == [*tags, *more_tags]


# Each takes a `Shipped` and changes the folder at its path.


def _flip(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def _edit(path: Path, change: Callable[[dict], object]) -> None:
    """Change a manifest, and what the outer one says of it."""
    data = json.loads((path / "manifest.json").read_text())
    change(data)
    (path / "manifest.json").write_text(json.dumps(data))


def _vouch(path: Path, name: str) -> None:
    """Have the manifest say what the file is now."""
    content = (path / name).read_bytes()
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    _edit(path, lambda data: data["files"].update({name: entry}))


def _replaced_signature(shipped: Shipped, change: Callable[[bytes], bytes]) -> None:
    path = shipped.path / "manifest.sig"
    path.write_bytes(change(path.read_bytes()))


def _malleable(signature: bytes) -> bytes:
    second = int.from_bytes(signature[32:], "little") + ORDER
    return signature[:32] + second.to_bytes(32, "little")


def _other_signer(shipped: Shipped) -> None:
    private = write_keys(shipped.path.parent / "other")[0]
    signature = read_private_key(private).sign((shipped.path / "manifest.json").read_bytes())
    (shipped.path / "manifest.sig").write_bytes(signature)


def _linked(shipped: Shipped) -> None:
    outside = shipped.path.parent / "outside.txt"
    (shipped.path / "preprocess.json").rename(outside)
    (shipped.path / "preprocess.json").symlink_to(outside)


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _exchanged(shipped: Shipped, folder: Path) -> None:
    shutil.rmtree(shipped.path)
    shutil.copytree(folder, shipped.path)


BY_OTHERS: dict[str, Callable[[Shipped], object]] = {
    "manifest changed": lambda one: _edit(one.path, lambda data: data.update(release=9)),
    "manifest truncated": lambda one: _truncated(one.path / "manifest.json"),
    "manifest with a space more": lambda one: (one.path / "manifest.json").open("a").write(" "),
    "file and manifest changed": lambda one: (_flip(one.path / MODEL), _vouch(one.path, MODEL)),
    "signature changed": lambda one: _flip(one.path / "manifest.sig", 3),
    "signature truncated": lambda one: _replaced_signature(one, lambda signature: signature[:-1]),
    "signature with a byte more": lambda one: _replaced_signature(one, lambda signature: signature + b"\0"),
    "signature of zeros": lambda one: _replaced_signature(one, lambda _: bytes(64)),
    "signature malleable": lambda one: _replaced_signature(one, _malleable),
    "signature of the older": lambda one: shutil.copy(one.older / "manifest.sig", one.path / "manifest.sig"),
    "signature missing": lambda one: (one.path / "manifest.sig").unlink(),
    "signed by another": _other_signer,
    "older release": lambda one: _exchanged(one, one.older),
    "never signed": lambda one: _exchanged(one, one.plain),
    "a variant in place of all": lambda one: _exchanged(one, one.plain / LITE),
    "file changed": lambda one: _flip(one.path / "preprocess.json"),
    "file truncated": lambda one: _truncated(one.path / "golden/inputs.bin"),
    "file missing": lambda one: (one.path / "preprocess.json").unlink(),
    "file a link": _linked,
    "model changed": lambda one: _flip(one.path / MODEL, 40),
    "model truncated": lambda one: _truncated(one.path / MODEL),
    "model in plain": lambda one: shutil.copy(one.plain / MODEL, one.path / MODEL),
    "model of the variant": lambda one: shutil.copy(one.path / LITE / MODEL, one.path / MODEL),
    "variant's file changed": lambda one: _flip(one.path / LITE / "preprocess.json"),
    "variant's manifest changed": lambda one: _edit(one.path / LITE, lambda data: data.update(labels=None)),
    "policy changed": lambda one: _flip(one.path / "policy.json", 30),
}


@pytest.mark.parametrize("attack", BY_OTHERS)
def test_what_others_change_is_refused(selftest: SelfTest, shipped: Shipped, attack: str):
    BY_OTHERS[attack](shipped)
    with pytest.raises((VerificationFailed, InputError)):
        shipped.open_all()
    code, suites, told = selftest.run([shipped.path], shipped.demands)
    assert (code, suites) == (2, ()), told
    assert told.startswith("selftest: ")


def _variants(**folders: str) -> Callable[[Shipped], object]:
    return lambda one: _edit(one.path, lambda data: data.update(variants=folders))


def _file_named(name: str) -> Callable[[Shipped], object]:
    return lambda one: _edit(one.path, lambda data: data["files"].update({name: data["files"]["preprocess.json"]}))


def _two_say_other_things(shipped: Shipped) -> None:
    _edit(shipped.path / LITE, lambda data: data["files"]["preprocess.json"].update(sha256="0" * 64))
    _vouch(shipped.path, f"{LITE}/manifest.json")


def _policy_without_artifact(shipped: Shipped) -> None:
    path = shipped.path / "policy.json"
    path.write_text(path.read_text().replace(LITE, "variants/tiny"))
    _vouch(shipped.path, "policy.json")


def _doubled_key(shipped: Shipped) -> None:
    path = shipped.path / "manifest.json"
    path.write_text(path.read_text().replace("{", '{"release": 3, "release": 9, ', 1))


def _swapped_models(shipped: Shipped) -> None:
    """Two files that the same key opens, each in the other's place."""
    one, other = shipped.path / MODEL, shipped.path / LITE / MODEL
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    _vouch(shipped.path / LITE, MODEL)
    _vouch(shipped.path, f"{LITE}/manifest.json")
    _vouch(shipped.path, f"{LITE}/{MODEL}")
    _vouch(shipped.path, MODEL)


# Signed all the same: by a mistake of the owner, or by somebody who has the key that signs and not the key of models.
SIGNED: dict[str, Callable[[Shipped], object]] = {
    "name leads out": _file_named("../preprocess.json"),
    "name is absolute": _file_named("/etc/passwd"),
    "name of Windows": _file_named("..\\preprocess.json"),
    "name with a drive": _file_named("C:preprocess.json"),
    "variant leads out": _variants(full=".", lite="../lite"),
    "variant is not there": _variants(full=".", lite="variants/tiny"),
    "no variant is its own": _variants(lite=LITE),
    "two manifests": _two_say_other_things,
    "policy without an artifact": _policy_without_artifact,
    "key there twice": _doubled_key,
    "schema of later": lambda one: _edit(one.path, lambda data: data.update(schema_version=5)),
    "models swapped": _swapped_models,
    "model shorter than a tag": lambda one: ((one.path / MODEL).write_bytes(bytes(20)), _vouch(one.path, MODEL)),
    "model changed": lambda one: (_flip(one.path / MODEL, 20), _vouch(one.path, MODEL)),
    "bundle's id changed": lambda one: _edit(one.path, lambda data: data["encryption"].update(id="0" * 32)),
    "other cipher": lambda one: _edit(one.path, lambda data: data["encryption"].update(algorithm="none")),
}


@pytest.mark.parametrize("attack", SIGNED)
def test_what_is_wrong_is_refused_though_it_is_signed(selftest: SelfTest, shipped: Shipped, attack: str):
    SIGNED[attack](shipped)
    shipped.sign()
    with pytest.raises((VerificationFailed, InputError)):
        shipped.open_all()
    code, _, told = selftest.run([shipped.path], shipped.demands)
    assert code == 2, told
    assert told.startswith("selftest: ")


def _packed(shipped: Shipped, change: Callable[[ZipFile], object] | None = None, *, without: str = "") -> Path:
    """The bundle as an archive that somebody else has written."""
    path = shipped.path.parent / "bundle.zip"
    with ZipFile(path, "w") as archive:
        if change is not None:
            change(archive)
        for name in sorted(
            one.relative_to(shipped.path).as_posix() for one in shipped.path.rglob("*") if one.is_file()
        ):
            if name != without:
                archive.write(shipped.path / name, name)
    return path


def _archived(name: str) -> Callable[[Shipped], Path]:
    return lambda one: _packed(one, lambda archive: archive.writestr(ZipInfo(name), b"mine"))


def _halved(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def _flipped(path: Path) -> Path:
    _flip(path, path.stat().st_size // 2)
    return path


def _empty(shipped: Shipped) -> Path:
    path = shipped.path.parent / "bundle.zip"
    path.write_bytes(b"")
    return path


def _pack_of(shipped: Shipped, folder: Path) -> Path:
    _exchanged(shipped, folder)
    return _packed(shipped)


ARCHIVES: dict[str, Callable[[Shipped], Path]] = {
    "slips out": _archived("../slipped.txt"),
    "slips out below": _archived("golden/../../slipped.txt"),
    "is absolute": _archived("/tmp/slipped.txt"),
    "slips out on Windows": _archived("..\\slipped.txt"),
    "names a drive": _archived("C:slipped.txt"),
    "is a folder": _archived("golden/"),
    "is compressed": lambda one: _packed(one, lambda zip: zip.writestr("a.txt", bytes(99), ZIP_DEFLATED)),
    "is there twice": _archived("manifest.json"),
    "lacks a file": lambda one: _packed(one, without="preprocess.json"),
    "lacks the signature": lambda one: _packed(one, without="manifest.sig"),
    "is cut in half": lambda one: _halved(_packed(one)),
    "is changed": lambda one: _flipped(_packed(one)),
    "is empty": _empty,
    "is an older release": lambda one: _pack_of(one, one.older),
    "was never signed": lambda one: _pack_of(one, one.plain),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("attack", ARCHIVES)
def test_an_archive_that_is_not_right_is_not_unpacked(selftest: SelfTest, shipped: Shipped, attack: str):
    archive = ARCHIVES[attack](shipped)
    trust = Trust(shipped.public_key, least_release=2)
    with pytest.raises((VerificationFailed, InputError)):
        unpack_bundle(archive, archive.parent / "bundle.zip.unpacked", trust)
    code, _, told = selftest.run([archive], shipped.demands)
    assert code == 2, told
    assert told.startswith("selftest: ")
    assert not list(archive.parent.glob("**/slipped.txt"))
    assert not list(archive.parent.glob("*.unpacked*"))


def test_every_language_unpacks_what_is_right(selftest: SelfTest, shipped: Shipped, tmp_path: Path):
    pack_bundle(read_bundle(shipped.path), tmp_path / "right.zip")
    code, suites, told = selftest.run([tmp_path / "right.zip"], shipped.demands)
    assert code == 0, told
    assert len(suites) == 7


def test_another_key_opens_no_model(selftest: SelfTest, shipped: Shipped):
    code, _, told = selftest.run([shipped.path], ("--model-key", "00" * 32))
    assert code == 2
    assert f"{MODEL} cannot be decrypted" in told
    with (
        pytest.raises(VerificationFailed, match="cannot be decrypted"),
        decrypted(read_bundle(shipped.path), bytes(32)),
    ):
        pass


def test_no_key_is_told(shipped: Shipped):
    with pytest.raises(PocketfitError, match="are encrypted"), decrypted(read_bundle(shipped.path), None):
        pass


def test_a_key_of_another_length_has_signed_nothing():
    assert not is_signed(bytes(31), bytes(64), b"")

"""Keys, signatures and encryption by the command line; what every language refuses is in tests/apps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pocketfit.bundle import Contents, Trust, decrypted, join_bundles, read_bundle, verify_bundle, write_bundle
from pocketfit.bundle.keys import KEY_VARIABLE, read_model_key, read_public_key
from pocketfit.cli.app import run
from pocketfit.errors import InputError, VerificationFailed

pytest.importorskip("cryptography", reason="pip install 'pocketfit[signing]'")

MODEL = "onnxruntime/int8/model.onnx"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    assert run(["bundle", "keygen", "-o", str(tmp_path / "keys"), "--models"]) == 0
    return tmp_path / "keys"


@pytest.fixture
def bundle(contents: Contents, tmp_path: Path) -> Path:
    return write_bundle(contents, tmp_path / "out")


def sign(bundle: Path, keys: Path, *more: str) -> int:
    return run(["bundle", "sign", str(bundle), "--key", str(keys / "private.pem"), *more])


def encrypt(bundle: Path, keys: Path, *more: str) -> int:
    return run(["bundle", "encrypt", str(bundle), "--key-file", str(keys / "models.txt"), *more])


def test_the_private_keys_are_for_their_owner_alone(keys: Path) -> None:
    assert [path.stat().st_mode & 0o077 for path in (keys / "private.pem", keys / "models.txt")] == [0, 0]


def test_keys_are_never_replaced(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (keys / "private.pem").read_bytes()
    assert run(["bundle", "keygen", "-o", str(keys)]) == 2
    assert "a lost key cannot be had again" in capsys.readouterr().err
    assert (keys / "private.pem").read_bytes() == before


def test_a_signed_bundle_is_verified_and_can_be_signed_again(bundle: Path, keys: Path) -> None:
    public = str(keys / "public.txt")
    assert sign(bundle, keys) == 0
    assert run(["verify", str(bundle), "--public-key", public, "--least-release", "1"]) == 0
    assert sign(bundle, keys) == 0
    assert read_bundle(bundle, Trust(read_public_key(public), least_release=2)).manifest.release == 2


def test_a_public_key_may_be_given_by_its_digits(bundle: Path, keys: Path) -> None:
    assert sign(bundle, keys) == 0
    assert run(["verify", str(bundle), "--public-key", (keys / "public.txt").read_text().strip()]) == 0


@pytest.mark.parametrize("text", ["", "abc", "0" * 63, "g" * 64])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "key.txt").write_text(text)
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        read_public_key(str(tmp_path / "key.txt"))


def test_a_key_of_another_kind_does_not_sign(bundle: Path, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (keys / "private.pem").write_bytes((keys / "public.txt").read_bytes())
    assert sign(bundle, keys) == 2
    assert "no private key in PEM" in capsys.readouterr().err
    assert not (bundle / "manifest.sig").exists()


def test_releases_do_not_go_back(bundle: Path, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sign(bundle, keys, "--release", "5") == 0
    assert sign(bundle, keys, "--release", "4") == 2
    assert "releases count up" in capsys.readouterr().err
    assert run(["verify", str(bundle), "--least-release", "6"]) == 4
    assert "release 5; 6 is the least allowed" in capsys.readouterr().err


def test_an_unsigned_bundle_and_another_key_are_refused(
    bundle: Path, keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", str(bundle), "--public-key", str(keys / "public.txt")]) == 4
    assert "is not signed" in capsys.readouterr().err
    assert sign(bundle, keys) == 0
    assert run(["bundle", "keygen", "-o", str(tmp_path / "other")]) == 0
    assert run(["verify", str(bundle), "--public-key", str(tmp_path / "other/public.txt")]) == 4
    assert "signed by another" in capsys.readouterr().err


def test_fitting_again_replaces_a_signed_bundle(bundle: Path, keys: Path, contents: Contents) -> None:
    assert sign(bundle, keys) == 0
    write_bundle(contents, bundle)
    assert not (bundle / "manifest.sig").exists()


def test_an_encrypted_bundle_is_verified_with_its_key(
    bundle: Path, keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed = tmp_path / "sealed"
    assert encrypt(bundle, keys, "-o", str(sealed)) == 0
    assert (bundle / MODEL).read_bytes() not in (sealed / MODEL).read_bytes()
    assert run(["verify", str(sealed)]) == 2
    assert "the models in" in capsys.readouterr().err
    assert run(["verify", str(sealed), "--key-file", str(keys / "models.txt"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [check["outcome"] for check in told["checks"]] == ["passed", "passed"]


def test_the_key_may_come_from_the_environment(bundle: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, (keys / "models.txt").read_text())
    assert run(["bundle", "encrypt", str(bundle)]) == 0
    assert run(["verify", str(bundle)]) == 0
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    with pytest.raises(InputError, match="does not hold 64 hexadecimal digits"):
        read_model_key(None)


def test_two_encryptions_share_nothing(bundle: Path, keys: Path, tmp_path: Path) -> None:
    """Neither the bundle's id nor a nonce, without which equal texts would show."""
    folders = (tmp_path / "one", tmp_path / "two")
    assert [encrypt(bundle, keys, "-o", str(folder)) for folder in folders] == [0, 0]
    entries = [read_bundle(folder).manifest.encryption for folder in folders]
    assert entries[0] is not None and entries[1] is not None
    assert entries[0].id != entries[1].id
    nonces = [(folder / name).read_bytes()[:12] for folder in folders for name in entries[0].files]
    assert len(set(nonces)) == len(nonces) == 4


def test_encrypting_leaves_a_signature_out_and_no_plain_model_behind(bundle: Path, keys: Path) -> None:
    plain = (bundle / MODEL).read_bytes()
    assert sign(bundle, keys) == 0
    assert encrypt(bundle, keys) == 0
    assert not (bundle / "manifest.sig").exists()
    assert all(plain not in path.read_bytes() for path in bundle.rglob("*") if path.is_file())
    assert encrypt(bundle, keys) == 2


def test_what_was_decrypted_is_gone_afterwards(bundle: Path, keys: Path) -> None:
    plain = (bundle / MODEL).read_bytes()
    assert encrypt(bundle, keys) == 0
    with decrypted(read_bundle(bundle), read_model_key(keys / "models.txt")) as opened:
        entry = opened.manifest.artifacts[1]
        path = opened.artifact(entry).files[0]
        assert path.read_bytes() == plain
        assert opened.path.stat().st_mode & 0o077 == 0
    assert not path.exists()


def test_no_runtime_is_handed_an_encrypted_model(bundle: Path, keys: Path) -> None:
    assert encrypt(bundle, keys) == 0
    read = read_bundle(bundle)
    with pytest.raises(InputError, match="are encrypted, and no runtime opens them so"):
        read.artifact(read.manifest.artifacts[0])


def test_joined_bundles_are_encrypted_and_signed_as_one(bundle: Path, keys: Path, tmp_path: Path) -> None:
    parts = {"full": read_bundle(bundle), "lite": read_bundle(bundle)}
    out = join_bundles(parts, None, tmp_path / "joined")
    assert encrypt(out, keys) == 0
    assert sign(out, keys) == 0
    trust = Trust(read_public_key(str(keys / "public.txt")), least_release=1)
    key = read_model_key(keys / "models.txt")
    result = verify_bundle(out, trust=trust, key=key)
    assert [len(one.checks) for one in result.variants] == [2, 2]
    assert len(result.with_outcome(result.checks[0].outcome)) == 4
    with pytest.raises(InputError, match="join first, then encrypt"):
        join_bundles({"one": read_bundle(out / "variants/lite"), "two": parts["full"]}, None, tmp_path / "again")


def test_openssl_agrees(bundle: Path, keys: Path) -> None:
    """The signature is a plain one of the manifest's bytes, so other tools can check it."""
    import shutil
    import subprocess

    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed here")
    assert sign(bundle, keys) == 0
    public, private = bundle.parent / "public.pem", keys / "private.pem"
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin"]
    files = ["-in", bundle / "manifest.json", "-sigfile", bundle / "manifest.sig"]
    assert subprocess.run([*command, *files], check=False, capture_output=True).returncode == 0


def test_a_signature_of_a_variant_is_not_one_of_the_bundle(bundle: Path, keys: Path, tmp_path: Path) -> None:
    assert sign(bundle, keys) == 0
    out = join_bundles({"full": read_bundle(bundle), "lite": read_bundle(bundle)}, None, tmp_path / "joined")
    (out / "manifest.sig").write_bytes((bundle / "manifest.sig").read_bytes())
    with pytest.raises(VerificationFailed, match="is not one of its"):
        read_bundle(out, Trust(read_public_key(str(keys / "public.txt"))))

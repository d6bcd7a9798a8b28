"""An app whose policy chooses among bundles below its own, signed and encrypted: the right one answers, or none."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pocketfit.apps import App, Platform, write_app
from pocketfit.bundle import Bundle, encrypt_bundle, join_bundles, read_bundle, sign_bundle
from pocketfit.bundle.keys import read_private_key, write_keys
from pocketfit.data.contract import prepare
from pocketfit.policy import ArtifactRef, Choice, Condition, Handover, Policy, Rule, Sensor, Variant
from pocketfit.runtimes import get_runtime

pytestmark = pytest.mark.slow
pytest.importorskip("cryptography", reason="pip install 'pocketfit[signing]'")

HEIGHT, WIDTH = 30, 40
LITE = "variants/lite"
MODEL = "litert/int8/model.tflite"
# LiteRT is Python's library; of another build of the others, a rounding of INT8 may fall the other way.
STEP = 2e-3


@dataclass(frozen=True)
class Shipped:
    """An app's assets, what they were before they were encrypted, and the keys as an app has them."""

    assets: Path
    plain: Bundle
    properties: dict[str, str]

    @property
    def bundle(self) -> Path:
        return self.assets / "pocketfit/bundle"

    def copy(self, folder: Path) -> Shipped:
        """The same assets where a test may spoil them."""
        return Shipped(Path(shutil.copytree(self.assets, folder)), self.plain, self.properties)


def policy_over(bundle: Bundle, handover: Handover) -> Policy:
    full, lite = (tuple(one for one in bundle.artifacts if one.bundle == folder) for folder in (".", LITE))
    # First one that another app's bundle may have.
    lite = (ArtifactRef(lite[0].runtime, lite[0].precision, "variants/heavy"), *lite)
    night = Rule("night", {Sensor.SCENE: Condition(any_of=("night",))}, Choice("sparing"))
    return Policy(
        variants=(Variant("whole", full), Variant("sparing", lite)),
        default=Choice("whole"),
        rules=(night,),
        dwell_ms=0,
        handover=handover,
    )


@pytest.fixture(scope="module")
def joined(fitted: Callable[[str, int], Bundle], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    from pocketfit.bundle import joined

    both = {"full": fitted("build", 24), "lite": fitted("build_lite", 16)}
    policy = policy_over(joined(both), Handover(state="reset"))
    return read_bundle(join_bundles(both, policy, tmp_path_factory.mktemp("joined") / "bundle"))


@pytest.fixture(scope="module")
def shipped(joined: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """Release 2, encrypted and signed by the functions behind `pocketfit bundle`; its policy is in the bundle."""
    folder = tmp_path_factory.mktemp("shipped")
    private, public, models = write_keys(folder / "keys", models=True)
    key = bytes.fromhex(models.read_text())
    sealed = read_bundle(encrypt_bundle(joined, key, folder / "sealed"))
    signed = read_bundle(sign_bundle(sealed, read_private_key(private), 2, folder / "signed"))
    write_app(App(Platform.ANDROID, signed), folder / "app")
    properties = {"public.key": public.read_text().strip(), "model.key": key.hex(), "least.release": "2"}
    return Shipped(folder / "app/pocketfit/src/main/assets", joined, properties)


def noise(tmp_path: Path) -> tuple[Path, np.ndarray]:
    values = np.random.default_rng(3).integers(0, 256, HEIGHT * WIDTH * 4, dtype=np.uint8)
    path = tmp_path / "noise.bin"
    path.write_bytes(values.tobytes())
    return path, np.ascontiguousarray(values.reshape(HEIGHT, WIDTH, 4)[..., :3])


def answer(bundle: Bundle, runtime: str, image: np.ndarray) -> np.ndarray:
    """Python's, by the variant's own contract and model."""
    entry = next(one for one in bundle.manifest.artifacts if one.runtime == runtime)
    session = get_runtime(runtime).open(bundle.artifact(entry))
    return session.run([prepare(image, bundle.contract())])[0].ravel()


def check_switches(told: list[dict], bundle: Bundle, runtime: str, image: np.ndarray, reset: bool) -> None:
    swaps = [(one["from"], one["to"], one["reset"]) for one in told if "to" in one]
    assert swaps == [(None, "whole", reset), ("whole", "sparing", reset), ("sparing", "whole", reset)]
    answers = [one for one in told if "outputs" in one]
    assert [one["variant"] for one in answers] == ["full", "lite", "full"]
    expected = [answer(one, runtime, image) for one in (bundle, bundle.others["lite"], bundle)]
    # Otherwise the wrong model would answer as well.
    assert np.abs(expected[0] - expected[1]).max() > 10 * STEP
    allowed = 0 if runtime == "litert" else STEP
    for got, wanted in zip(answers, expected, strict=True):
        assert got["runtime"] == runtime
        np.testing.assert_allclose(np.array(got["outputs"][0], np.float32), wanted, rtol=0, atol=allowed)


def test_a_policy_switches_to_the_model_of_another_bundle_and_back(kotlin, joined, tmp_path: Path, runtime):
    write_app(App(Platform.ANDROID, joined, policy_over(joined, Handover())), tmp_path / "app")
    path, image = noise(tmp_path)
    assets = tmp_path / "app/pocketfit/src/main/assets"
    told = kotlin.told("switch", assets, tmp_path / "home", runtime, "cpu", path, WIDTH, HEIGHT)
    check_switches(told, joined, runtime, image, reset=False)


def test_encrypted_models_answer_as_those_that_were_not(kotlin, shipped, tmp_path: Path, runtime):
    path, image = noise(tmp_path)
    line = ("switch", shipped.assets, tmp_path / "home", runtime, "cpu", path, WIDTH, HEIGHT)
    check_switches(kotlin.told(*line, **shipped.properties), shipped.plain, runtime, image, reset=True)
    (folder,) = (tmp_path / "home/pocketfit").iterdir()
    written = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert written == {name: (shipped.bundle / name).read_bytes() for name in written}


def test_the_app_tests_all_its_variants(kotlin, shipped, tmp_path: Path, runtime):
    told = kotlin.told("selftest", shipped.assets, tmp_path / "home", runtime, "cpu", **shipped.properties)
    checks = {one["name"]: one for one in told}
    for name in ("bundle preprocessing", "bundle preprocessing of lite", "bundle policy"):
        assert checks[name]["passed"] == checks[name]["total"] > 0, checks[name]
    for name in (f"full {runtime} int8", f"lite {runtime} int8"):
        assert checks[name]["passed"] == checks[name]["total"] > 0, checks[name]


def refused(kotlin, shipped: Shipped, home: Path, **properties: str | None) -> str:
    """Why the app does not open its bundle; None takes a property away."""
    given = {name: value for name, value in {**shipped.properties, **properties}.items() if value is not None}
    done = kotlin.run("selftest", shipped.assets, home, "litert", "cpu", **given)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("refused: ")
    return done.stderr


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def vouch(bundle: Path, name: str) -> None:
    """Have the manifest say what the file is now."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    content = (bundle / name).read_bytes()
    manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def test_another_key_opens_no_model(kotlin, shipped, tmp_path: Path):
    other = "ab" * 32
    assert "cannot be decrypted: the key is another one" in refused(kotlin, shipped, tmp_path, **{"model.key": other})
    assert "is encrypted, and there is no key" in refused(kotlin, shipped, tmp_path, **{"model.key": None})


def test_another_signer_and_an_older_release_are_refused(kotlin, shipped, tmp_path: Path):
    _, public = write_keys(tmp_path / "other")[:2]
    other = {"public.key": public.read_text().strip()}
    assert "is not one of its manifest by the app's key" in refused(kotlin, shipped, tmp_path / "a", **other)
    assert "is release 2, older than is allowed" in refused(kotlin, shipped, tmp_path / "b", **{"least.release": "3"})


def test_without_its_signature_it_is_refused_also_where_it_was_opened_before(kotlin, shipped, tmp_path: Path):
    kotlin.told("selftest", shipped.assets, tmp_path / "home", "litert", "cpu", **shipped.properties)
    spoilt = shipped.copy(tmp_path / "assets")
    (spoilt.bundle / "manifest.sig").unlink()
    assert "is not signed" in refused(kotlin, spoilt, tmp_path / "home")


def test_a_variants_model_that_was_changed_is_refused(kotlin, shipped, tmp_path: Path):
    spoilt = shipped.copy(tmp_path / "assets")
    flip(spoilt.bundle / LITE / MODEL)
    assert f"{LITE}/{MODEL} is not the file that was written" in refused(kotlin, spoilt, tmp_path / "home")
    vouch(spoilt.bundle, f"{LITE}/{MODEL}")
    assert "is not one of its manifest by the app's key" in refused(kotlin, spoilt, tmp_path / "home")


def test_a_changed_model_that_the_manifest_vouches_for_is_not_decrypted(kotlin, shipped, tmp_path: Path):
    """Of a bundle that nobody has to have signed."""
    spoilt = shipped.copy(tmp_path / "assets")
    flip(spoilt.bundle / MODEL)
    vouch(spoilt.bundle, MODEL)
    assert f"{MODEL} cannot be decrypted" in refused(kotlin, spoilt, tmp_path / "home", **{"public.key": None})

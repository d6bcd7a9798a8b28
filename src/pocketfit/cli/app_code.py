"""`pocketfit app`: the code that runs a bundle in an app, and tests itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketfit.cli.options import DryRun, check_one_of
from pocketfit.cli.output import console

__all__ = ["app"]

# How a generated folder builds and tests itself.
BUILDS = {
    "cpp": "cmake -S {0} -B build-app && cmake --build build-app && build-app/selftest {0}/bundle {0}/vectors/*",
    "java": "javac --release 8 -d classes-app $(find {0} -name '*.java') && "
    "java -cp classes-app pocketfit.selftest.SelfTest {0}/bundle {0}/vectors/*",
    "android": "cd {0} && gradle :sample:installDebug",
    "ios": "swift test --package-path {0} --scratch-path build-app",
}
# What an app developer has to know before trusting it.
CAVEATS = {
    "android": "Its Kotlin is tested on the JVM, against stand-ins for Android's classes; Gradle, the Android SDK and "
    "phones have not seen it. The sample's button “Test itself” tells whether a phone gives the promised answers.",
    "ios": "The core was run on Linux. Camera, sensors, Core ML, LiteRT, ONNX Runtime and the sample were only "
    "type-checked against stand-ins of their modules: nothing of it has run on an iPhone.",
}


def app(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that `pocketfit fit -o` wrote.")],
    platform: Annotated[
        str,
        typer.Option(
            help="cpp (C++17, header-only, CMake), java (Java 8, for the JVM), android (a Gradle module in Kotlin "
            "around the Java, with a sample app) or ios (a Swift package with a sample)."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write: a new or empty one, or one written so.")],
    policy: Annotated[
        Path | None, typer.Option(help="policy.json to ship beside the bundle, in place of the one in it.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Write code that prepares images, reads answers and follows the policy as Pocketfit does, and a self-test of it.

    Files that were changed, or that are not a generated app's, are never overwritten.
    Example: pocketfit app bundle --platform java -o app
    """
    check_one_of("--platform", platform, BUILDS, "a platform")

    from pocketfit.apps import App, Platform, check_app, write_app
    from pocketfit.bundle import read_bundle
    from pocketfit.policy import read_policy

    content = App(Platform(platform), read_bundle(bundle), None if policy is None else read_policy(policy))
    check_app(out)
    if dry_run:
        typer.echo(f"Would write into {out}:")
        for name in sorted(content.parts()):
            typer.echo(f"  {name}")
        return
    write_app(content, out)
    typer.echo(f"Wrote {out}. Build and test it:")
    console().print(f"  {BUILDS[platform].format(out)}", markup=False, highlight=False, soft_wrap=True)
    if platform in CAVEATS:
        typer.echo(CAVEATS[platform])

"""Run the commands of an example's README, and write below them what they print: examples/run.py EXAMPLE [WORK].

A block of ```console holds commands behind "$ " and what they printed. They run in one folder, which holds the
example's scripts; with a second argument in that one, which is kept.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_SECONDS = 3600


def commands(readme: str) -> list[str]:
    """Every command, in order."""
    lines = (line for block in _BLOCK.findall(readme) for line in block.splitlines())
    return [line[2:] for line in lines if line.startswith("$ ")]


def run(command: str, folder: Path) -> str:
    """What a command prints; `python` and `pocketfit` are those of this environment.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    words = shlex.split(command)
    own = {
        "python": [sys.executable],
        "pocketfit": [sys.executable, "-c", "from pocketfit.cli.app import main; main()"],
    }
    call = [*own.get(words[0], [words[0]]), *words[1:]]
    told = {"POCKETFIT_CACHE": str(folder / ".cache")}
    done = subprocess.run(
        call, cwd=folder, env=os.environ | told, capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        done.check_returncode()
    return done.stdout


def replay(example: Path, folder: Path) -> str:
    """The README with what its commands print now."""
    for script in example.glob("*.py"):
        shutil.copy(script, folder)

    def filled(block: re.Match[str]) -> str:
        parts = []
        for command in commands(block[0]):
            print(f"$ {command}", flush=True)
            printed = run(command, folder).replace(str(folder.resolve()) + "/", "")
            parts.append("\n".join([f"$ {command}", *(line.rstrip() for line in printed.strip("\n").splitlines())]))
        return "```console\n" + "\n\n".join(parts) + "\n```"

    return _BLOCK.sub(filled, (example / "README.md").read_text(encoding="utf-8"))


def main(example: Path, work: Path | None) -> None:
    """Write the README anew."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = work or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        readme = replay(example, folder)
    (example / "README.md").write_text(readme, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)

"""Runs in a private network namespace: an adbd with fake Android commands, and a command line of Pocketfit beside it.

adbd is an unauthenticated shell: it must never listen anywhere else.
"""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import adbutils

from pocketfit.cli.app import run

PORT = 5611


def main(adbd: str, fakes: str, arguments: list[str]) -> int:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    environment = os.environ | {"ADBD_PORT": str(PORT), "PATH": f"{fakes}:{os.environ['PATH']}"}
    environment.pop("LD_LIBRARY_PATH", None)
    log = (Path(fakes) / "adbd.log").open("w")
    daemon = subprocess.Popen(shlex.split(adbd), env=environment, stdout=log, stderr=log)
    try:
        _connect()
        return run(arguments)
    finally:
        adbutils.adb.server_kill()
        daemon.kill()


def _connect() -> None:
    for _ in range(50):
        if "connected" in adbutils.adb.connect(f"127.0.0.1:{PORT}").lower().replace("failed to connect", ""):
            return
        time.sleep(0.2)
    raise SystemExit("adbd does not listen")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))

"""`pocketfit zoo`."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from pocketfit.cli.app import app


def test_the_table_and_its_json():
    printed = CliRunner().invoke(app, ["zoo"])
    assert printed.exit_code == 0
    assert "zoo:mobilefacenet" in printed.stdout
    assert "timm:NAME" in printed.stdout
    rows = json.loads(CliRunner().invoke(app, ["zoo", "--json"]).stdout)["zoo"]
    squeezenet = next(row for row in rows if row["model"] == "zoo:squeezenet1_0")
    assert (squeezenet["input"], squeezenet["parameters"], squeezenet["output"]) == ("3x224x224", 1_248_424, "1000")

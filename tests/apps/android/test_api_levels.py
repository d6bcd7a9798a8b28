"""Every class and method of Android that an app's code names is there at its minSdk, or is asked for behind a guard.

POCKETFIT_ANDROID_TYPES is the unpacked npm package `@nativescript/types-android`, which lists API 21 to 37. It has one
number type, so that int and long are not told apart. The same lists say whether the stand-ins have members that Android
lacks.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pocketfit.apps import Platform, sources

pytestmark = pytest.mark.slow

TYPES = os.environ.get("POCKETFIT_ANDROID_TYPES")
LISTS = "lib/android/android-platform-21-37-merged.d.ts"
# Younger than minSdk, and named below `if (Build.VERSION.SDK_INT >= …)`: test_kotlin.py runs these with older releases.
GUARDED = {
    ("android.os.PowerManager", "getCurrentThermalStatus"): 29,
    ("android.os.PowerManager", "addThermalStatusListener"): 29,
    ("android.os.PowerManager", "removeThermalStatusListener"): 29,
    ("android.os.PowerManager$OnThermalStatusChangedListener", ""): 29,
    ("android.os.PowerManager", "getThermalHeadroom"): 30,
}


@dataclass
class Listed:
    """A class: its level, what it extends, and the level of each member by name and count of arguments."""

    since: int
    parents: list[str]
    members: dict[tuple[str, int], int] = field(default_factory=dict)


def listed(path: Path) -> dict[str, Listed]:
    """Read the lists, line by line: modules and classes are told by what they open and close."""
    classes: dict[str, Listed] = {}
    # Of each open brace: the name so far, and whether it is a class.
    stack: list[tuple[str, bool]] = []
    since = 21
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if found := re.match(r"/\*\* .*@since (\d+)", text):
            since = int(found[1])
            continue
        if found := re.match(r"(?:declare|export) module ([\w.]+) \{", text):
            stack.append((f"{stack[-1][0]}.{found[1]}" if stack else found[1], False))
        elif found := re.match(r"export (?:abstract )?class (\w+)(.*)\{$", text):
            name = f"{stack[-1][0]}.{found[1]}"
            parents = re.findall(r"(?:extends|implements|,) +([a-z]\w*(?:\.\w+)+)", found[2])
            classes[name] = Listed(since, parents)
            stack.append((name, True))
        elif text.endswith("{"):
            stack.append(("", False))
        elif text.startswith("}"):
            stack.pop()
        elif stack and stack[-1][1] and (found := re.match(r"public (?:static )?(\w+)(?:<[^>]*>)?\((.*)\):", text)):
            members = classes[stack[-1][0]].members
            key = (found[1], _arguments(found[2]))
            members[key] = min(since, members.get(key, since))
        elif stack and stack[-1][1] and (found := re.match(r"public constructor\((.*)\);", text)):
            classes[stack[-1][0]].members["<init>", _arguments(found[1])] = since
        if not text.startswith(("*", "/**")):
            since = 21
    return classes


def _arguments(text: str) -> int:
    depth = 0
    commas = 0
    for sign, before in zip(text, " " + text, strict=False):
        depth += (sign in "<({[") - (sign in ")}]" or (sign == ">" and before != "="))
        commas += sign == "," and not depth
    return commas + 1 if text.strip() else 0


def named(classes: list[Path]) -> set[tuple[str, str, int]]:
    """Class, method and count of arguments of all that compiled code calls, of Android and of Java."""
    command = ["javap", "-c", "-p", *map(str, classes)]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    calls = re.findall(r"// (?:Interface)?Method ((?:android|java)/[\w/$]+)\.\"?([\w<>]+)\"?:\((.*?)\)", text)
    kinds = re.findall(r"// class ((?:android|java)/[\w/$]+)", text)
    found = {(owner.replace("/", "."), name, _count(given)) for owner, name, given in calls}
    return found | {(kind.replace("/", "."), "", 0) for kind in kinds}


def _count(descriptor: str) -> int:
    return len(re.findall(r"\[*(?:L[^;]+;|[BCDFIJSZ])", descriptor))


def level(classes: dict[str, Listed], owner: str, name: str, count: int) -> int | None:
    """From which release on; None where there is no such thing."""
    entry = classes.get(owner.replace("$", "."))
    if entry is None:
        return None
    if not name:
        return entry.since
    if (name, count) in entry.members:
        return max(entry.since, entry.members[name, count])
    if owner == "java.lang.Object":
        return None
    levels = [level(classes, parent, name, count) for parent in (*entry.parents, "java.lang.Object")]
    return min((one for one in levels if one is not None), default=None)


@pytest.fixture(scope="module")
def lists() -> dict[str, Listed]:
    if TYPES is None:
        pytest.skip("POCKETFIT_ANDROID_TYPES names no @nativescript/types-android")
    return listed(Path(TYPES) / LISTS)


def test_the_lists_are_read(lists):
    assert lists["android.os.PowerManager"].members["getThermalHeadroom", 1] == 30
    assert lists["android.os.PowerManager.OnThermalStatusChangedListener"].since == 29
    assert level(lists, "java.nio.ByteBuffer", "rewind", 0) == 21
    assert level(lists, "android.app.Activity", "noSuchThing", 0) is None


def test_all_that_is_named_is_there_or_guarded(kotlin, lists):
    least = int(re.search(r"minSdk = (\d+)", _gradle())[1])
    # The program of the tests is compiled into the same folder, and is no part of an app.
    compiled = [path for folder in kotlin.classes[:2] for path in Path(folder).rglob("*.class")]
    compiled = [path for path in compiled if "program" not in path.parts and not path.match("R*.class")]
    absent, young = [], defaultdict(set)
    for owner, name, count in sorted(named(compiled)):
        since = level(lists, owner, name, count)
        if since is None:
            absent.append((owner, name, count))
        elif since > least:
            young[owner, name].add(since)
    assert absent == []
    assert {key: max(levels) for key, levels in young.items()} == GUARDED


def _gradle() -> str:
    return next(
        path for name, path in sources(Platform.ANDROID).items() if str(name) == "pocketfit/build.gradle.kts"
    ).read_text()

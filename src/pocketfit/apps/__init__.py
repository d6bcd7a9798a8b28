"""Code for apps: hand-written cores in C++, Java and Swift that answer as Pocketfit does, put beside a bundle.

`cpp/`, `java/` and `ios/` are sources as an app builds them; nothing in them is a template.
"""

from pocketfit.apps.platforms import Platform, sources
from pocketfit.apps.write import App, check_app, write_app

__all__ = ["App", "Platform", "check_app", "sources", "write_app"]

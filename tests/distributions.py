"""Put distributions on the path of a fresh interpreter, and run code there."""

import json
import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import softaxis

PLUGINS = Path(__file__).parent / "plugins"


def write_metadata(plugin, site):
    """Write what an installer writes about a plugin, from its pyproject.toml."""
    project = tomllib.loads((PLUGINS / plugin / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (info / "METADATA").write_text(metadata)
    (info / "entry_points.txt").write_text(entry_points(project["entry-points"]))


def entry_points(groups):
    """Format tables of entry points the way ``entry_points.txt`` does."""
    lines = []
    for group, entries in groups.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    return "\n".join([*lines, ""])


def run(code, *plugins, site, sources=(), **environment):
    """Run code in a fresh interpreter that finds the plugins; return what it prints as JSON.

    Lines on the error stream, such as log lines, are returned under the key "log".
    """
    for plugin in plugins:
        write_metadata(plugin, site)
    folders = [*(str(PLUGINS / plugin) for plugin in plugins), str(site), *sources]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SOFTAXIS_")}
    path = [*folders, str(Path(softaxis.__file__).parents[1]), inherited.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env=inherited | {"PYTHONPATH": os.pathsep.join(filter(None, path))} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"log": done.stderr.splitlines()}

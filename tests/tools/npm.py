# SPDX-License-Identifier: Apache-2.0
"""Packages of the npm registry, once for all builds, in the cache folder of the tests."""
import os
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT_S = 300


class Unable(Exception):
    """It cannot be had here; the text says what is missing."""


def install(name, version):
    """The folder node_modules that has the package NAME (and what it depends on) in VERSION.
    Raises Unable."""
    cache = pathlib.Path(os.environ.get("RUNNEL_TEST_CACHE", ROOT / "build/cache"))
    folder = cache / f"{name.replace('/', '-').lstrip('@')}-{version}"
    modules = folder / "node_modules"
    if (modules / name / "package.json").is_file():
        return modules
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise Unable(f"{name} needs node and npm: apt-get install nodejs npm")
    # Under another name first: what lies there under its own is whole.
    cache.mkdir(parents=True, exist_ok=True)
    partial = pathlib.Path(tempfile.mkdtemp(prefix="npm-", dir=cache))
    try:
        result = subprocess.run(
            [npm, "install", "--prefix", partial, "--no-audit", "--no-fund", "--no-save",
             f"{name}@{version}"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if result.returncode != 0:
            reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Unable(f"{name} cannot be installed from the npm registry: {reason}")
        partial.rename(folder)
    except subprocess.TimeoutExpired:
        raise Unable(f"npm install {name} took longer than {TIMEOUT_S} s") from None
    except OSError:
        # Another test was faster.
        if not (modules / name / "package.json").is_file():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return modules

# SPDX-License-Identifier: Apache-2.0
"""Packages of the npm registry, once for all builds, in the cache folder of the tests."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT_S = 300


class Unable(Exception):
    """It cannot be had here; the text says what is missing."""


def _cache():
    return pathlib.Path(os.environ.get("RUNNEL_TEST_CACHE", ROOT / "build/cache"))


def _fetch(what, folder, arguments, files=()):
    """Lets npm fill FOLDER by its ARGUMENTS, beside copies of FILES, unless it is there."""
    if (folder / "node_modules").is_dir():
        return
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise Unable(f"{what} needs node and npm: apt-get install nodejs npm")
    # Under another name first: what lies there under its own is whole.
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = pathlib.Path(tempfile.mkdtemp(prefix="npm-", dir=folder.parent))
    try:
        for file in files:
            shutil.copy(file, partial)
        result = subprocess.run([npm, *arguments, "--prefix", partial, "--no-audit", "--no-fund"],
                                capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if result.returncode != 0:
            reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Unable(f"{what} cannot be installed from the npm registry: {reason}")
        partial.rename(folder)
    except subprocess.TimeoutExpired:
        raise Unable(f"npm took longer than {TIMEOUT_S} s for {what}") from None
    except OSError:
        # Another test was faster.
        if not (folder / "node_modules").is_dir():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def install(name, version):
    """The folder node_modules that has the package NAME (and what it depends on) in VERSION.
    Raises Unable."""
    folder = _cache() / f"{name.replace('/', '-').lstrip('@')}-{version}"
    _fetch(name, folder, ["install", "--no-save", f"{name}@{version}"])
    return folder / "node_modules"


def install_locked(folder):
    """The folder node_modules that has exactly what FOLDER's package-lock.json names, but for what
    is optional: that is native code, which nothing here needs. Raises Unable."""
    files = [folder / "package.json", folder / "package-lock.json"]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    place = _cache() / f"{folder.name}-{digest[:16]}"
    _fetch(f"tests/{folder.name}", place, ["ci", "--ignore-scripts", "--omit=optional"], files)
    return place / "node_modules"

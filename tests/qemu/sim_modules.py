# SPDX-License-Identifier: Apache-2.0
"""
Hardware that the kernel simulates (gpio-sim, i2c-stub, iio_dummy). Debian's kernels leave it out,
so it is built as modules, from Debian's source of the kernel that a guest boots.
"""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess

from guest import ROOT, parts

HERE = pathlib.Path(__file__).resolve().parent
DEBS = ROOT / "tests/tools/debs.sh"

# In the order in which to load them; and what they need of the kernel's own modules.
NAMES = ("irq_sim", "gpio-sim", "industrialio-configfs", "industrialio-sw-device", "iio_dummy",
         "iio-trig-sysfs", "i2c-stub")
NEEDS = ("configfs", "industrialio", "industrialio-triggered-buffer")

SOURCES = ("kernel/irq/irq_sim.c", "drivers/gpio/gpio-sim.c", "drivers/gpio/gpiolib.h",
           "drivers/i2c/i2c-stub.c", "drivers/iio/dummy/*.[ch]",
           "drivers/iio/trigger/iio-trig-sysfs.c", "drivers/iio/industrialio-configfs.c",
           "drivers/iio/industrialio-sw-device.c")

# What keeps them from being modules of a kernel that was built without them: (file, text, instead).
EDITS = (
    ("irq_sim.c", "handle_simple_irq(irq_to_desc(irqnum))", "generic_handle_irq(irqnum)"),
    ("irq_sim.c", "#include <linux/slab.h>",
     "#include <linux/slab.h>\n#include <linux/module.h>\nMODULE_LICENSE(\"GPL\");"),
    # modpost runs on this machine, where such an entry has another size.
    ("gpio-sim.c", "MODULE_DEVICE_TABLE(of, gpio_sim_of_match);", ""),
)


def sim_modules(debian):
    """The folder of the modules for the kernel of DEBIAN; makes them if need be."""
    recipe = b"".join((HERE / name).read_bytes() for name in ("sim_modules.py", "Kbuild"))
    made = parts.cache() / (f"sim-{debian.arch.debian}-{debian.version}-"
                            f"{hashlib.sha256(recipe).hexdigest()[:12]}")
    if not made.is_dir():
        work = made.with_suffix(f".{os.getpid()}")
        shutil.rmtree(work, ignore_errors=True)
        try:
            _make(debian, work).rename(made)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return made


def _make(debian, work):
    """The folder in WORK with nothing but modules."""
    series = re.match(r"\d+\.\d+", debian.version).group()
    common = debian.version.rpartition("-")[0] + "-common"
    headers = _headers(debian, work, series, common)
    sources = work / "modules"
    sources.mkdir()
    _extract(work, series, sources)
    shutil.copy(HERE / "Kbuild", sources)
    for name, text, instead in EDITS:
        before = (sources / name).read_text()
        if before.count(text) != 1:
            raise OSError(f"{name} of Linux {series} is not as it was: {text}")
        (sources / name).write_text(before.replace(text, instead))
    machine = {"armhf": "arm", "arm64": "arm64"}[debian.arch.debian]
    parts.call("make", "-s", "-j2", "-C", headers, f"ARCH={machine}", f"M={sources}",
               f"CROSS_COMPILE={debian.arch.triple}-", f"CC={debian.arch.triple}-gcc", "modules")
    kept = work / "kept"
    kept.mkdir()
    for name in NAMES:
        parts.call(f"{debian.arch.triple}-strip", "--strip-debug", "-o", kept / f"{name}.ko",
                   sources / f"{name}.ko")
    return kept


def _headers(debian, work, series, common):
    """What the kernel offers modules, with the tools of this machine; the folder to build in."""
    own = parts.call("dpkg", "--print-architecture").strip()
    for arch, names in ((debian.arch.debian, (f"linux-headers-{debian.version}",
                                              f"linux-headers-{common}", f"linux-source-{series}")),
                        (own, (f"linux-kbuild-{series}",))):
        subprocess.run([DEBS, "--alone", arch, work / "debs", *names], check=True)
    for package in (work / "debs").glob("linux-[hk]*.deb"):
        parts.call("dpkg-deb", "-x", package, work)
    headers = work / "usr/src" / f"linux-headers-{debian.version}"
    (headers / "Makefile").write_text(f"include {work}/usr/src/linux-headers-{common}/Makefile\n")
    return headers


def _extract(work, series, folder):
    """The SOURCES, out of the archive of all of them."""
    package = next((work / "debs").glob("linux-source-*.deb"))
    parts.call("bash", "-o", "pipefail", "-c",
               "dpkg-deb --fsys-tarfile \"$0\" | tar -xO ./usr/src/\"$1\".tar.xz | xz -dc -T2 | "
               "tar -x -C \"$2\" --wildcards --no-anchored --transform 's,.*/,,' \"${@:3}\"",
               package, f"linux-source-{series}", folder,
               *(f"linux-source-{series}/{source}" for source in SOURCES))

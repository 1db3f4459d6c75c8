#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What each switch of Kconfig costs on armv7: boards/SIZE.md.

usage: size.py [--results FILE]      without it: only prints the table

Builds everything, the least that is of use, everything but one switch at a time, and static
programs with the mbedTLS of platform/mbedtls/small_config.h; stripped, -Os, by Debian's compiler.
Some forty builds, ten minutes.
"""
import argparse
import collections
import os
import pathlib
import re
import subprocess
import sys

import kconfiglib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/size"
TRIPLE = "arm-linux-gnueabihf"
KIB = 1024
AIMS = {"everything": 300 * KIB, "minimal": 120 * KIB, "static, mbedTLS 2.28": 1200 * KIB,
        "static, mbedTLS 3.6": 1200 * KIB}
# One driver, one destination, and the way to its keys that needs no network.
MINIMAL = ("DRIVER_PROC", "DEST_KINESIS", "CREDENTIALS_FILE")
# libmodbus is under the LGPL, and Debian has no libcoap with mbedTLS.
NOT_STATIC = ("DRIVER_MODBUS", "COAP")
LTO = "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON"
UNGUARDED = "-DRUNNEL_STACK_PROTECTOR=-fno-stack-protector"
UNABLE = 77
PARTS = {
    "spool": ("spool", "record"), "configuration": ("config",), "batch": ("batch", "inspect"),
    "uplink and destinations": ("uplink",), "credentials and signatures": ("aws",),
    "status and control socket": ("control",), "commands": ("cli",),
    "drivers and intake": ("drivers", "intake"), "HTTP, TLS, hashes": ("http", "tls", "hash"),
    "CoAP peers": ("coap_door", "handin", "payload", "validate"),
    "base, JSON, system": ("base", "json", "json_read", "linux", "gzip"),
    "agent": ("agent",),
}


def run(*command, **options):
    result = subprocess.run([str(word) for word in command], cwd=ROOT, text=True, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if result.returncode not in (0, UNABLE):
        sys.exit(result.stdout)
    return result.returncode == 0


def switches():
    """{symbol: prompt} of what a person may turn off, but for what is only installed beside it."""
    config = kconfiglib.Kconfig(str(ROOT / "Kconfig"), warn_to_stderr=False)
    return {symbol.name: node.prompt[0] for symbol in config.unique_defined_syms
            for node in symbol.nodes if symbol.orig_type == kconfiglib.BOOL and node.prompt
            and not symbol.name.startswith("SERVICE_")}


def build(name, off, *options):
    """
    The program with the switches OFF, stripped: the file's bytes, those of code and data, which
    do not come in whole pages, and what each part has of them.
    """
    folder = BUILD / re.sub(r"\W+", "-", name)
    folder.mkdir(parents=True, exist_ok=True)
    defconfig = folder / "defconfig"
    text = "".join(f"# CONFIG_{symbol} is not set\n" for symbol in sorted(off))
    if not defconfig.exists() or defconfig.read_text() != text:
        defconfig.write_text(text)
    linker_map = folder / "runnel.map"
    # From the environment, as what is given to CMake would replace the toolchain's own flags.
    run("cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, "-DBOARD=qemu-armv7",
        "-DCMAKE_BUILD_TYPE=MinSizeRel", "-DRUNNEL_TESTS=OFF", f"-DRUNNEL_DEFCONFIG={defconfig}",
        *options, env={**os.environ, "LDFLAGS": f"-Wl,-Map={linker_map}"})
    run("cmake", "--build", folder, "-j2")
    stripped = folder / "runnel.stripped"
    run(f"{TRIPLE}-strip", "-o", stripped, folder / "runnel")
    shown = subprocess.run([f"{TRIPLE}-size", stripped], capture_output=True, text=True, check=True)
    text, data = shown.stdout.splitlines()[1].split()[:2]
    return stripped.stat().st_size, int(text) + int(data), parts(linker_map)


def parts(linker_map):
    """Bytes by part, of what the linker kept of each archive of ours."""
    text = linker_map.read_text()
    text = text[text.index("Linker script and memory map"):]
    found = collections.Counter()
    for match in re.finditer(r"^ \.([\w.$-]+)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S+)$", text, re.M):
        section, address, size, path = match.groups()
        if int(address, 16) == 0 or not re.match(r"text|rodata|data", section):
            continue
        stage = re.search(r"librunnel_(\w+)\.a\(", path)
        is_agent = "CMakeFiles/runnel.dir/" in path
        found["agent" if is_agent else stage.group(1) if stage else ""] += int(size, 16)
    return {part: sum(found[stage] for stage in stages) for part, stages in PARTS.items()}


def small_options(version):
    """For a static program, or None where its libraries cannot be had."""
    if not run("tests/tools/small_libraries.sh", version, "armhf"):
        return None
    cache = os.environ.get("RUNNEL_TEST_CACHE") or ROOT / "build/cache"
    return "-DRUNNEL_STATIC=ON", f"-DRUNNEL_PREFIX={cache}/small-{version}-armhf"


def measure_whole(known):
    """{what: bytes of the file}, and the parts of the first two."""
    least = [symbol for symbol in known if symbol not in MINIMAL]
    sizes, all_parts = {}, []
    for what, off in (("everything", ()), ("minimal", least)):
        sizes[what], _, found = build(what, off)
        all_parts.append(found)
    for version in ("2.28", "3.6"):
        options = small_options(version)
        for suffix, off in (("", ()), (", minimal", least)):
            if options:
                name = f"static, mbedTLS {version}{suffix}"
                sizes[name] = build(name, {*off, *NOT_STATIC}, *options)[0]
    sizes[f"everything, {LTO}"] = build("lto", (), LTO)[0]
    sizes[f"everything, {UNGUARDED}"] = build("unguarded", (), UNGUARDED)[0]
    return sizes, all_parts


def measure_switches(known):
    """[(bytes, symbol, prompt)], the dearest first."""
    everything = build("everything", ())[1]
    found = [(everything - build(symbol, (symbol,))[1], symbol, prompt)
             for symbol, prompt in known.items()]
    return sorted(found, key=lambda row: (-row[0], row[1]))


HEAD = """# Size

Bytes of the program on armv7: stripped, `-Os` (MinSizeRel), by gcc of Debian 12. Where it is not
static, mbedTLS, LMDB, cJSON, zlib, libmodbus, libcoap and the C library are not in it. Made by
`tests/bench/size.py --results boards/SIZE.md`. 1 KiB is 1,024 bytes.

*minimal* is the least that is of use: one driver (proc), one destination (Kinesis), keys from a
file, JSON, and every other switch off. *static* has all libraries in it, also that of C, and
mbedTLS with what `platform/mbedtls/small_config.h` names; the driver modbus and CoAP are not in it.

| program | bytes | aim |
|---|---:|---|
"""
MISSES = """
What misses its aim: every program has a spool that loses nothing and repairs itself ({spool:,}
bytes of the minimal one), a configuration that names each fault and its remedy
({configuration:,}), HTTP, TLS and signatures ({network:,}), and what batches, sends, tries again
and tells ({rest:,}). Most of it keeps the promises of README.md, and what else could become a
switch, like `send`, is a few KB each. Together that is {core:,} bytes; {tables:,} more are tables
of the dynamic linker, and headers. Everything has {switched:,} on top, which is what the switches
are there for: a site leaves out what it does not use. {guard:,} bytes of that program are the
compiler's guard of return addresses, which stays: it reads what strangers send. Optimising across
files would save {lto:,}, at the price of functions that backtraces do not name; whoever wants it
has it.

## What a switch costs

Bytes of code and data that everything is smaller by without it; the file has them in whole pages.
What needs another goes with it: S3 and archive with gzip, `dead` with `spool`. Providers of keys
that share code count it only when the last of them goes, and so do destinations.

| switch | | bytes |
|---|---|---:|
"""
PARTS_HEAD = """
## Where the bytes are

Code and constants by part, of what the linker kept; the remainder is tables of the dynamic linker
and headers.

| part | everything | minimal |
|---|---:|---:|
"""


def page(sizes, parts_of_all, parts_of_least, costs):
    text = HEAD
    for what, count in sizes.items():
        aim = AIMS.get(what)
        met = "" if aim is None else f"{aim // KIB} KiB: {'met' if count <= aim else 'missed'}"
        text += f"| {what} | {count:,} | {met} |\n"
    everything = sizes["everything"]
    core = sum(parts_of_least.values())
    network = parts_of_least["HTTP, TLS, hashes"] + parts_of_least["credentials and signatures"]
    spool, configuration = parts_of_least["spool"], parts_of_least["configuration"]
    text += MISSES.format(core=core, spool=spool, configuration=configuration, network=network,
                          rest=core - spool - configuration - network,
                          tables=sizes["minimal"] - core,
                          switched=everything - sizes["minimal"],
                          guard=everything - sizes[f"everything, {UNGUARDED}"],
                          lto=everything - sizes[f"everything, {LTO}"])
    for count, symbol, prompt in costs:
        text += f"| {symbol} | {prompt} | {count:,} |\n"
    text += PARTS_HEAD
    for part, count in sorted(parts_of_all.items(), key=lambda item: -item[1]):
        text += f"| {part} | {count:,} | {parts_of_least[part]:,} |\n"
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0].strip())
    parser.add_argument("--results", type=pathlib.Path)
    results = parser.parse_args().results
    run("tests/tools/sysroot.sh", "armhf")
    known = switches()
    sizes, all_parts = measure_whole(known)
    text = page(sizes, *all_parts, measure_switches(known))
    print(text)
    if results:
        results.write_text(text)


main()

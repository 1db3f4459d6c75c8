#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
The bill of materials of a program is CycloneDX 1.5, has every library that the program names and no
other, and is the same each time.

usage: check_sbom.py BUILD PROGRAM [--control]

--control spoils it in every way that counts; each must be found. The rules of the format are those
of its schema for the members that are used here.
"""
import copy
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import tree

sys.path.insert(0, str(tree.ROOT / "platform/cmake"))
import sbom  # pylint: disable=wrong-import-position

TOP = {"bomFormat", "specVersion", "serialNumber", "version", "metadata", "components",
       "dependencies"}
COMPONENT = {"type", "bom-ref", "name", "version", "licenses", "purl", "hashes", "properties"}
SPDX = {"Apache-2.0", "GPL-2.0-or-later", "OLDAP-2.8", "MIT", "Zlib", "LGPL-2.1-or-later",
        "BSD-2-Clause"}
UNKNOWN = {"name": "runnel:version", "value": "unknown"}
UUID = r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
PURL = (r"pkg:(deb/debian|generic)/[a-z0-9.+-]+"
        r"(@([A-Za-z0-9._~-]|%[0-9A-F]{2})+)?([?]arch=[a-z0-9]+)?")


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=True, **options).stdout


def licences(component):
    """The SPDX identifiers that COMPONENT names."""
    for choice in component["licenses"]:
        yield from re.split(" (?:OR|AND) ", choice.get("expression") or choice["license"]["id"])


def component_faults(component):
    where = component.get("name", "?")
    if not {"type", "bom-ref", "name", "licenses", "purl"} <= set(component) <= COMPONENT:
        yield f"{where}: members {sorted(component)}"
        return
    if "version" not in component and UNKNOWN not in component.get("properties", ()):
        yield f"{where}: no version, and not that nobody knows it"
    if component["type"] not in ("application", "library"):
        yield f"{where}: type {component['type']}"
    if not set(licences(component)) <= SPDX:
        yield f"{where}: licences {component['licenses']}"
    if not re.fullmatch(PURL, component["purl"]):
        yield f"{where}: purl {component['purl']}"
    for digest in component.get("hashes", ()):
        if digest["alg"] != "SHA-256" or not re.fullmatch("[0-9a-f]{64}", digest["content"]):
            yield f"{where}: hash {digest}"
    for entry in component.get("properties", ()):
        if set(entry) != {"name", "value"} or not all(isinstance(value, str)
                                                      for value in entry.values()):
            yield f"{where}: property {entry}"


def format_faults(document):
    if set(document) != TOP:
        yield f"members {sorted(document)}"
        return
    if (document["bomFormat"], document["specVersion"]) != ("CycloneDX", "1.5"):
        yield "not CycloneDX 1.5"
    if not re.fullmatch(UUID, document["serialNumber"]) or document["version"] != 1:
        yield f"serial number {document['serialNumber']}, version {document['version']}"
    everything = [document["metadata"]["component"], *document["components"]]
    for component in everything:
        yield from component_faults(component)
    references = [component.get("bom-ref") for component in everything]
    if len(set(references)) != len(references):
        yield "a bom-ref twice"
    for entry in document["dependencies"]:
        if not {entry["ref"], *entry["dependsOn"]} <= set(references):
            yield f"{entry['ref']}: depends on what is not there"


def program_faults(document, program):
    """What is not as PROGRAM is."""
    main = document["metadata"]["component"]
    if main["hashes"][0]["content"] != hashlib.sha256(program.read_bytes()).hexdigest():
        yield "the hash is another program's"
    asked = set(re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "-d", program)))
    told = {name for entry in document["dependencies"] if entry["ref"] == "runnel"
            for name in entry["dependsOn"]}
    inside = {component["bom-ref"] for component in document["components"]
              if {"name": "runnel:linked", "value": "static"} in component["properties"]}
    if asked != told - inside:
        yield f"the program asks for {sorted(asked)}, and it says {sorted(told - inside)}"
    symbols = {entry["name"] for entry in main["properties"]}
    for name, symbol in sbom.SWITCHES.items():
        if name in inside and f"runnel:kconfig:{symbol}" not in symbols:
            yield f"{name} is linked in, and {symbol} is off"
    for component in document["components"]:
        if component["bom-ref"] in told and not component["licenses"]:
            yield f"{component['bom-ref']}: no licence of what the program itself asks for"
    reached, waiting = set(), list(told)
    depends = {entry["ref"]: entry["dependsOn"] for entry in document["dependencies"]}
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += depends.get(name, [])
    there = {component["bom-ref"] for component in document["components"]}
    if there != reached:
        yield f"nobody asks for {sorted(there - reached)}, {sorted(reached - there)} are missing"


def faults(document, program):
    found = list(format_faults(document))
    return found or list(program_faults(document, program))


def make(build, program, **environment):
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "sbom"
        run(sys.executable, "-B", tree.ROOT / "platform/cmake/sbom.py", build, program, output,
            env={**os.environ, **environment})
        return output.read_text()


def unpackaged_faults(build, program):
    """What a bill lacks where nothing tells which package a library is of, as in a sysroot."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "readelf").symlink_to(shutil.which("readelf"))
        document = json.loads(make(build, program, PATH=folder))
    yield from faults(document, program)
    for component in document["components"]:
        if component["name"] == "openssl" and "version" not in component:
            yield f"{component['bom-ref']}: no version where there are no packages"


def imitate(build, folder, **cache):
    """A folder of a build as BUILD is for sbom.py, which found no libraries but those of CACHE."""
    compiler = next(build.glob("CMakeFiles/*/CMakeCCompiler.cmake"))
    (folder / "CMakeFiles/here").mkdir(parents=True)
    shutil.copy(compiler, folder / "CMakeFiles/here")
    shutil.copy(build / ".config", folder)
    text = re.sub(r"^\w+_LIBRARY:.*\n", "", (build / "CMakeCache.txt").read_text(), flags=re.M)
    text += "".join(f"{key}:FILEPATH={value}\n" for key, value in cache.items())
    (folder / "CMakeCache.txt").write_text(text)
    return folder


def link(build, output, soname, *libraries):
    """A library without anything in it, that asks for LIBRARIES."""
    compiler = sbom.find_compiler(build)
    run(compiler, "-shared", "-nostdlib", "-Wl,--no-as-needed", f"-Wl,-soname,{soname}",
        "-o", output, "-x", "c", "/dev/null", "-x", "none", *libraries)
    return output


def brought_faults(build):
    """What is wrong where a library brings along what nobody has heard of, as with GnuTLS."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        strange = link(build, folder / "libstrange.so.1", "libstrange.so.1")
        zlib = link(build, folder / "libz.so.1", "libz.so.1", strange)
        fake = imitate(build, folder / "build", zlib_z_LIBRARY=zlib)
        program = link(build, folder / "program", "program", zlib)
        document = json.loads(make(fake, program))
        yield from faults(document, program)
        if "libstrange" not in [component["name"] for component in document["components"]]:
            yield "what is only brought along is missing"
        try:
            make(fake, link(build, folder / "asks", "asks", strange))
            yield "the program itself asks for what nobody has heard of, and that is passed over"
        except subprocess.CalledProcessError as error:
            if "nothing is known of libstrange.so.1" not in error.stderr:
                yield error.stderr


def static_faults(build):
    """What is wrong of a static program without CoAP, of a build that found its library."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        archives = {"coap_LIBRARY": "/lib/libcoap-3.a", "lmdb_lmdb_LIBRARY": "/lib/liblmdb.a"}
        program = link(build, folder / "program", "program")
        for libc, more in (("glibc", {}), ("musl", {"glibc_INCLUDE_DIR": folder})):
            fake = imitate(build, folder / libc, **archives, **more)
            config = fake / ".config"
            config.write_text(re.sub("CONFIG_COAP=y\n", "", config.read_text()))
            document = json.loads(make(fake, program))
            yield from faults(document, program)
            names = sorted(component["name"] for component in document["components"])
            if names != sorted([libc, "lmdb"]):
                yield f"a static program with {libc} and LMDB is said to have {names}"
            (folder / "features.h").write_text("")


def plant_off(bad):
    """A library that is linked in, and whose symbol is not set."""
    bad["components"].append({**bad["components"][0], "bom-ref": "coap", "properties": [
        {"name": "runnel:linked", "value": "static"}]})
    for entry in bad["dependencies"]:
        if entry["ref"] == "runnel":
            entry["dependsOn"].append("coap")
    main = bad["metadata"]["component"]
    main["properties"] = [entry for entry in main["properties"]
                          if entry["name"] != "runnel:kconfig:CONFIG_COAP"]


def planted(good):
    """(what was spoilt, the document)."""
    def spoil(words, change):
        document = copy.deepcopy(good)
        change(document)
        return words, document

    first = good["components"][0]["bom-ref"]
    yield spoil("a library is missing", lambda bad: bad["components"].pop())
    yield spoil("a library too many", lambda bad: bad["components"].append(
        {**bad["components"][0], "bom-ref": "libfoo.so.1"}))
    yield spoil("one is not asked for", lambda bad: [
        entry["dependsOn"].clear() for entry in bad["dependencies"] if entry["ref"] == "runnel"])
    yield spoil("one twice", lambda bad: bad["components"].append(bad["components"][0]))
    yield spoil("another program", lambda bad: bad["metadata"]["component"]["hashes"][0].update(
        content="0" * 64))
    yield spoil("half a hash", lambda bad: bad["components"][0].update(
        hashes=[{"alg": "SHA-256", "content": "00"}]))
    yield spoil("no version", lambda bad: bad["components"][0].pop("version"))
    yield spoil("no licence", lambda bad: bad["components"][0].pop("licenses"))
    yield spoil("what is off", plant_off)
    yield spoil("nobody's licence", lambda bad: [
        component["licenses"].clear() for component in bad["components"]])
    yield spoil("a licence of no list", lambda bad: bad["components"][0].update(
        licenses=[{"license": {"id": "Apache2"}}]))
    yield spoil("a purl of no kind", lambda bad: bad["components"][0].update(purl=first))
    yield spoil("another version", lambda bad: bad.update(specVersion="1.0"))
    yield spoil("a member of no schema", lambda bad: bad.update(libraries=[]))
    yield spoil("a number as property", lambda bad: bad["components"][0].update(
        properties=[{"name": "x", "value": 1}]))


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    build, program = map(pathlib.Path, sys.argv[1:3])
    text = make(build, program)
    document = json.loads(text)
    found = faults(document, program) + list(unpackaged_faults(build, program))
    found += [*brought_faults(build), *static_faults(build)]
    if found:
        sys.exit("\n".join(found))
    if sys.argv[3:] == ["--control"]:
        for words, bad in planted(document):
            if not faults(bad, program):
                sys.exit(f"not found: {words}")
            print(f"found: {words}")
        return
    if make(build, program) != text:
        sys.exit("it is another one the second time")
    dated = json.loads(make(build, program, SOURCE_DATE_EPOCH="1700000000"))
    if dated["metadata"]["timestamp"] != "2023-11-14T22:13:20Z":
        sys.exit(f"SOURCE_DATE_EPOCH is not its time: {dated['metadata']}")
    print(f"{program}: {len(document['components'])} libraries, as it names them")


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What a program of runnel consists of, as CycloneDX 1.5 JSON: for who has to know where a library
with a hole in it runs.

usage: sbom.py BUILD PROGRAM OUTPUT

BUILD is the folder that PROGRAM was built in, which may have been stripped since. The libraries are
those that the program names itself (readelf), those that they name, and those that were linked into
it. The same program on the same machine gives the same bytes; with
SOURCE_DATE_EPOCH they bear its time, else none.
"""
import datetime
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse
import uuid

# By the name of runnel_find_library: what is included, the macros that make the version, the
# sonames that belong to it, its licence by SPDX.
LIBRARIES = {
    "mbedtls": ("mbedtls/version.h", ("MBEDTLS_VERSION_STRING",), r"libmbed(tls|x509|crypto)\.",
                "Apache-2.0 OR GPL-2.0-or-later"),
    "lmdb": ("lmdb.h", ("MDB_VERSION_MAJOR", "MDB_VERSION_MINOR", "MDB_VERSION_PATCH"),
             r"liblmdb\.", "OLDAP-2.8"),
    "cjson": ("cjson/cJSON.h",
              ("CJSON_VERSION_MAJOR", "CJSON_VERSION_MINOR", "CJSON_VERSION_PATCH"), r"libcjson\.",
              "MIT"),
    "zlib": ("zlib.h", ("ZLIB_VERSION",), r"libz\.", "Zlib"),
    "modbus": ("modbus/modbus.h", ("LIBMODBUS_VERSION_STRING",), r"libmodbus\.",
               "LGPL-2.1-or-later"),
    "coap": ("coap3/coap.h", ("LIBCOAP_PACKAGE_VERSION",), r"libcoap-3", "BSD-2-Clause"),
    "glibc": ("features.h", ("__GLIBC__", "__GLIBC_MINOR__"),
              r"(lib(c|m|pthread|dl|rt|resolv)\.so\.|ld-linux)", "LGPL-2.1-or-later"),
}
# What is off is not linked, though the cache still has where it lies.
SWITCHES = {"zlib": "CONFIG_GZIP", "modbus": "CONFIG_DRIVER_MODBUS", "coap": "CONFIG_COAP"}
NAMES = {"coap": "libcoap", "modbus": "libmodbus"}
# What others bring along, whose headers need not be there.
BROUGHT = {r"(libc\.so$|libc\.musl|ld-musl)": ("musl", "MIT"),
           r"lib(ssl|crypto)\.": ("openssl", "Apache-2.0"),
           r"lib(gnutls)\.": ("gnutls", "LGPL-2.1-or-later")}


def run(*command, stdin=""):
    return subprocess.run([str(word) for word in command], input=stdin, capture_output=True,
                          text=True, check=True).stdout


def read_cache(build):
    text = (build / "CMakeCache.txt").read_text()
    return dict(re.findall(r"^([\w-]+):\w+=(.*)$", text, re.M))


def read_symbols(build):
    """The symbols of Kconfig that are set, and what to."""
    return dict(re.findall(r"^(CONFIG_\w+)=(.*)$", (build / ".config").read_text(), re.M))


def find_compiler(build):
    """Where a file of toolchain names it, the cache does not."""
    text = next(build.glob("CMakeFiles/*/CMakeCCompiler.cmake")).read_text()
    return re.search(r'^set\(CMAKE_C_COMPILER "(.+)"\)', text, re.M).group(1)


def needed(path):
    """The sonames that PATH asks for."""
    return re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "-d", path))


class Machine:
    """Where the libraries of the build lie, and what is known of them."""

    def __init__(self, build):
        self.cache = read_cache(build)
        self.compiler = find_compiler(build)
        self.symbols = read_symbols(build)
        self.folders = {pathlib.Path(path).parent for name, path in self.cache.items()
                        if name.endswith("_LIBRARY") and path.startswith("/")}
        # Where a distribution still has two, what is needed to run may lie in the other one.
        self.folders |= {pathlib.Path(str(folder).replace("/usr/lib", "/lib"))
                         for folder in self.folders}

    def find(self, soname):
        for folder in sorted(self.folders):
            if (folder / soname).exists():
                return (folder / soname).resolve()
        path = pathlib.Path(run(self.compiler, f"-print-file-name={soname}").strip())
        return path.resolve() if path.is_absolute() and path.exists() else None

    def header_version(self, name):
        """As the compiler sees it."""
        header, macros, _, _ = LIBRARIES[name]
        include = self.cache.get(f"{name}_INCLUDE_DIR")
        options = ["-I", include] if include else []
        try:
            text = run(self.compiler, "-E", "-dM", *options, "-x", "c", "-",
                       stdin=f"#include <{header}>\n")
        except subprocess.CalledProcessError:
            return None
        values = dict(re.findall(r"^#define (\w+) (.+)$", text, re.M))
        if not all(macro in values for macro in macros):
            return None
        return ".".join(values[macro].strip('"') for macro in macros)

    def linked_in(self, is_static):
        """The names of the libraries that are in the program: archives, and that of C."""
        names = [name for name in LIBRARIES
                 if SWITCHES.get(name) in (None, *self.symbols) and
                 any(path.endswith(".a") for key, path in self.cache.items()
                     if re.fullmatch(rf"{name}_(\w+_)?LIBRARY", key))]
        if is_static:
            names.append("glibc" if self.header_version("glibc") else "musl")
        return names


def package_of(path):
    """Debian's name, version and architecture of who owns PATH; None elsewhere."""
    if path is None or shutil.which("dpkg-query") is None:
        return None
    for name in dict.fromkeys((str(path), str(path).removeprefix("/usr"))):
        found = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True,
                               check=False)
        if found.returncode == 0:
            package = found.stdout.split(": ")[0].split(",")[0]
            shown = run("dpkg-query", "-W", "-f", "${Package}\t${Version}\t${Architecture}",
                        package)
            return shown.split("\t")
    return None


def license_of(expression):
    """An SPDX expression has a member of its own; None: nobody asserts one."""
    if expression is None:
        return []
    if " " in expression:
        return [{"expression": expression}]
    return [{"license": {"id": expression}}]


def identify(soname, is_asked):
    """(name, licence) of the project that SONAME belongs to. What the program itself asks for has
    to be known; of what that brings along the name is the soname's, and the licence None."""
    for name, (_, _, pattern, licence) in LIBRARIES.items():
        if re.match(pattern, soname):
            return name, licence
    for pattern, found in BROUGHT.items():
        if re.match(pattern, soname):
            return found
    if not is_asked:
        return re.sub(r"(-[\d.]+)?\.so.*", "", soname).lower(), None
    sys.exit(f"sbom.py: nothing is known of {soname}, which the program is linked with; add it to "
             "LIBRARIES or BROUGHT")


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def openssl_version(machine, path):
    """As libcrypto says it itself, which PATH is or asks for: no package owns what lies in a
    sysroot."""
    for soname in (path.name, *needed(path)):
        library = machine.find(soname) if soname.startswith("libcrypto.") else None
        found = library and re.search(rb"OpenSSL (\d+\.\d+\.\d+\w*) \d+ \w+ \d{4}",
                                      library.read_bytes())
        if found:
            return found.group(1).decode()
    return None


def shared_version(machine, name, path, package):
    """Of the header, of the library, or else of the package; None: nobody says it."""
    version = machine.header_version(name) if name in LIBRARIES else None
    if name == "openssl" and path is not None:
        version = openssl_version(machine, path)
    if version is None and package is not None:
        version = re.sub(r"^\d+:|-[^-]*$", "", package[1])
    return version


def component_of(reference, name, version, licence, properties):
    properties = [{"name": f"runnel:{key}", "value": value} for key, value in properties.items()]
    if version is None:
        properties.append({"name": "runnel:version", "value": "unknown"})
    return {"type": "library", "bom-ref": reference, "name": name,
            **({} if version is None else {"version": version}), "licenses": license_of(licence),
            "purl": f"pkg:generic/{name}" + (f"@{version}" if version else ""),
            "properties": properties}


def shared_component(machine, soname, path, is_asked):
    name, licence = identify(soname, is_asked)
    package = package_of(path)
    component = component_of(soname, NAMES.get(name, name),
                             shared_version(machine, name, path, package), licence,
                             {"linked": "shared", "soname": soname})
    if package is not None:
        escaped = urllib.parse.quote(package[1], safe="")
        component["purl"] = f"pkg:deb/debian/{package[0]}@{escaped}?arch={package[2]}"
    if path is not None:
        component["hashes"] = [{"alg": "SHA-256", "content": sha256(path)}]
    return component


def static_component(machine, name):
    """Of musl, which names no version in its headers, there is none."""
    version = machine.header_version(name) if name in LIBRARIES else None
    licence = LIBRARIES[name][3] if name in LIBRARIES else dict(BROUGHT.values())[name]
    return component_of(name, NAMES.get(name, name), version, licence, {"linked": "static"})


def follow(machine, program):
    """All shared libraries, and who asks for whom: ({soname: path}, {soname or None: sonames})."""
    paths, asks = {}, {None: needed(program)}
    waiting = list(asks[None])
    while waiting:
        soname = waiting.pop()
        if soname in paths:
            continue
        paths[soname] = machine.find(soname)
        asks[soname] = needed(paths[soname]) if paths[soname] else []
        waiting += asks[soname]
    return paths, asks


def configuration(machine):
    """The symbols of Kconfig that are set, as properties."""
    return [{"name": f"runnel:kconfig:{name}", "value": value.strip('"')}
            for name, value in machine.symbols.items()]


def sources(root):
    """One hash of all that the program is compiled of: of the names and contents, sorted."""
    total = hashlib.sha256()
    for path in sorted(path for folder in ("agent", "drivers", "platform")
                       for path in (root / folder).rglob("*") if path.suffix in (".c", ".h", ".def",
                                                                                 ".list")):
        total.update(f"{path.relative_to(root)}\0{sha256(path)}\n".encode())
    return total.hexdigest()


def main_component(machine, program):
    version = machine.cache["CMAKE_PROJECT_VERSION"]
    root = pathlib.Path(machine.cache["CMAKE_HOME_DIRECTORY"])
    return {"type": "application", "bom-ref": "runnel", "name": "runnel", "version": version,
            "licenses": license_of("Apache-2.0"), "purl": f"pkg:generic/runnel@{version}",
            "hashes": [{"alg": "SHA-256", "content": sha256(program)}],
            "properties": [{"name": "runnel:board", "value": machine.cache["BOARD"]},
                           {"name": "runnel:source:sha256", "value": sources(root)},
                           *configuration(machine)]}


def describe(build, program):
    machine = Machine(build)
    paths, asks = follow(machine, program)
    components = [shared_component(machine, soname, path, soname in asks[None])
                  for soname, path in sorted(paths.items())]
    inside = machine.linked_in(is_static=not paths)
    components += [static_component(machine, name) for name in inside]
    asks[None] += inside
    main = main_component(machine, program)
    metadata = {"component": main}
    if "SOURCE_DATE_EPOCH" in os.environ:
        time = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]),
                                               datetime.timezone.utc)
        metadata = {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"), **metadata}
    document = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": metadata,
                "components": components,
                "dependencies": [{"ref": asker or "runnel", "dependsOn": sorted(set(asked))}
                                 for asker, asked in sorted(asks.items(),
                                                            key=lambda pair: pair[0] or "")]}
    name = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(document, sort_keys=True))
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": f"urn:uuid:{name}",
            **document}


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    build, program, output = map(pathlib.Path, sys.argv[1:])
    output.write_text(json.dumps(describe(build, program), indent=2) + "\n")


if __name__ == "__main__":
    main()

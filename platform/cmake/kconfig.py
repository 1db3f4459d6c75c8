#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Turn a board's defconfig into .config and autoconf.h; any warning is an error.

usage: kconfig.py configure KCONFIG DEFCONFIG CONFIG HEADER
       kconfig.py save KCONFIG CONFIG DEFCONFIG      write what differs from the defaults
       kconfig.py merge KCONFIG DEFCONFIG MERGED FRAGMENT...
                                                     write DEFCONFIG with the fragments laid over it
       kconfig.py all-off KCONFIG DEFCONFIG          write a defconfig that turns everything off
       kconfig.py all-on KCONFIG DEFCONFIG           and one that turns everything on

An unknown symbol, a value out of range or of the wrong type, or one that its dependencies forbid
ends with status 1 and the place of the mistake.

CONFIG.origin remembers the defconfig that CONFIG was made from and what was made. A CONFIG that
menuconfig has changed since is kept; one that nobody touched is made anew, so that an edited
defconfig or another board takes effect.

Of the fragments the last one counts. Symbols that nobody can choose are passed over in them: they
are what a comparison of two CONFIGs makes.
"""
import hashlib
import os
import re
import sys

try:
    import kconfiglib
except ImportError:
    sys.exit("kconfiglib is missing. On Debian: apt-get install python3-kconfiglib")


def places(path_config):
    """PATH:LINE of every symbol that the file assigns; the last one counts."""
    found = {}
    with open(path_config, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = re.match(r"(?:# )?CONFIG_(\w+)(?:=| is not set)", line)
            if match:
                found[match[1]] = f"{path_config}:{number}"
    return found


def has_prompt(symbol):
    return any(node.prompt for node in symbol.nodes)


def wanted_of(symbol):
    """What was written for it, as Kconfig writes it; None: nothing was."""
    if symbol.user_value is None or symbol.choice is not None:
        return None
    if symbol.orig_type in (kconfiglib.BOOL, kconfiglib.TRISTATE):
        return kconfiglib.TRI_TO_STR[symbol.user_value]
    return symbol.user_value


def holds(symbol):
    return wanted_of(symbol) in (None, symbol.str_value)


def load(path_kconfig, path_config, fragments=()):
    """The parsed configuration and what is wrong with it, each fault with its place."""
    config = kconfiglib.Kconfig(path_kconfig, warn_to_stderr=False)
    config.warn_assign_undef = True
    config.load_config(path_config)
    place = places(path_config)
    config.warn_assign_override = config.warn_assign_redun = False
    held = {symbol.name for symbol in config.unique_defined_syms if holds(symbol)}
    passed_over = set()
    for fragment in fragments:
        config.load_config(fragment, replace=False)
        place.update(places(fragment))
        passed_over.update(places(fragment))
    faults = []
    for warning in config.warnings:
        named = next((word for word in re.findall(r"\w+", warning) if word in place), None)
        is_placed = warning.startswith((path_config, *fragments)) or named is None
        faults.append(warning if is_placed else f"{place[named]}: {warning}")
    for symbol in config.unique_defined_syms:
        if symbol.name in passed_over and not has_prompt(symbol):
            continue
        # A fragment that switches a driver off takes what the board says about it along.
        if symbol.name in held - passed_over and symbol.visibility == 0:
            continue
        if not holds(symbol):
            written = f"CONFIG_{symbol.name}={wanted_of(symbol)}"
            faults.append(f"{place[symbol.name]}: {written} does not hold, it became "
                          f"'{symbol.str_value}': see its dependencies and its range")
    return config, faults


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def was_edited(path_config, path_defconfig):
    """Whether somebody changed CONFIG since it was made from this board's defconfig."""
    try:
        with open(path_config + ".origin", encoding="utf-8") as file:
            made_from, made = file.read().splitlines()
        return made_from == path_defconfig and made != digest(path_config)
    except (OSError, ValueError):
        return False


def write_if_changed(path, write):
    """A file that stays the same keeps its time, so that nothing is built again."""
    temporary = path + ".new"
    write(temporary)
    if os.path.exists(path) and digest(path) == digest(temporary):
        os.remove(temporary)
    else:
        os.replace(temporary, path)


def configure(path_kconfig, path_defconfig, path_config, path_header):
    edited = was_edited(path_config, path_defconfig)
    path_read = path_config if edited else path_defconfig
    config, faults = load(path_kconfig, path_read)
    if faults:
        if edited:
            faults.append(f"{path_config} holds what menuconfig wrote; "
                          f"delete it to return to {path_defconfig}")
        sys.exit("\n".join(faults))
    write_if_changed(path_config, lambda path: config.write_config(path, save_old=False))
    write_if_changed(path_header, config.write_autoconf)
    if edited:
        print(f"kept {path_config} as menuconfig wrote it; "
              f"delete it to return to {path_defconfig}")
        return
    with open(path_config + ".origin", "w", encoding="utf-8") as file:
        file.write(f"{path_defconfig}\n{digest(path_config)}\n")


def heading(path_defconfig):
    """The comment at its top: it says what the board is."""
    lines = []
    if os.path.exists(path_defconfig):
        with open(path_defconfig, encoding="utf-8") as file:
            for line in file:
                if not line.startswith("#") or line.startswith("# CONFIG_"):
                    break
                lines.append(line)
    return "".join(lines)


def save(path_kconfig, path_config, path_defconfig):
    config, faults = load(path_kconfig, path_config)
    if faults:
        sys.exit("\n".join(faults))
    print(config.write_min_config(path_defconfig, header=heading(path_defconfig)))


def merge(path_kconfig, path_defconfig, path_merged, *fragments):
    config, faults = load(path_kconfig, path_defconfig, fragments)
    if faults:
        sys.exit("\n".join(faults))
    print(config.write_min_config(path_merged, header=heading(path_defconfig)))


def set_all(path_kconfig, path_defconfig, value):
    config = kconfiglib.Kconfig(path_kconfig, warn_to_stderr=False)
    for symbol in config.unique_defined_syms:
        if symbol.orig_type in (kconfiglib.BOOL, kconfiglib.TRISTATE):
            symbol.set_value(value)
    config.write_min_config(path_defconfig)


def all_off(path_kconfig, path_defconfig):
    set_all(path_kconfig, path_defconfig, 0)


def all_on(path_kconfig, path_defconfig):
    set_all(path_kconfig, path_defconfig, 2)


COMMANDS = {("configure", 4): configure, ("save", 3): save, ("all-off", 2): all_off,
            ("all-on", 2): all_on}


def main():
    command = COMMANDS.get(("".join(sys.argv[1:2]), len(sys.argv) - 2))
    if sys.argv[1:2] == ["merge"] and len(sys.argv) > 4:
        command = merge
    if command is None:
        sys.exit(__doc__)
    command(*sys.argv[2:])


main()

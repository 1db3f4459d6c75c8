#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Turn a board's defconfig into .config and autoconf.h; any warning is an error.

usage: kconfig.py KCONFIG DEFCONFIG CONFIG HEADER

CONFIG is kept when it is newer than DEFCONFIG: that is what menuconfig wrote. An unknown symbol, a
value out of range or of the wrong type, or one that its dependencies forbid ends with status 1 and
the place of the mistake.
"""
import os
import sys

try:
    import kconfiglib
except ImportError:
    sys.exit("kconfiglib is missing: apt-get install python3-kconfiglib")


def load(path_kconfig, path_config):
    config = kconfiglib.Kconfig(path_kconfig, warn_to_stderr=False)
    config.warn_assign_undef = True
    config.load_config(path_config)
    faults = list(config.warnings)
    for symbol in config.unique_defined_syms:
        wanted = symbol.user_value
        if wanted is None:
            continue
        if symbol.orig_type in (kconfiglib.BOOL, kconfiglib.TRISTATE):
            wanted = kconfiglib.TRI_TO_STR[wanted]
        if symbol.str_value != wanted:
            faults.append(f"{path_config}: {symbol.name}={wanted} does not hold "
                          f"(it became {symbol.str_value}): see its dependencies and range")
    return config, faults


def write_if_changed(path, write):
    temporary = path + ".new"
    write(temporary)
    with open(temporary, encoding="utf-8") as new:
        text = new.read()
    if os.path.exists(path):
        with open(path, encoding="utf-8") as old:
            if old.read() == text:
                os.remove(temporary)
                return
    os.replace(temporary, path)


def main():
    path_kconfig, path_defconfig, path_config, path_header = sys.argv[1:]
    kept = (os.path.exists(path_config)
            and os.path.getmtime(path_config) >= os.path.getmtime(path_defconfig))
    config, faults = load(path_kconfig, path_config if kept else path_defconfig)
    if faults:
        sys.exit("\n".join(faults))
    write_if_changed(path_config, lambda path: config.write_config(path, save_old=False))
    write_if_changed(path_header, lambda path: config.write_autoconf(path))


main()

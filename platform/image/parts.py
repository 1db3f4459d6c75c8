# SPDX-License-Identifier: Apache-2.0
"""
What images and guests are put together from: Debian's packages for another architecture, the
modules of its kernel, and an initramfs. Needs no root; nothing is installed.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A root file system that systemd boots, and what runnel is linked with. With what these depend on.
ROOT_PACKAGES = (
    "base-files base-passwd bash coreutils dash e2fsprogs grep iproute2 kmod libc-bin mount procps "
    "sed systemd systemd-resolved systemd-sysv udev util-linux busybox-static "
    "libmbedtls14 liblmdb0 libcjson1 libmodbus5 libcoap3 zlib1g").split()
# What only installing needs: scripts of packages do not run here. And the GnuTLS of a libcoap that
# is not linked; OpenSSL is there for systemd anyway.
NOT_NEEDED = ("adduser", "debconf", "dpkg", "initramfs-tools", "klibc", "libdb5", "libfile-find",
              "libgdbm", "libklibc", "libnumber-compare", "libperl", "libtext-glob", "linux-base",
              "perl", "usrmerge", "cpio", "tar", "passwd", "libgnutls30", "libhogweed", "libnettle")
NOT_WANTED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info",
              "usr/share/lintian", "usr/share/bash-completion", "usr/share/zsh")

PIECES = ("root", "kernel", "loaders", "tools")


class Arch:
    """What Debian calls a machine, and what of it we take."""

    def __init__(self, debian, triple, kernel, packages=()):
        self.debian = debian
        self.triple = triple
        self.kernel = kernel
        self.packages = [*ROOT_PACKAGES, kernel, *packages]


ARCHES = {
    "armhf": Arch("armhf", "arm-linux-gnueabihf", "linux-image-armmp",
                  ["u-boot-omap", "mtd-utils"]),
    "arm64": Arch("arm64", "aarch64-linux-gnu", "linux-image-arm64", ["systemd-boot-efi"]),
}


def cache():
    return pathlib.Path(os.environ.get("RUNNEL_TEST_CACHE") or ROOT / "build/cache")


def call(*command, **options):
    """Runs a tool; what it said is in the exception when it fails."""
    env = {**os.environ, **options.pop("env", {})}
    env["PATH"] += ":/sbin:/usr/sbin"
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, env=env,
                            stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
                            **options)
    if result.returncode != 0:
        raise OSError(f"{' '.join(map(str, command))}: {result.stdout.strip()}")
    return result.stdout


def _unpack(package, folder):
    """Into a file system whose /bin, /sbin and /lib are links, as Debian's are."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package],
                          stdout=subprocess.PIPE) as archive:
        call("tar", "-x", "-C", folder, "--keep-directory-symlink", "--no-same-owner",
             stdin=archive.stdout)
    if archive.returncode != 0:
        raise OSError(f"{package} cannot be read")


def _merged(folder):
    for name in ("bin", "sbin", "lib"):
        (folder / "usr" / name).mkdir(parents=True)
        (folder / name).symlink_to(f"usr/{name}")
    return folder


class Debian:
    """Debian for one architecture: .root (without a kernel), .kernel, .loaders and
    .tools (which tests need inside guests), unpacked."""

    def __init__(self, arch):
        self.arch = ARCHES[arch]
        digest = hashlib.sha256(" ".join(
            [*self.arch.packages, *NOT_NEEDED, *NOT_WANTED]).encode()).hexdigest()
        self.folder = cache() / f"debian-{arch}-{digest[:12]}"
        self.root, self.kernel, self.loaders, self.tools = (self.folder / name for name in PIECES)
        if not self.folder.is_dir():
            self._make()
        self.version = next((self.kernel / "lib/modules").iterdir()).name
        self.vmlinuz = next((self.kernel / "boot").glob("vmlinuz-*"))
        self.modules = self.kernel / "lib/modules" / self.version
        self.depends = self._depends()

    def _make(self):
        partial = self.folder.with_suffix(f".{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        (partial / "debs").mkdir(parents=True)
        subprocess.run([ROOT / "tests/tools/debs.sh", self.arch.debian, partial / "debs",
                        *self.arch.packages], check=True)
        for name in PIECES:
            _merged(partial / name)
        for package in sorted((partial / "debs").iterdir()):
            if package.name.startswith("linux-image-"):
                _unpack(package, partial / "kernel")
            elif package.name.startswith(("u-boot-omap", "systemd-boot-efi")):
                _unpack(package, partial / "loaders")
            elif package.name.startswith("mtd-utils"):
                _unpack(package, partial / "tools")
            elif not package.name.startswith(NOT_NEEDED):
                _unpack(package, partial / "root")
        for name in NOT_WANTED:
            shutil.rmtree(partial / "root" / name, ignore_errors=True)
        shutil.rmtree(partial / "debs")
        version = next((partial / "kernel/lib/modules").iterdir()).name
        call("depmod", "-b", partial / "kernel", version)
        try:
            partial.rename(self.folder)
        except OSError:               # another test was faster
            shutil.rmtree(partial)

    def _depends(self):
        """{module: (its file, the files that it needs, in the order in which to load them)}"""
        found = {}
        for line in (self.modules / "modules.dep").read_text().splitlines():
            file, needs = line.split(":")
            name = pathlib.Path(file).name.removesuffix(".ko").replace("-", "_")
            found[name] = (file, needs.split()[::-1])
        return found

    def device_tree(self, name):
        return self.kernel / f"usr/lib/linux-image-{self.version}" / name

    def has_module(self, name):
        return name.replace("-", "_") in self.depends

    def module_files(self, names):
        """Of modules by name, and all that they need, in the order in which to load them."""
        files = []
        for name in names:
            entry = self.depends.get(name.replace("-", "_"))
            if entry is None:
                continue              # built in, or not of this architecture
            files += [file for file in (*entry[1], entry[0]) if file not in files]
        return files

    def copy_modules(self, files, root):
        """Modules and the tables by which modprobe finds them."""
        target = root / "lib/modules" / self.version
        for file in files:
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.modules / file, target / file)
        for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            shutil.copy(self.modules / name, target / name)
        call("depmod", "-b", root, self.version)

    def libraries(self, program):
        """The shared libraries that a program needs, its loader among them, as paths in .root."""
        found, todo = [], [program]
        while todo:
            text = call("objdump", "-p", todo.pop())
            for line in text.splitlines():
                if "NEEDED" not in line:
                    continue
                name = line.split()[-1]
                path = next((folder / name for folder in
                             (self.root / "lib" / self.arch.triple, self.root / "lib")
                             if (folder / name).exists()), None)
                if path is None:
                    raise OSError(f"{program} needs {name}, which no package here has")
                if path not in found:
                    found.append(path)
                    todo.append(path)
        loader = next((self.root / "lib").glob("ld-linux-*"))
        return [*found, loader]


def initramfs(folder, out):
    """A folder as the kernel takes it."""
    names = "\n".join(sorted(str(path.relative_to(folder)) for path in folder.rglob("*")))
    with open(out, "wb") as file:
        with subprocess.Popen(["gzip", "-1"], stdin=subprocess.PIPE, stdout=file) as gzip:
            subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], input=names,
                           stdout=gzip.stdin, cwd=folder, text=True, check=True)
            gzip.stdin.close()
    return out


def early_root(debian, modules, init, folder):
    """The folder of an initramfs: busybox, modules and the script INIT; /modules lists what is to
    be loaded, in order."""
    for name in ("bin", "dev", "proc", "sys", "etc", "lib", "mnt", "tmp", "run"):
        (folder / name).mkdir(parents=True)
    shutil.copy(debian.root / "bin/busybox", folder / "bin/busybox")
    (folder / "bin/sh").symlink_to("busybox")
    files = debian.module_files(modules)
    for file in files:
        place = folder / "lib" / pathlib.Path(file).name
        shutil.copy(debian.modules / file, place)
    (folder / "modules").write_text("".join(f"/lib/{pathlib.Path(file).name}\n" for file in files))
    shutil.copy(init, folder / "init")
    (folder / "init").chmod(0o755)
    return folder

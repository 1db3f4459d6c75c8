#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What the Yocto layer says, held against the source that it builds.

usage: check_layer.py CHECK            one of the checks listed by --list
       check_layer.py CHECK --control  plant a mistake in a copy of the tree; it must be found
       check_layer.py bitbake          parse, dry-run and yocto-check-layer, in an initialised build
                                       folder (oe-init-build-env); without one it is not run: 77
"""
import fnmatch
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import types

import tree

LAYER = "platform/yocto/meta-runnel"
RECIPES = LAYER + "/recipes-iot/runnel"
IMAGE = LAYER + "/recipes-core/images/runnel-image.bb"
UNABLE = 77

# Where what a recipe needs comes from: the name of the collection, and of the folder that holds it.
FOLDERS = {"core": "meta", "openembedded-layer": "meta-oe", "networking-layer": "meta-networking",
           "meta-python": "meta-python"}
PROVIDED_BY = {
    "openembedded-layer": ("cjson", "cmocka", "libmodbus", "lmdb",
                           "python3-kconfiglib-native"),
    "networking-layer": ("libcoap", "mbedtls"),
    "meta-python": ("python3-kconfiglib-native",),
    "core": ("ca-certificates", "packagegroup-core-boot", "util-linux-unshare", "zlib"),
}
DIRECTORIES = {"bindir": "/usr/bin", "sysconfdir": "/etc", "nonarch_libdir": "/usr/lib",
               "systemd_system_unitdir": "/usr/lib/systemd/system", "localstatedir": "/var",
               "mandir": "/usr/share/man", "PN": "runnel"}
# What bitbake.conf and the classes package without being told.
PACKAGED = ("/usr/bin/*", "/etc/*", "/usr/share/man/*", "/usr/share/doc/*",
            "/usr/lib/systemd/system/*")

LAYER_VARIABLES = ("BBPATH", "BBFILES", "BBFILE_COLLECTIONS", "BBFILE_PATTERN_runnel",
                   "BBFILE_PRIORITY_runnel", "LAYERVERSION_runnel", "LAYERDEPENDS_runnel",
                   "LAYERSERIES_COMPAT_runnel")
RECIPE_VARIABLES = ("SUMMARY", "DESCRIPTION", "LICENSE", "LIC_FILES_CHKSUM", "DEPENDS", "SRC_URI",
                    "SRCREV", "SECTION", "PACKAGECONFIG", "EXTRA_OECMAKE", "SYSTEMD_SERVICE",
                    "USERADD_PACKAGES", "USERADD_PARAM", "CONFFILES", "FILES", "INITSCRIPT_NAME",
                    "INITSCRIPT_PARAMS", "PACKAGE_ARCH")
IMAGE_VARIABLES = ("SUMMARY", "LICENSE", "IMAGE_INSTALL", "WKS_FILE")
# Others that these recipes may set: their own, or the build system's.
MAY_BE_SET = re.compile(
    r"RUNNEL_[A-Z_]+|OECMAKE_GENERATOR|INHIBIT_UPDATERCD_BBCLASS|GROUPADD_PARAM|RRECOMMENDS|"
    r"RDEPENDS|IMAGE_(LINGUAS|FSTYPES)|QB_(DEFAULT_FSTYPE|FSINFO|KERNEL_ROOT|DRIVE_TYPE)|"
    r"ROOTFS_POSTPROCESS_COMMAND|WKS_SEARCH_PATH|EXTERNALSRC|do_\w+")

FUNCTION = re.compile(r"(?:fakeroot )?(?:python )?[\w:-]*\s*\(\) \{$")
ASSIGNMENT = re.compile(r"(?:export )?([A-Za-z_][\w-]*)((?::[\w${}-]+)*)(\[[\w-]+\])?\s*"
                        r"(\?\?=|\?=|:=|\+=|=\+|\.=|=\.|=)\s*[\"'](.*)[\"']$")


def lines_of(text):
    """(number, line) outside of functions and comments, continued lines joined."""
    pending, number, end = "", 0, None
    for current, line in enumerate(text.splitlines(), 1):
        if end is not None:
            if end(line):
                end = None
            if end is not None or line == "}":
                continue
        if FUNCTION.match(line):
            end = "}".__eq__
        elif re.match(r"def \w+\(", line):
            end = re.compile(r"\S").match
        elif pending or (line.strip() and not line.startswith("#")):
            number = number if pending else current
            pending += line.rstrip("\\") + (" " if line.endswith("\\") else "")
            if not line.endswith("\\"):
                yield number, pending.strip()
                pending = ""


class Recipe:
    """The assignments of one file of metadata."""

    def __init__(self, root, name):
        self.name = name
        self.values = {}              # (variable, overrides, flag) -> [what is assigned]
        self.faults = []
        for number, line in lines_of((root / name).read_text()):
            match = ASSIGNMENT.match(line)
            if match:
                variable, overrides, flag, _, value = match.groups()
                key = (variable, overrides, (flag or "").strip("[]"))
                self.values.setdefault(key, []).append(value)
            elif not re.match(r"(inherit|require|addtask|EXPORT_FUNCTIONS) \S", line):
                self.faults.append(f"{name}:{number}: is no statement: {line}")

    def variables(self):
        return {variable for variable, _, _ in self.values}

    def all(self, variable):
        """Everything that is ever assigned to it, under any override."""
        return " ".join(value for key, values in self.values.items() for value in values
                        if key[0] == variable and not key[2])

    def by_override(self, variable):
        return {overrides[1:]: values[-1] for (name, overrides, flag), values
                in self.values.items() if name == variable and not flag}


def names(root, *patterns):
    return [name for name in tree.files(root) if tree.glob(" ".join(patterns), name)]


def recipe_files(root):
    return names(root, LAYER + "/recipes-*/*/*.bb", LAYER + "/recipes-*/*/*.inc",
                 LAYER + "/recipes-*/*/*.bbappend")


def agent_file(root):
    return names(root, RECIPES + "/runnel_*.bb")[0]


class Agent(Recipe):
    """The agent's recipe, with what it requires."""

    def __init__(self, root):
        super().__init__(root, agent_file(root))
        self.values.update(Recipe(root, RECIPES + "/runnel-source.inc").values)


def expand(text):
    """${name} of the directories; what else stands in ${...} stays."""
    return re.sub(r"\$\{(\w+)\}", lambda match: DIRECTORIES.get(match[1], match[0]), text)


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, **options)


# ---- the checks: each takes a tree and returns faults, which begin with the file ----

def check_layer(root):
    name = LAYER + "/conf/layer.conf"
    conf = Recipe(root, name)
    faults = conf.faults + [f"{name}: {variable} is not set" for variable in LAYER_VARIABLES
                            if variable not in conf.variables()]
    faults += [f"{name}: {variable} is nothing that a layer.conf of ours sets"
               for variable in sorted(conf.variables() - set(LAYER_VARIABLES))]
    depends = conf.all("LAYERDEPENDS_runnel").split()
    faults += [f"{name}: LAYERDEPENDS: no layer is called {layer}"
               for layer in depends if layer not in FOLDERS]
    needed = " ".join(Recipe(root, recipe).all(variable) for recipe in recipe_files(root)
                      for variable in ("DEPENDS", "RDEPENDS", "RRECOMMENDS", "IMAGE_INSTALL"))
    for layer, provided in PROVIDED_BY.items():
        if layer not in depends and set(provided) & set(needed.split()):
            faults.append(f"{name}: LAYERDEPENDS lacks {layer}, which has {' '.join(provided)}")
    if conf.all("LAYERSERIES_COMPAT_runnel").split() != ["scarthgap", "wrynose"]:
        faults.append(f"{name}: LAYERSERIES_COMPAT is not what README.md and kas/ say")
    globs = conf.all("BBFILES").replace("${LAYERDIR}", LAYER)
    faults += [f"{name}: BBFILES does not find {recipe}" for recipe in recipe_files(root)
               if not recipe.endswith(".inc") and not tree.glob(globs, recipe)]
    return faults


def check_variables(root):
    """A misspelt variable is no fault to BitBake, so only known ones may be set."""
    known = set(RECIPE_VARIABLES) | set(IMAGE_VARIABLES)
    faults = []
    for name in recipe_files(root):
        recipe = Recipe(root, name)
        faults += recipe.faults
        faults += [f"{name}: {variable} is no variable that is known"
                   for variable in sorted(recipe.variables())
                   if variable not in known and not MAY_BE_SET.fullmatch(variable)]
    for recipe, needed in ((Agent(root), RECIPE_VARIABLES), (Recipe(root, IMAGE), IMAGE_VARIABLES)):
        faults += [f"{recipe.name}: {variable} is not set or empty" for variable in needed
                   if not recipe.all(variable).strip()]
    return faults


def check_traps(root):
    """What parses, but not on both releases, or what yocto-check-layer refuses."""
    traps = ((r"\$\{UNPACKDIR\}", "UNPACKDIR is unknown to scarthgap"),
             (r"\$\{WORKDIR\}/git\b", "wrynose refuses sources in WORKDIR/git"),
             (r"^S\s*=", "S is the default on both releases and may not be set"),
             (r"AUTOREV", "AUTOREV needs the network to parse"),
             (r"INSANE_SKIP", "what QA finds is to be mended"),
             (r"\[network\]", "no task but do_fetch may use the network"),
             (r"_(append|prepend|remove)\b\s*=", "the old syntax of overrides"),
             (r"^\s*[A-Z_]+:\w+:append", "append comes before the override"))
    faults = []
    for name in recipe_files(root):
        for number, line in enumerate((root / name).read_text().splitlines(), 1):
            faults += [f"{name}:{number}: {why}" for pattern, why in traps
                       if re.search(pattern, line) and not line.startswith("#")]
    return faults + [f"{name}: changes the recipe of another layer"
                     for name in recipe_files(root) if name.endswith(".bbappend")]


def check_source(root):
    """Licence, version and libraries are those of the source."""
    recipe = Agent(root)
    faults = []
    md5 = hashlib.md5((root / "LICENSE").read_bytes()).hexdigest()
    if recipe.by_override("LIC_FILES_CHKSUM").get("") != f"file://LICENSE;md5={md5}":
        faults.append(f"{recipe.name}: LIC_FILES_CHKSUM: the md5 of LICENSE is {md5}")
    if recipe.by_override("LICENSE").get("") != "Apache-2.0":
        faults.append(f"{recipe.name}: LICENSE is Apache-2.0")
    version = re.search(r"project\(runnel VERSION (\S+)", (root / "CMakeLists.txt").read_text())[1]
    if recipe.name != f"{RECIPES}/runnel_{version}.bb":
        faults.append(f"{recipe.name}: the version in CMakeLists.txt is {version}")
    libraries = (root / "platform/cmake/libraries.cmake").read_text()
    depends = recipe.all("DEPENDS").split()
    faults += [f"{recipe.name}: DEPENDS lacks {library}" for library
               in re.findall(r"^runnel_find_library\((\w+)", libraries, re.M)
               if library not in depends]
    provided = [item for items in PROVIDED_BY.values() for item in items]
    faults += [f"{recipe.name}: DEPENDS: no layer is known to have {item}"
               for item in depends if item not in provided]
    cmake = "".join((root / name).read_text() for name in tree.files(root, "CMakeLists.txt",
                                                                      ".cmake"))
    flags = " ".join(value for key, values in recipe.values.items() for value in values
                     if key[0] == "PACKAGECONFIG" and key[2])
    for option in re.findall(r"-D(\w+)=", recipe.all("EXTRA_OECMAKE") + " " + flags):
        if not re.search(rf"\b{option}\b", cmake):
            faults.append(f"{recipe.name}: {option} is nothing that CMake asks for")
    return faults


def boards_of(root):
    """override -> board"""
    return Agent(root).by_override("RUNNEL_MACHINE_BOARD")


def check_kconfig(root):
    """Every board resolves, alone and with each fragment; every driver has its flag."""
    recipe = Agent(root)
    faults = [f"{recipe.name}: there is no board {board}" for board in boards_of(root).values()
              if not (root / "boards" / board / "defconfig").exists()]
    kconfig = "".join((root / name).read_text() for name in tree.files(root, "Kconfig"))
    symbols = dict(re.findall(r"^(?:menu)?config (\w+)\n\s+(\w+)", kconfig, re.M))
    pairs = [pair.split(":") for variable in ("RUNNEL_DRIVERS", "RUNNEL_SERVICES")
             for pair in recipe.all(variable).split()]
    flags = {key[2] for key in recipe.values if key[0] == "PACKAGECONFIG" and key[2]}
    for flag, symbol in pairs:
        if symbol not in symbols:
            faults.append(f"{recipe.name}: {flag}: Kconfig has no {symbol}")
        if flag not in flags:
            faults.append(f"{recipe.name}: {flag} is no PACKAGECONFIG")
    faults += [f"{recipe.name}: no flag of PACKAGECONFIG is for {symbol}"
               for symbol, kind in symbols.items() if re.match(r"DRIVER_[A-Z0-9]+$", symbol)
               and kind == "bool" and symbol not in [symbol for _, symbol in pairs]]
    fragments = [name for name in names(root, LAYER + "/**") if name.endswith(".cfg")]
    with tempfile.TemporaryDirectory() as folder:
        for board in names(root, "boards/*/defconfig"):
            for chosen in [[], *([name] for name in fragments)]:
                result = run(sys.executable, "-B", "platform/cmake/kconfig.py", "merge", "Kconfig",
                             board, folder + "/merged", *chosen, cwd=root)
                if result.returncode != 0:
                    faults += result.stderr.splitlines()
    return faults


class Store:
    """As much of BitBake's d as the functions of the recipe ask for."""

    def __init__(self, values):
        self.values = values

    def getVar(self, name):           # pylint: disable=invalid-name
        return self.values.get(name)


def functions_of(root, name):
    """The def blocks of a file of metadata, run."""
    blocks = re.findall(r"^def .*?(?=^\S)", (root / name).read_text() + "\n.", re.M | re.S)
    found = {"os": os, "bb": types.SimpleNamespace(
        parse=types.SimpleNamespace(mark_dependency=lambda d, path: None))}
    for block in blocks:
        exec(compile(block, name, "exec"), found)  # pylint: disable=exec-used
    return found


def check_functions(root):
    """What PACKAGECONFIG becomes holds on every board; the commit is the one checked out."""
    recipe = Agent(root)
    source = RECIPES + "/runnel-source.inc"
    try:
        fragment_of = functions_of(root, recipe.name)["runnel_fragment"]
        of_source = functions_of(root, source)
        commit_of = of_source["runnel_commit"]
    except (SyntaxError, KeyError) as error:
        return [f"{getattr(error, 'filename', None) or recipe.name}: {error}"]
    variables = {name: recipe.all(name) for name in ("RUNNEL_DRIVERS", "RUNNEL_SERVICES")}
    flags = [pair.split(":")[0] for text in variables.values() for pair in text.split()]
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        fragment = pathlib.Path(folder) / "packageconfig.cfg"
        for board in names(root, "boards/*/defconfig"):
            for chosen in ("", " ".join(flags)):
                fragment.write_text(fragment_of(Store(variables | {"PACKAGECONFIG": chosen})))
                result = run(sys.executable, "-B", "platform/cmake/kconfig.py", "merge", "Kconfig",
                             board, folder + "/merged", fragment, cwd=root)
                if result.returncode != 0:
                    faults.append(f"{recipe.name}: PACKAGECONFIG '{chosen}': {result.stderr}")
        if set(commit_of(Store({"RUNNEL_TREE": folder}))) != {"0"}:
            faults.append(f"{source}: finds a commit where there is no repository")
        run("git", "init", "-q", folder)
        run("git", "-C", folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q",
            "--allow-empty", "-m", "a")
        head = run("git", "-C", folder, "rev-parse", "HEAD").stdout.strip()
        if commit_of(Store({"RUNNEL_TREE": folder})) != head:
            faults.append(f"{source}: does not find the commit that is checked out")
    return faults + [f"{source}: {why}" for why in faults_of_source(root, of_source)]


def faults_of_source(root, functions):
    """What is built where nothing is checked out: the folder, if it is the source."""
    none, some = "0" * 40, "1" * 40
    local = {"SRC_URI": "file://x.cfg", "SRCREV": none}
    tree_uri = f"git://{root};protocol=file"
    product = "git://host/path;protocol=https"
    faults = []
    for tree, uri, revision, expected in ((root, tree_uri, none, str(root)),
                                          (root, tree_uri, some, ""),
                                          (root, product, none, ""),
                                          (root / LAYER, f"git://{root}/{LAYER}", none, "")):
        store = Store({"RUNNEL_TREE": str(tree), "RUNNEL_GIT": uri, "SRCREV": revision,
                       "SRC_URI": uri})
        if functions["runnel_folder"](store) != expected:
            faults.append(f"takes another folder than '{expected}' for {uri} {revision}")
        if functions["runnel_lacks_commit"](store) != (revision == none):
            faults.append(f"is mistaken about the commit of {uri} {revision}")
    if functions["runnel_lacks_commit"](Store(local)):
        faults.append("refuses a folder with fragments")
    return faults


def without_json_comments(text):
    return re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', lambda match: match[1] or "", text,
                  flags=re.S)


def state_of(root, board):
    """Where the spool of a board lies, and the file that says so."""
    name = "agent/spool/Kconfig"
    path = re.search(r'config SPOOL_PATH\n.*?default "([^"]+)"', (root / name).read_text(), re.S)[1]
    for file, pattern in ((f"boards/{board}/defconfig", r'^CONFIG_SPOOL_PATH="(.*)"'),
                          (f"boards/{board}/runnel.json", r'"spool"\s*:\s*\{[^}]*?"path"\s*:\s*'
                                                          r'"([^"]+)"')):
        text = (root / file).read_text() if (root / file).exists() else ""
        found = re.findall(pattern, without_json_comments(text), re.M)
        if found:
            name, path = file, found[-1]
    return path, name


def partitions(root, name):
    """mount point -> the options of its partition"""
    return {match[1]: match[2] for match in
            re.finditer(r"^part\s+(/\S*)\s+(.*)$", (root / name).read_text(), re.M)}


def check_layout(root, name, override, board):
    found = partitions(root, name)
    faults = []
    if "--source rootfs" not in found.get("/", ""):
        faults.append(f"{name}: there is no root")
    state, said_by = state_of(root, board)
    made = Agent(root).by_override("RUNNEL_MACHINE_STATE")
    if expand(made.get(override, made.get(""))) != state:
        faults.append(f"{said_by}: the spool of {board} is {state}, the recipe makes another")
    above = [point for point in found if point != "/" and (state + "/").startswith(point + "/")]
    if not above:
        faults.append(f"{said_by}: the spool of {board}, {state}, has no partition in {name}")
    elif not re.search(r"--fstype=ext4\b.*--fixed-size \d+", found[above[0]]):
        faults.append(f"{name}: {above[0]} is no ext4 whose size is said")
    return faults


def check_search(root, image):
    """Scarthgap and wrynose look for layouts in folders of different names; so ours is named."""
    here = pathlib.PurePosixPath(IMAGE).parent
    folders = [os.path.normpath(path.replace("${THISDIR}", str(here))) for path
               in image.by_override("WKS_SEARCH_PATH").get("prepend", "").split(":")]
    folder = os.path.dirname(names(root, LAYER + "/**.wks")[0])
    return [] if folder in folders else [f"{IMAGE}: WKS_SEARCH_PATH lacks {folder}"]


def check_partitions(root):
    """Each layout has a root, and a file system of its own for the spool of its boards."""
    image = Recipe(root, IMAGE)
    boards = boards_of(root)
    faults, used = check_search(root, image), set()
    faults += [f"{IMAGE}: {variable}:{override} is for machines that have no layout here"
               for variable, override in ((key[0], key[1][1:]) for key in image.values)
               if re.match("QB_|IMAGE_FSTYPES", variable)
               and override not in image.by_override("WKS_FILE")]
    for override, wks in image.by_override("WKS_FILE").items():
        name = f"{LAYER}/wic/{wks}"
        used.add(name)
        if not (root / name).exists():
            faults.append(f"{IMAGE}: there is no wic/{wks}")
        elif override not in boards:
            faults.append(f"{IMAGE}: {override} has a layout, but no board")
        else:
            faults += check_layout(root, name, override, boards[override])
    return faults + [f"{name}: no machine of the image has it" for name
                     in names(root, LAYER + "/wic/*.wks") if name not in used]


def check_sensors(root):
    """Who makes an image for a board finds the kernel's drivers for its sensors in it."""
    image = Recipe(root, IMAGE)
    installed = image.by_override("IMAGE_INSTALL")
    return [f"{IMAGE}: IMAGE_INSTALL lacks kernel-modules for {machine}"
            for machine in image.by_override("WKS_FILE") if not machine.startswith("qemu")
            and "kernel-modules" not in installed.get("append:" + machine, "").split()]


def matches(machine, override):
    """Whether the machine has the override; those of a Raspberry Pi have a common one."""
    return machine == override or (override == "rpi" and machine.startswith("raspberrypi"))


def check_kas_file(root, name, content):
    faults = []
    if not isinstance(content, dict) or "version" not in content.get("header", {}):
        return [f"{name}: has no header with a version"]
    for other in content["header"].get("includes", []):
        if not (root / other).exists():      # kas looks from the top of the repository
            faults.append(f"{name}: includes {other}, which is not there")
    known = {"header", "distro", "target", "machine", "repos", "defaults", "local_conf_header"}
    faults += [f"{name}: {key} is nothing that kas knows" for key in sorted(set(content) - known)]
    for repo, what in (content.get("repos") or {}).items():
        if repo != "runnel" and not str(what.get("url", "")).startswith("https://"):
            faults.append(f"{name}: {repo} has no address")
        for layer in what.get("layers", {}) if repo == "runnel" else ():
            if not (root / layer / "conf/layer.conf").exists():
                faults.append(f"{name}: {layer} is no layer")
    machine = content.get("machine")
    if machine:
        faults += [f"{name}: {machine} has no {what}" for what, overrides in
                   (("board", boards_of(root)),
                    ("layout", Recipe(root, IMAGE).by_override("WKS_FILE")))
                   if not any(matches(machine, override) for override in overrides if override)]
    target = content.get("target")
    if target and not names(root, f"{LAYER}/recipes-*/*/{target}.bb"):
        faults.append(f"{name}: no recipe makes {target}")
    return faults


def check_kas(root):
    import yaml                       # not needed to list the checks
    faults, files = [], {}
    for name in names(root, LAYER + "/kas/*.yml"):
        try:
            files[pathlib.Path(name).stem] = content = yaml.safe_load((root / name).read_text())
        except yaml.YAMLError as error:
            faults.append(f"{name}: {str(error).splitlines()[0]}")
            continue
        faults += check_kas_file(root, name, content)
    conf = Recipe(root, LAYER + "/conf/layer.conf")
    needed = {FOLDERS[layer] for layer in conf.all("LAYERDEPENDS_runnel").split()
              if layer in FOLDERS}
    for series in conf.all("LAYERSERIES_COMPAT_runnel").split():
        name = f"{LAYER}/kas/{series}.yml"
        if series not in files:
            faults.append(f"{name}: is not there")
            continue
        layers = {layer for content in (files[series], files.get("base", {}))
                  for repo in (content.get("repos") or {}).values()
                  for layer in repo.get("layers", {})}
        faults += [f"{name}: nothing brings {layer}" for layer in sorted(needed - layers)]
    return faults


def check_pages(root):
    """What yocto-check-layer wants to read."""
    faults = []
    readme = (root / LAYER / "README.md").read_text()
    for word in ("maintainer", "patch", r"[\w.-]+@[\w.-]+"):
        if not re.search(word, readme, re.I):
            faults.append(f"{LAYER}/README.md: has no {word}")
    if not (root / LAYER / "SECURITY.md").read_text().strip():
        faults.append(f"{LAYER}/SECURITY.md: is empty")
    shown = set(re.findall(r"`(?:kas/)?([\w-]+\.(?:yml|cfg))`", readme))
    there = {pathlib.Path(name).name for name in names(root, LAYER + "/**")} | {"site.cfg"}
    return faults + [f"{LAYER}/README.md: names {name}, which is not there"
                     for name in sorted(shown - there)]


def install(root, folder, recipe):
    """What `cmake --install` puts where, with the options of the recipe; the program is empty."""
    build, stage = pathlib.Path(folder) / "build", pathlib.Path(folder) / "stage"
    fragment = pathlib.Path(folder) / "services.cfg"
    fragment.write_text("".join(f"CONFIG_{pair.split(':')[1]}=y\n"
                                for pair in recipe.all("RUNNEL_SERVICES").split()))
    options = [expand(option) for option in re.findall(r"-DRUNNEL_\w+_DIR=\S+",
                                                       recipe.all("EXTRA_OECMAKE"))]
    merged = pathlib.Path(folder) / "defconfig"
    result = run(sys.executable, "-B", "platform/cmake/kconfig.py", "merge", "Kconfig",
                 "boards/host/defconfig", merged, fragment, cwd=root)
    for command in (("cmake", "-S", root, "-B", build, "-DRUNNEL_TESTS=OFF",
                     "-DCMAKE_INSTALL_PREFIX=/usr", "-DCMAKE_SKIP_RPATH=ON",
                     f"-DRUNNEL_DEFCONFIG={merged}", *options),
                    ("touch", build / "runnel"),
                    ("env", f"DESTDIR={stage}", "cmake", "--install", build)):
        if result.returncode == 0:
            result = run(*command)
    if result.returncode != 0:
        sys.exit(result.stdout + result.stderr)
    return ["/" + str(path.relative_to(stage)) for path in stage.rglob("*") if not path.is_dir()]


def check_installed(root):
    """Every file that the recipe names is installed, and every file that is installed is named."""
    recipe = Agent(root)
    with tempfile.TemporaryDirectory() as folder:
        there = install(root, folder, recipe)
    files = expand(recipe.all("FILES")).split()
    named = files + expand(recipe.all("CONFFILES")).split()
    named += [DIRECTORIES["systemd_system_unitdir"] + "/" + name for name
              in re.findall(r"[\w-]+\.service", recipe.all("SYSTEMD_SERVICE"))]
    named += ["/etc/init.d/" + name for name in recipe.all("INITSCRIPT_NAME").split()]
    faults = [f"{recipe.name}: {name} is not installed" for name in named
              if not fnmatch.filter(there, name)]
    return faults + [f"{recipe.name}: {name} is installed, but in no package" for name in there
                     if not any(fnmatch.fnmatch(name, pattern) for pattern in (*PACKAGED, *files))]


# check -> (function, mistakes that it must find: what is added to which file, and what it says)
AGENT = agent_file(tree.ROOT)
KAS = LAYER + "/kas"
CHECKS = {
    "layer": (check_layer, (
        (LAYER + "/conf/layer.conf", 'LAYERDEPENDS_runnel += "networking"\n', "called networking"),
        (LAYER + "/conf/layer.conf", 'LAYERDEPENS_runnel = "core"\n', "LAYERDEPENS_runnel"),
        (LAYER + "/conf/layer.conf", 'BBPATH = ${LAYERDIR}\n', "no statement"),
        (LAYER + "/conf/layer.conf", 'LAYERSERIES_COMPAT_runnel += "kirkstone"\n', "COMPAT"))),
    "variables": (check_variables, (
        (AGENT, 'RDEPEND:${PN} = "x"\n', "RDEPEND is no variable"),
        (AGENT, 'CONFILES:${PN} = "/etc/x"\n', "CONFILES is no variable"),
        (IMAGE, 'WKS_FILES = "x.wks"\n', "WKS_FILES is no variable"))),
    "traps": (check_traps, (
        (AGENT, 'do_x() {\n\tcp ${UNPACKDIR}/x .\n}\n', "scarthgap"),
        (AGENT, 'S = "${WORKDIR}/git"\n', "wrynose"),
        (AGENT, 'INSANE_SKIP:${PN} = "ldflags"\n', "mended"),
        (LAYER + "/recipes-x/libcoap/libcoap_%.bbappend", 'PACKAGECONFIG = "mbedtls"\n',
         "another layer"))),
    "source": (check_source, (
        (AGENT, 'LIC_FILES_CHKSUM = "file://LICENSE;md5=0"\n', "LIC_FILES_CHKSUM"),
        (AGENT, 'EXTRA_OECMAKE += "-DRUNNEL_UNITDIR=/x"\n', "RUNNEL_UNITDIR"),
        (AGENT, 'DEPENDS += "no-such-library"\n', "no-such-library"))),
    "kconfig": (check_kconfig, (
        (RECIPES + "/runnel/kinesis-only.cfg", "CONFIG_NO_SUCH_SYMBOL=y\n", "NO_SUCH_SYMBOL"),
        ("boards/host/defconfig", "CONFIG_NO_SUCH_SYMBOL=y\n", "NO_SUCH_SYMBOL"),
        (AGENT, 'RUNNEL_MACHINE_BOARD:qemux86 = "no-such-board"\n', "no-such-board"),
        (AGENT, 'RUNNEL_DRIVERS += "nose:DRIVER_NOSE"\n', "DRIVER_NOSE"))),
    "functions": (check_functions, (
        (AGENT, "def planted(d):\n    return (\n", "never closed"),
        (AGENT, 'RUNNEL_SERVICES += "nose:SERVICE_NOSE"\n', "SERVICE_NOSE"),
        (RECIPES + "/runnel-source.inc", "def runnel_commit(d):\n    return '1' * 40\n",
         "no repository"),
        (RECIPES + "/runnel-source.inc", "def runnel_folder(d):\n    return ''\n",
         "another folder"),
        (RECIPES + "/runnel-source.inc",
         "def runnel_lacks_commit(d):\n    return set(d.getVar('SRCREV')) == {'0'}\n",
         "fragments"))),
    "partitions": (check_partitions, (
        (IMAGE, 'WKS_FILE:qemuarm = "no-such.wks"\n', "no-such.wks"),
        (IMAGE, 'WKS_SEARCH_PATH:prepend = "${THISDIR}/wic:"\n', "WKS_SEARCH_PATH"),
        (IMAGE, 'QB_DEFAULT_FSTYPE:qemuall = "wic"\n', "qemuall"),
        (LAYER + "/wic/planted.wks", "part / --source rootfs\n", "no machine"),
        (LAYER + "/wic/runnel-qemu.wks", "part / --ondisk vda\n", "no root"),
        (LAYER + "/wic/runnel-qemu.wks", "part /data --fstype=vfat\n", "no ext4"),
        ("boards/beaglebone/defconfig", 'CONFIG_SPOOL_PATH="/elsewhere"\n', "no partition"))),
    "sensors": (check_sensors, (
        (IMAGE, 'IMAGE_INSTALL:append:rpi = " udev-rules-rpi"\n', "modules for rpi"),)),
    "kas": (check_kas, (
        (KAS + "/planted.yml", "header: {version: 14\n", "while parsing"),
        (KAS + "/planted.yml", "header: {version: 14}\nmachine: qemumips\n", "qemumips"),
        (KAS + "/planted.yml", "header: {version: 14}\ntarget: runnel-imago\n", "runnel-imago"),
        (KAS + "/planted.yml", "header: {version: 14}\nrepos: {x: {layers: {}}}\n", "address"),
        (KAS + "/planted.yml", "header: {version: 14, includes: [base.yml]}\n", "base.yml"),
        (KAS + "/qemuarm.yml", "machin: qemuarm\n", "machin "))),
    "pages": (check_pages, (
        (LAYER + "/README.md", "See `kas/no-such.yml`.\n", "no-such.yml"),)),
    "installed": (check_installed, (
        (AGENT, 'CONFFILES:${PN} += "${sysconfdir}/runnel/runel.json"\n', "runel.json"),
        (AGENT, 'SYSTEMD_SERVICE:${PN} = "runel.service"\n', "runel.service"))),
}


def run_bitbake():
    """In the build folder that the shell is set up for, which stays as it was."""
    if not os.environ.get("BUILDDIR") or not shutil.which("yocto-check-layer"):
        print("NOT RUN: BitBake and openembedded-core are not set up here (oe-init-build-env)")
        sys.exit(UNABLE)
    layer = tree.ROOT / LAYER

    def call(*command):
        print(*command, flush=True)
        if subprocess.run(command, cwd=os.environ["BUILDDIR"], check=False).returncode != 0:
            sys.exit(f"failed: {command[0]}")

    layers = run("bitbake-getvar", "--value", "BBLAYERS", cwd=os.environ["BUILDDIR"]).stdout
    call("yocto-check-layer", "--dependency", *layers.split(), "--", layer)
    call("bitbake-layers", "add-layer", layer)
    try:
        call("bitbake", "-p")
        call("bitbake", "-n", "runnel", "runnel-image")
    finally:
        call("bitbake-layers", "remove-layer", layer)


if __name__ == "__main__":
    if sys.argv[1:] == ["bitbake"]:
        run_bitbake()
    else:
        tree.main(CHECKS, __doc__)

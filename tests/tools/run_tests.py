#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Builds and runs the tests; called by tests/run.

usage: tests/run [LABEL...]      without a label: all but the long ones
       tests/run --list

Before the end stands what each suite took to build and to run.
The last line is `N passed, N failed`, with `, N skipped` where a test said that it cannot run here.
The exit code is 0 only if something ran and nothing failed. A build counts as a test: warnings are
errors.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree

CPUS = len(os.sched_getaffinity(0))
WAITING = 2                           # of the tests at a time: so many wait more than they work


class Suite:
    """The tests that one label of tests/run stands for."""

    def __init__(self, label, about, folder="host", options=(), target="all", tests=None,
                 packages=(), before=None, is_long=False):
        self.label = label
        self.about = about
        self.folder = folder          # below build/
        self.options = options        # for cmake
        self.target = target          # None: the tests need nothing built
        self.tests = tests or label   # labels in ctest, separated by |
        self.packages = packages      # groups of install.sh
        self.before = before          # a command that prepares the build
        self.is_long = is_long


EVERY_TEST = "unit|fuzz|fault|e2e"
SYSROOT = "tests/tools/sysroot.sh"
MBEDTLS3 = pathlib.Path(os.environ.get("RUNNEL_TEST_CACHE") or
                        pathlib.Path(__file__).resolve().parents[2] / "build/cache") / "mbedtls3"
QEMU = ("armhf", "arm64", "image", "qemu")
EVERYTHING = "-DRUNNEL_DEFCONFIG=boards/host/defconfig"  # the boards of QEMU leave something out
UNABLE = 77                           # of what prepares a build: it cannot be done here

# Fast ones first.
SUITES = (
    Suite("tools", "style, include rules, the build itself", target=None, packages=("checks",)),
    Suite("unit", "one program per module"),
    Suite("program", "what was built: its reference, its hardening, what it consists of"),
    Suite("fuzz", "recorded inputs through every parser of foreign bytes"),
    Suite("aws", "the far side: the template and its functions", target="runnel",
          packages=("aws", "velocity", "node")),
    Suite("cloud", "the far side on loopback, alone and behind the agent",
          packages=("cloud", "node")),
    Suite("clang", "unit tests, built by the second compiler", "clang",
          ("-DCMAKE_C_COMPILER=clang",), tests="unit|fuzz", packages=("clang",)),
    Suite("armhf", "unit tests on 32-bit ARM, emulated", "armhf",
          ("-DBOARD=qemu-armv7", EVERYTHING), "unit", "unit|fuzz", ("armhf",), (SYSROOT, "armhf")),
    Suite("arm64", "unit tests on 64-bit ARM, emulated", "arm64",
          ("-DBOARD=qemu-aarch64", EVERYTHING), "unit", "unit|fuzz", ("arm64",),
          (SYSROOT, "arm64")),
    Suite("asan", "all of these under AddressSanitizer and UBSan", "asan",
          ("-DRUNNEL_SANITIZE=address,undefined",), tests=EVERY_TEST,
          packages=("e2e", "node", "network")),
    Suite("tsan", "those with threads under ThreadSanitizer", "tsan",
          ("-DRUNNEL_SANITIZE=thread",), tests="unit|fault|e2e", packages=("e2e", "node")),
    Suite("mbedtls3", "what meets mbedTLS, against 3.6 from Debian's source", "mbedtls3",
          (f"-DCMAKE_PREFIX_PATH={MBEDTLS3}",), "mbedtls", "mbedtls",
          ("e2e", "network"),
          ("tests/tools/mbedtls3.sh",)),
    Suite("boards", "every board's defconfig builds and installs", target=None,
          packages=("armhf", "arm64"), before=(SYSROOT, "armhf", "arm64")),
    Suite("packages", "Debian's package, the unit of systemd, the init script (needs root)",
          packages=("packages",)),
    Suite("packages-full", "Debian's packages for other architectures, emulated (needs root)",
          packages=("packages", "armhf", "arm64"), is_long=True),
    Suite("fault", "killed, cut off, full and broken", packages=("network",)),
    Suite("e2e", "the program against the sink and independent clients", packages=("e2e", "node")),
    Suite("qemu", "gateways that QEMU plays: first boot, power cuts, 64 MB, a watchdog",
          target="runnel-sink", packages=QEMU, before=("tests/qemu/run", "--prepare")),
    Suite("e2e-full", "the same at full length", packages=("e2e", "node"), is_long=True),
    Suite("sweep", "random lives of a spool, many; a fleet that is enrolled", packages=("aws",),
          is_long=True),
    Suite("fuzz-long", "ten million inputs for every parser, under sanitizers", "fuzz",
          ("-DCMAKE_C_COMPILER=clang", "-DRUNNEL_FUZZ=ON", "-DRUNNEL_SANITIZE=address,undefined"),
          "fuzzers", packages=("clang",), is_long=True),
    Suite("fault-full", "power cuts at full length", is_long=True),
    Suite("qemu-full", "the same at full length, updates, UBIFS and F2FS", target="runnel-sink",
          packages=QEMU, before=("tests/qemu/run", "--prepare"), is_long=True),
    Suite("bench", "what it costs: CPU, memory, flash, bytes on the wire, program size",
          packages=("bench", "armhf"), is_long=True),
    Suite("readme-full", "what the pages have somebody type, in a fresh Debian (needs root)",
          target=None, packages=("chroot",), is_long=True),
    Suite("fresh", "tests/run in a fresh Debian (needs root)", target=None, packages=("chroot",),
          is_long=True),
)
ALIASES = {"ubsan": "asan"}

RESULT = re.compile(r"\s*\d+/\d+ Test +#\d+: (\S+) \.*\s*(.*?)\s+([\d.]+) sec\s*$")
# What ctest says about its own work.
CHATTER = re.compile(r"\s*(Start +\d+: |Test project |UpdateCTestConfiguration|Label Time Summary|"
                     r"Total Test time|The following tests |Errors while running|Output from these|"
                     r"Use \"--rerun|\d+% tests passed|No tests were found|"
                     r"\S+ += +[\d.]+ sec\*proc|\d+ - \S+ \(|\d+/\d+ Test|Internal ctest |"
                     r"Could not find executable|Looked in the following|/?[^ :]+/test_\w+$)")
# Ninja's progress and the compiler's command lines; what they complain about stays.
BUILD_CHATTER = re.compile(r"\[\d+/\d+\] |-- |(ccache )?\S*/(cc|gcc|clang|[\w-]+-gcc) |"
                           r"ninja: Entering")


def environment():
    """The tests' own: nothing of this user's cloud, proxies or language reaches them."""
    env = {name: value for name, value in os.environ.items()
           if not re.match(r"(?i)(AWS_|RUNNEL_|.*_proxy$|LC_|LANG)", name)}
    env.update(LC_ALL="C.UTF-8", PYTHONDONTWRITEBYTECODE="1",
               ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1",
               UBSAN_OPTIONS="print_stacktrace=1",
               TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1")
    return env


def fixed_addresses():
    """ThreadSanitizer of gcc 12 fails on kernels that spread addresses more than it expects."""
    command = ["setarch", "-R"]
    try:
        works = subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        works = False
    return command if works else []


def forget_if_moved(root, folder):
    """CMake refuses a build folder that was copied or moved along with its source."""
    cache = folder / "CMakeCache.txt"
    if cache.exists() and f"CMAKE_HOME_DIRECTORY:INTERNAL={root}\n" not in cache.read_text():
        shutil.rmtree(folder)


class Runner:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.failures = []
        self.times = []               # (label, seconds to build, seconds to run)
        self.built = {}
        self.ran = {}                 # labels of ctest by folder: no test runs twice
        self.ccache = any((pathlib.Path(folder) / "ccache").exists()
                          for folder in os.get_exec_path())

    def line(self, verdict, name, seconds, why=""):
        print(f"{verdict:<5} {name:<44} {seconds:8.2f} s{'  ' + why if why else ''}", flush=True)

    def count(self, verdict, name):
        self.counts[verdict] += 1
        if verdict == "failed":
            self.failures.append(name)

    def step(self, name, command):
        """Runs a command as a test; what it said is shown when it fails. Code 77: skipped."""
        started = time.monotonic()
        result = subprocess.run(command, cwd=self.root, env=environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                errors="replace", check=False)
        is_good = result.returncode == 0
        seconds = time.monotonic() - started
        if result.returncode == UNABLE:
            lines = result.stdout.strip().splitlines()
            self.line("skip", name, seconds, lines[-1] if lines else "")
            self.count("skipped", name)
            return False
        self.line("ok" if is_good else "FAIL", name, seconds)
        if not is_good:
            for text in result.stdout.splitlines():
                if not BUILD_CHATTER.match(text):
                    print("      | " + text)
        self.count("passed" if is_good else "failed", name)
        return is_good

    def build(self, suite):
        """Configures and builds once per folder and target; True if tests can be run."""
        folder = self.root / "build" / suite.folder
        if suite.folder not in self.built:
            if suite.before and not self.step(f"{suite.label}/prepare", suite.before):
                return False
            launcher = ["-DCMAKE_C_COMPILER_LAUNCHER=ccache"] if self.ccache else []
            self.built[suite.folder] = set()
            forget_if_moved(self.root, folder)
            if not self.step(f"{suite.folder}/configure",
                             ["cmake", "-G", "Ninja", "-S", ".", "-B", folder, *launcher,
                              *suite.options]):
                self.built[suite.folder] = None
        elif suite.before:
            self.step(f"{suite.label}/prepare", suite.before)
        done = self.built[suite.folder]
        if done is None:
            return False
        if suite.target and suite.target not in done:
            done.add(suite.target)
            # What can be built is built and tested, also when something else cannot.
            self.step(f"{suite.folder}/build",
                      ["ninja", "-C", folder, f"-j{CPUS}", "-k0", suite.target])
        return True

    def show(self, suite, output):
        """Passes on ctest's output, one line per test; failures are followed by their log."""
        for text in output:
            text = text.rstrip("\n")
            match = RESULT.match(text)
            if match:
                name, verdict, seconds = match.groups()
                word = {"Passed": "ok", "***Skipped": "skip"}.get(verdict, "FAIL")
                why = "" if verdict in ("Passed", "***Skipped", "***Failed") else verdict.strip("*")
                self.line(word, self.name(suite, name), float(seconds), why)
            elif text.strip() and not CHATTER.match(text):
                print("      | " + text, flush=True)

    def name(self, suite, test):
        return test if suite.folder == "host" else f"{suite.label}: {test}"

    def tally(self, suite, path):
        """Counts what ctest wrote down. A test whose program is missing has failed."""
        count = 0
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            count += 1
            skipped = case.find("skipped")
            reason = skipped.get("message", "") if skipped is not None else ""
            if case.get("status") == "run":
                verdict = "passed"
            elif reason.startswith("SKIP_") or case.get("status") == "disabled":
                verdict = "skipped"
            else:
                verdict = "failed"
            self.count(verdict, self.name(suite, case.get("name")))
        return count

    def run(self, suite):
        print(f"\n== {suite.label}: {suite.about}", flush=True)
        started = time.monotonic()
        is_built = self.build(suite)
        built = time.monotonic()
        if is_built:
            self.test(suite)
        self.times.append((suite.label, built - started, time.monotonic() - built))

    def test(self, suite):
        folder = self.root / "build" / suite.folder
        path = folder / f"tests-{suite.label}.xml"
        path.unlink(missing_ok=True)
        prefix = fixed_addresses() if suite.label == "tsan" else []
        ran = self.ran.setdefault(suite.folder, [])
        without = ["-LE", f"^({'|'.join(ran)})$"] if ran else []
        ran.append(suite.tests)
        command = [*prefix, "ctest", "--test-dir", folder, "-L", f"^({suite.tests})$", *without,
                   f"-j{CPUS + WAITING}", "--output-on-failure", "--test-output-size-failed",
                   "60000", "--output-junit", path]
        with subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace") as ctest:
            self.show(suite, ctest.stdout)
        if not path.exists():
            self.line("FAIL", f"{suite.label}/ctest", 0, f"ctest ended with {ctest.returncode}")
            self.count("failed", f"{suite.label}/ctest")
        elif self.tally(suite, path) == 0:
            self.line("skip", suite.label, 0, "no test has this label")
            self.count("skipped", suite.label)

    def show_times(self):
        print("\nSeconds       build      run")
        for label, build_s, run_s in self.times:
            print(f"{label:<10} {build_s:8.1f} {run_s:8.1f}")
        minutes, seconds = divmod(int(sum(build + run for _, build, run in self.times)), 60)
        print(f"{minutes} min {seconds} s in all", flush=True)

    def finish(self):
        """Prints the summary; the exit code."""
        self.show_times()
        if self.failures:
            print("\nFailed:")
            for name in self.failures:
                print(f"  {name}")
        text = f"{self.counts['passed']} passed, {self.counts['failed']} failed"
        if self.counts["skipped"]:
            text += f", {self.counts['skipped']} skipped"
        print(f"\n{text}", flush=True)
        return 0 if self.counts["passed"] and not self.counts["failed"] else 1


def choose(labels):
    """The suites that LABELS name, in our order."""
    wanted = {ALIASES.get(label, label) for label in labels}
    unknown = wanted - {suite.label for suite in SUITES}
    if unknown:
        sys.exit(f"tests/run: no label {', '.join(sorted(unknown))}; tests/run --list shows them")
    if wanted:
        return [suite for suite in SUITES if suite.label in wanted]
    return [suite for suite in SUITES if not suite.is_long]


def show_labels():
    for suite in SUITES:
        print(f"{suite.label:<10} {suite.about}{' (only when asked for)' if suite.is_long else ''}")
    for alias, label in ALIASES.items():
        print(f"{alias:<10} is part of {label}")


def main(labels):
    if labels == ["--list"]:
        return show_labels()
    if any(label.startswith("-") for label in labels):
        print(__doc__)
        return 0 if labels in (["-h"], ["--help"]) else 2
    suites = choose(labels)
    root = pathlib.Path(__file__).resolve().parents[2]
    packages = dict.fromkeys(["build"] + [group for suite in suites for group in suite.packages])
    if subprocess.run([root / "tests/tools/install.sh", *packages], check=False).returncode != 0:
        return 1
    runner = Runner(root)
    for suite in suites:
        runner.run(suite)
    return runner.finish()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

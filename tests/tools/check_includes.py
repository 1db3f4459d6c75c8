#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Includes point one way; this proves it from the #include lines.

usage: check_includes.py [--control]

--control plants one violation of each rule in a copy of the tree; each must be found.

Patterns: * stays inside one folder, ** does not; {own} is the folder of the including file.
"""
import functools
import re
import sys

import tree

PLATFORM = "platform/*.h platform/base/* platform/json/*"
DRIVERS = "drivers/driver.h drivers/sample.h"
LIBRARIES = "agent/aws/* agent/http/* agent/control/*"
STAGES = "agent/intake/* agent/transform/* agent/spool/* agent/batch/* agent/uplink/**"

# agent -> drivers/{driver,sample}.h -> platform -> platform/base -> libc. The first row that
# matches a file says what of this project it may include.
MAY_INCLUDE = (
    ("platform/base/*", "platform/base/*"),
    ("platform/json/*", "platform/base/* platform/json/*"),
    ("platform/*.h", "platform/base/* platform/*.h"),
    ("platform/**", "platform/base/* platform/*.h {own}/*"),
    ("drivers/**", f"{PLATFORM} drivers/*.h drivers/*.def drivers/bus/* "
     "drivers/format/* {own}/*"),
    # Libraries below the stages: they include no stage.
    ("agent/http/*", f"{PLATFORM} agent/http/*"),
    ("agent/aws/*", f"{PLATFORM} agent/http/* agent/aws/*"),
    ("agent/control/*", f"{PLATFORM} {DRIVERS} agent/control/*"),
    # The stages in the order in which data flows: each includes what comes before it. Intake hands
    # its samples to the spool and so sees the spool's face, and the spool does not look back.
    ("agent/intake/*", f"{PLATFORM} {DRIVERS} {LIBRARIES} agent/intake/* agent/spool/spool.h"),
    ("agent/transform/*", f"{PLATFORM} {DRIVERS} {LIBRARIES} agent/intake/* agent/transform/*"),
    ("agent/spool/*", f"{PLATFORM} {DRIVERS} {LIBRARIES} agent/spool/*"),
    ("agent/batch/*", f"{PLATFORM} {DRIVERS} {LIBRARIES} agent/spool/* agent/batch/*"),
    ("agent/uplink/**",
     f"{PLATFORM} {DRIVERS} {LIBRARIES} agent/spool/* agent/batch/* agent/uplink/**"),
    # The commands talk to a running agent or start one; agent.c and its parts know the stages.
    ("agent/cli/*", f"{PLATFORM} {DRIVERS} agent/control/* agent/cli/* agent/agent.h"),
    ("agent/main.c", f"{PLATFORM} agent/cli/*"),
    ("agent/agent.h", "agent/control/config.h agent/control/control_client.h"),
    ("agent/agent.c agent/agent_*", f"{PLATFORM} {DRIVERS} {LIBRARIES} agent/agent* {STAGES}"),
    # The sink judges what the agent sends, so it shares no signing and no rendering with it.
    ("tests/sink/*", f"{PLATFORM} tests/sink/*"),
    ("tests/**", "**"),
)

# The commands load the configuration and judge it, agent.c hands each stage its part.
ONLY_FROM = (
    ("agent/control/config.h", "agent/agent* agent/control/* agent/cli/* tests/**"),
)

# One foreign library, one door; the tests' other end of the line has its own.
DOORS = (
    ("lmdb.h", "agent/spool/*"),
    ("coap3/**", "agent/intake/coap_door* tests/unit/coap_node.c"),
    ("cjson/** cJSON.h", "platform/json/json_read.c tests/sink/*"),
    ("mbedtls/** psa/**", "platform/mbedtls/* tests/sink/* tests/unit/fake_tls.c "
     "tests/unit/test_tls_trust.c tests/bench/floor.c"),
    ("zlib.h", "platform/zlib/* tests/unit/test_gzip.c tests/unit/test_batch_pack.c"),
    ("modbus/**", "drivers/modbus/modbus_bus.c"),
    ("cmocka.h", "tests/unit/unit.h"),
)

LIBC = """
    assert.h complex.h ctype.h errno.h fenv.h float.h inttypes.h iso646.h limits.h locale.h math.h
    setjmp.h signal.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h
    stdnoreturn.h string.h strings.h tgmath.h time.h uchar.h wchar.h wctype.h
    dirent.h dlfcn.h endian.h fcntl.h fnmatch.h ftw.h getopt.h glob.h grp.h ifaddrs.h libgen.h
    malloc.h mntent.h netdb.h poll.h pthread.h pwd.h regex.h resolv.h sched.h semaphore.h spawn.h
    syslog.h termios.h ucontext.h unistd.h
    arpa/** asm/** linux/** net/** netinet/** sys/**
"""

# Pure files take bytes in and give bytes out. Neither they nor anything that they include reaches a
# clock, socket, file, thread or foreign library; hashing comes in as platform/hash.h.
PURE = """
    platform/base/base64.* platform/base/bytes.* platform/base/crc32c.* platform/base/error.*
    platform/base/decimal.* platform/base/utf8.*
    platform/base/parse.* platform/base/pem.* platform/base/ini.* platform/base/url.*
    platform/base/writer.*
    platform/json/json_write.* platform/json/json_scan.* platform/json/cbor_scan.*
    drivers/modbus/modbus_plan.* drivers/modbus/modbus_decode.*
    drivers/format/csv.* drivers/format/field.* drivers/format/keyvalue.* drivers/format/nmea.*
    agent/aws/sigv4.* agent/aws/credentials_reply.* agent/aws/xml_scan.*
    agent/http/http_write.* agent/http/http_parse.* agent/http/http_connect.*
    agent/intake/transform.h agent/transform/*
    agent/intake/payload.* agent/intake/senml.* agent/intake/validate.*
    agent/spool/lane.* agent/spool/record.* agent/spool/block.* agent/spool/cursor.*
    agent/spool/gap.* agent/spool/order.* agent/spool/scan.* agent/spool/seal.* agent/spool/verify.*
    agent/spool/timeline.*
    agent/batch/render_*.* agent/batch/partition.* agent/batch/aggregate.*
    agent/uplink/verdict.* agent/uplink/server_clock.* agent/uplink/backoff.* agent/uplink/pace.*
    agent/uplink/bisect.* agent/uplink/fit.*
    agent/uplink/dest/kinesis.* agent/uplink/dest/firehose.* agent/uplink/dest/apigateway.*
    agent/uplink/dest/s3.* agent/uplink/dest/xml_error.*
"""
PURE_LIBC = """
    assert.h ctype.h errno.h float.h inttypes.h limits.h math.h stdalign.h stdarg.h stdbool.h
    stddef.h stdint.h stdio.h stdlib.h string.h strings.h
"""
IMPURE = "platform/*.h platform/base/log.h platform/json/json_read.h"
PURE_PLATFORM = "platform/hash.h"
# stdio.h and stdlib.h give snprintf and qsort, and these.
PURE_WORDS = re.compile(
    r"\b(FILE\b|stdin\b|stdout\b|stderr\b|(?:v?f?printf|v?dprintf|f?put[cs]|putchar|f?open|fread|"
    r"fwrite|perror|getenv|secure_getenv|system|s?rand|random|_?exit|abort)(?= *\())")

INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]*)"|<([^>]*)>|(\S.*))')


@functools.lru_cache(maxsize=None)
def includes_in(text):
    """The (line, project include, foreign include) of a file's TEXT."""
    return [(number, match.group(1), match.group(2))
            for number, line in enumerate(text.splitlines(), 1) if (match := INCLUDE.match(line))]


def includes_of(root, name, cache):
    """Likewise of the file NAME."""
    if name not in cache:
        cache[name] = includes_in((root / name).read_text())
    return cache[name]


def check_project(name, included):
    """Why NAME may not include the project's INCLUDED, or None."""
    if not tree.glob("agent/** drivers/** platform/** tests/**", included):
        # What a test includes besides is generated into the build folder.
        return None if tree.glob("tests/**", name) else (
            f'"{included}" is not a path from the top of the tree')
    for door, users in ONLY_FROM:
        if included == door and not tree.glob(users, name):
            return f'"{included}" is only for {users}'
    for files, allowed in MAY_INCLUDE:
        if tree.glob(files, name):
            own = name.rpartition("/")[0]
            if tree.glob(allowed.replace("{own}", own), included):
                return None
            return f'"{included}" is against the direction: {files} may include {allowed}'
    return "no rule of check_includes.py says what this file may include"


def check_foreign(name, included):
    """Why NAME may not include <INCLUDED>, or None."""
    for headers, door in DOORS:
        if tree.glob(headers, included):
            return None if tree.glob(door, name) else f"<{included}> has one door: {door}"
    if tree.glob(LIBC, included):
        return None
    return f"<{included}> is neither libc nor a library with a door"


def check_pure(root, name, cache):
    """What NAME reaches that a pure file must not; one fault per way in."""
    faults, seen, ways = [], {name}, [(name, None, name)]
    while ways:
        current, first_line, chain = ways.pop()
        for line, project, foreign in includes_of(root, current, cache):
            place = first_line or line
            if foreign and not tree.glob(PURE_LIBC, foreign):
                faults.append((place, f"pure, but reaches <{foreign}>: {chain}"))
            if not project or project in seen or not (root / project).is_file():
                continue
            seen.add(project)
            way = f"{chain} -> {project}"
            if tree.glob(IMPURE, project) and not tree.glob(PURE_PLATFORM, project):
                faults.append((place, f'pure, but reaches "{project}": {way}'))
            else:
                ways.append((project, place, way))
    text = tree.without_comments((root / name).read_text())
    for number, line in enumerate(text.splitlines(), 1):
        match = None if line.lstrip().startswith("#") else PURE_WORDS.search(line)
        # A member may share its name with a function.
        if match and not re.search(r"(\.|->)\s*$", line[:match.start()]):
            faults.append((number, f"pure, but says {match.group(1)}"))
    return faults


def check(root):
    faults, cache = [], {}
    for name in tree.files(root, ".c", ".h", ".def"):
        found = []
        for line, project, foreign in includes_of(root, name, cache):
            if project is not None:
                found.append((line, check_project(name, project)))
            elif foreign is not None:
                found.append((line, check_foreign(name, foreign)))
            else:
                found.append((line, "a computed include cannot be judged"))
        if tree.glob(PURE, name):
            found += check_pure(root, name, cache)
        faults += [f"{name}:{line}: {fault}" for line, fault in sorted(found, key=str) if fault]
    return faults


def include(*names):
    return "".join(f"#include {name}\n" for name in names)


# One violation of each rule: where, what, and the words that the refusal must hold.
MISTAKES = (
    ("platform/base/up.c", include('"platform/clock.h"'), "against the direction"),
    ("platform/json/up.c", include('"platform/net.h"'), "against the direction"),
    ("platform/linux/up.c", include('"drivers/driver.h"'), "against the direction"),
    ("platform/linux/side.c", include('"platform/mbedtls/inner.h"'), "against the direction"),
    ("drivers/proc/up.c", include('"agent/spool/spool.h"'), "against the direction"),
    ("drivers/proc/side.c", include('"drivers/sim/sim.c"'), "against the direction"),
    ("agent/aws/up.c", include('"agent/uplink/uplink.h"'), "against the direction"),
    ("agent/http/up.c", include('"agent/batch/batch.h"'), "against the direction"),
    ("agent/http/side.c", include('"agent/aws/sigv4.h"'), "against the direction"),
    ("agent/control/up.c", include('"agent/spool/spool.h"'), "against the direction"),
    ("agent/intake/up.c", include('"agent/batch/batch.h"'), "against the direction"),
    ("agent/intake/deep.c", include('"agent/spool/record.h"'), "against the direction"),
    ("agent/intake/driver.c", include('"drivers/sim/sim.c"'), "against the direction"),
    ("agent/spool/back.c", include('"agent/intake/collect.h"'), "against the direction"),
    ("agent/spool/up.c", include('"agent/batch/batch.h"'), "against the direction"),
    ("agent/batch/up.c", include('"agent/uplink/uplink.h"'), "against the direction"),
    ("agent/batch/inner.c", include('"platform/linux/clock.c"'), "against the direction"),
    ("agent/agent_up.c", include('"agent/cli/cli.h"'), "against the direction"),
    ("agent/agent.h", include('"agent/spool/spool.h"'), "against the direction"),
    ("agent/cli/cmd_stage.c", include('"agent/spool/spool.h"'), "against the direction"),
    ("agent/uplink/configured.c", include('"agent/control/config.h"'), "is only for"),
    ("agent/unknown/new.c", include('"platform/clock.h"'), "no rule"),
    ("agent/uplink/relative.c", include('"uplink.h"'), "not a path"),
    ("tests/sink/borrow.c", include('"agent/aws/sigv4.h"'), "against the direction"),
    ("agent/batch/store.c", include("<lmdb.h>"), "one door"),
    ("agent/control/parse.c", include("<cjson/cJSON.h>"), "one door"),
    ("agent/uplink/tls.c", include("<mbedtls/ssl.h>"), "one door"),
    ("agent/aws/psa.c", include("<psa/crypto.h>"), "one door"),
    ("agent/intake/peers.c", include("<coap3/coap.h>"), "one door"),
    ("tests/unit/test_own.c", include("<cmocka.h>"), "one door"),
    ("agent/uplink/zip.c", include("<zlib.h>"), "one door"),
    ("drivers/modbus/other.c", include("<modbus/modbus.h>"), "one door"),
    ("agent/uplink/brotli.c", include("<brotli/encode.h>"), "neither libc"),
    ("agent/uplink/computed.c", include("HEADER"), "computed"),
    ("agent/aws/sigv4.c", include("<time.h>"), "reaches <time.h>"),
    ("agent/http/http_parse.c", include("<sys/socket.h>"), "reaches <sys/socket.h>"),
    ("agent/spool/record.c", include("<pthread.h>"), "reaches <pthread.h>"),
    ("agent/batch/partition.c", include("<fcntl.h>"), "reaches <fcntl.h>"),
    ("agent/uplink/verdict.c", include('"platform/clock.h"'), 'reaches "platform/clock.h"'),
    ("agent/uplink/backoff.c", include('"platform/random.h"'), 'reaches "platform/random.h"'),
    ("agent/uplink/pace.h", include('"platform/base/log.h"'), 'reaches "platform/base/log.h"'),
    # Two steps away: through a header that is itself allowed.
    ("agent/uplink/dest/kinesis.c", include('"agent/http/http_client.h"'), "http_client.h -> "),
    ("agent/batch/render_json.c", "void f(void)\n{\n    fopen(\"x\", \"r\");\n}\n", "says fopen"),
)

# What must stay allowed, so that the check does not pass its control by refusing everything.
ALLOWED = (
    ("agent/uplink/down.c", include('"agent/batch/batch.h"', '"agent/http/http_client.h"',
                                    '"drivers/sample.h"', "<poll.h>")),
    ("agent/intake/face.c", include('"agent/spool/spool.h"', '"drivers/driver.h"')),
    ("agent/spool/door.c", include("<lmdb.h>")),
    ("platform/mbedtls/door.c", include("<mbedtls/ssl.h>", '"platform/tls.h"')),
    ("platform/zlib/door.c", include("<zlib.h>", '"platform/gzip.h"')),
    ("agent/uplink/pace.c", include("<stdint.h>", '"platform/hash.h"')),
)


def control():
    with tree.copy(tree.ROOT) as root:
        before = set(check(root))
        for name, text in ALLOWED:
            with tree.planted(root, name, text):
                for fault in set(check(root)) - before:
                    sys.exit(f"this should be allowed: {fault}")
    tree.control(check, MISTAKES)


if __name__ == "__main__":
    if sys.argv[1:] == ["--control"]:
        control()
    elif sys.argv[1:]:
        sys.exit(__doc__)
    tree.report("include faults", check(tree.ROOT))

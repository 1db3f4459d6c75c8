#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Builds and installs one board from its defconfig and looks at the program that comes out.

usage: build_board.py BOARD      a folder of boards/, or all-off, all-on: every switch of Kconfig

A board's defconfig says only what differs from the defaults, and its program takes its runnel.json:
foreign ones run under qemu-user. With everything on, what Kconfig says of stream, region and device
is enough to deliver without any file.
"""
import base64
import http.server
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading

import check_hardening
import tree

# A function of each thing that can be left out, and what several of them share.
SWITCHED = ("kinesis_open", "firehose_open", "apigateway_open", "s3_open", "archive_open",
            "results_end", "object_name", "credentials_env_open", "credentials_file_open",
            "credentials_iot_open", "credentials_container_open", "credentials_imds_open",
            "credentials_web_identity_open", "credentials_oauth2_open",
            "credentials_token_file_open", "credentials_assume_role_open", "credentials_fetch",
            "http_connect_write", "render_senml", "aggregate_start", "gzip_open",
            "partition_table_key", "cmd_top", "cmd_spool", "cmd_dead", "cmd_identity", "cmd_config",
            "cmd_log", "agent_estimate", "agent_doctor",
            "s3_get_open", "agent_source_open",
            "agent_coap_open", "coap_door_open", "handin_open", "payload_read", "validate_record",
            "syscall_filter_install")
EMULATORS = {"armhf": "qemu-arm-static", "arm64": "qemu-aarch64-static"}
USAGE = 2
CONFIG_FAULT = 78                     # exit code of runnel check
# What this machine may lack: a serial number, and a disk below /var/lib.
# What a product says that has no file.
BUILT_IN = """CONFIG_DEVICE="gw-built-in"
CONFIG_REGION="eu-west-1"
CONFIG_STREAM="telemetry"
CONFIG_SENSORS="sim"
"""
PATIENCE_S = 60
HERE = {"device": "board", "spool": {"volatile": True}}


def run(*command):
    """Runs it, shows what it says and stops if it fails."""
    result = subprocess.run([str(word) for word in command], cwd=tree.ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if result.returncode != 0:
        sys.exit(result.stdout)
    return result.stdout


def kconfig(command, *arguments):
    run(sys.executable, tree.ROOT / "platform/cmake/kconfig.py", command, tree.ROOT / "Kconfig",
        *arguments)


def options_of(board, build):
    if board not in ("all-off", "all-on"):
        return [f"-DBOARD={board}"]
    build.mkdir(parents=True, exist_ok=True)
    defconfig = build / f"{board}.defconfig"
    kconfig(board, defconfig)
    if board == "all-on":
        with defconfig.open("a", encoding="utf-8") as more:
            more.write(BUILT_IN)
    return ["-DBOARD=host", f"-DRUNNEL_DEFCONFIG={defconfig}"]


def check_left_out(program):
    """Who asks for a command that is not there is told what brings it."""
    for name, arguments in (("COMMAND_TOP", ["top"]), ("COMMAND_SPOOL", ["spool", "show"]),
                            ("COMMAND_DEAD", ["dead", "list"]), ("COMMAND_DOCTOR", ["doctor"]),
                            ("COMMAND_IDENTITY", ["identity", "show"]),
                            ("COMMAND_CONFIG", ["config", "show"]), ("COMMAND_LOG", ["log"]),
                            ("CHECK_ESTIMATE", ["check", "--estimate"])):
        result = subprocess.run([program, *arguments], text=True, capture_output=True, check=False)
        if result.returncode != USAGE or not result.stderr.endswith(f"enable CONFIG_{name}\n"):
            sys.exit(f"runnel {' '.join(arguments)}: {result.returncode}\n{result.stderr}")


def check_switches(board, program):
    """What is off leaves no code; on the host all of it is on."""
    symbols = {line.split()[-1] for line in run("nm", program).splitlines()}
    found = [name for name in SWITCHED if name in symbols]
    expected = {"host": list(SWITCHED), "all-on": list(SWITCHED), "all-off": []}.get(board, found)
    if found != expected:
        sys.exit(f"{program}: of {', '.join(SWITCHED)} it has {', '.join(found) or 'none'}")


def assignments(path):
    return {line for line in path.read_text().splitlines() if re.match("(# )?CONFIG_", line)}


def check_delta(board, build):
    """What the defconfig says is what differs from the defaults."""
    least = build / "least.defconfig"
    kconfig("save", build / ".config", least)
    idle = assignments(tree.ROOT / "boards" / board / "defconfig") - assignments(least)
    if idle:
        sys.exit(f"boards/{board}/defconfig: these are the defaults: {', '.join(sorted(idle))}")
    print(f"{board}: {len(assignments(least))} lines differ from the defaults")


def emulator_of(board):
    toolchain = tree.ROOT / "boards" / board / "toolchain.cmake"
    if not toolchain.exists():
        return []
    architecture = re.search(r"RUNNEL_ARCHITECTURE (\w+)", toolchain.read_text()).group(1)
    return [EMULATORS[architecture], "-L", tree.ROOT / "build/sysroot" / architecture]


def try_config(command, folder, also):
    """What `runnel check` makes of the board's runnel.json with ALSO merged into it."""
    (folder / "runnel.d/here.json").write_text(json.dumps({**HERE, **also}))
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    return subprocess.run([*command, "check", "-c", folder / "runnel.json"], env=clean, text=True,
                          capture_output=True, check=False)


def check_config(board, program):
    """The board's program takes the board's runnel.json, and not one with a driver too many."""
    command = [*emulator_of(board), program]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "runnel.d").mkdir()
        shutil.copy(tree.ROOT / "boards" / board / "runnel.json", folder)
        good = try_config(command, folder, {})
        if good.returncode != 0:
            sys.exit(f"boards/{board}/runnel.json:\n{good.stdout}{good.stderr}")
        bad = try_config(command, folder, {"sensors": [{"name": "control", "driver": "none"}]})
        if bad.returncode != CONFIG_FAULT or '"none"' not in bad.stderr:
            sys.exit(f"a driver that is not there is no fault: {bad.returncode}\n{bad.stderr}")
    print(f"{board}: takes its runnel.json")


class Kinesis(http.server.BaseHTTPRequestHandler):
    """Takes every record; (stream, data) go to the server's queue."""

    def do_POST(self):  # noqa: N802
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        records = body.get("Records", [])
        for record in records:
            self.server.taken.put((body["StreamName"], json.loads(
                base64.b64decode(record["Data"]))))
        told = {"SequenceNumber": "1", "ShardId": "shardId-000000000000"}
        reply = json.dumps({"FailedRecordCount": 0, "Records": [told] * len(records)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *ignored):  # pylint: disable=arguments-differ
        pass


def deliver_without_file(program, environment, taken):
    """What `runnel run` without any file delivers of a document that is handed in."""
    with subprocess.Popen([program, "run"], env=environment) as agent:
        try:
            sent = subprocess.run([program, "send", "door", "--lane", "alarm"],
                                  env=environment, input='{"open":true}\n', text=True,
                                  capture_output=True, timeout=PATIENCE_S, check=False)
            if sent.returncode != 0:
                sys.exit(f"nothing can be handed in: {sent.stderr}")
            return taken.get(timeout=PATIENCE_S)
        finally:
            agent.terminate()
            agent.wait(PATIENCE_S)


def check_without_file(program, build):
    """Kconfig alone makes a working agent, and check says that it is Kconfig."""
    if pathlib.Path("/etc/runnel/runnel.json").exists():
        print("not tried without a file: this machine has one")
        return
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Kinesis)
    server.taken = queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(dir=build) as folder:
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "LC_ALL": "C.UTF-8",
                       "RUNNEL_STATE": folder, "RUNNEL_SOCKET": f"{folder}/socket",
                       "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example",
                       "AWS_ENDPOINT_URL_KINESIS": f"http://127.0.0.1:{server.server_port}"}
        checked = subprocess.run([program, "check"], env=environment, text=True,
                                 capture_output=True, check=False)
        wanted = ("file     none", "device   gw-built-in", "sensor   sim: sim", "stream telemetry",
                  "device by CONFIG_DEVICE, spool by RUNNEL_STATE, sensors by CONFIG_SENSORS, "
                  "stream by CONFIG_STREAM, region by CONFIG_REGION, endpoint by "
                  "AWS_ENDPOINT_URL_KINESIS\n")
        missing = [words for words in wanted if words not in checked.stdout]
        if checked.returncode != 0 or missing:
            sys.exit(f"without a file: {missing}\n{checked.stdout}{checked.stderr}")
        stream, record = deliver_without_file(program, environment, server.taken)
    server.shutdown()
    if stream != "telemetry" or record["device"] != "gw-built-in" or record["sensor"] != "door":
        sys.exit(f"delivered without a file: {stream}: {record}")
    print("Kconfig alone delivers")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    board = sys.argv[1]
    build = tree.ROOT / "build/boards" / board
    run("cmake", "-G", "Ninja", "-S", tree.ROOT, "-B", build, "-DRUNNEL_TESTS=OFF",
        "-DCMAKE_BUILD_TYPE=MinSizeRel", "-DCMAKE_INSTALL_PREFIX=/usr", *options_of(board, build))
    run("cmake", "--build", build, "-j2", "--", "--quiet", "-k0")
    with tempfile.TemporaryDirectory() as folder:
        run("env", f"DESTDIR={folder}", "cmake", "--install", build, "--strip")
        program = pathlib.Path(folder) / "usr/bin/runnel"
        check_hardening.check(program)
        check_switches(board, build / "runnel")
        print(f"{board}: {program.stat().st_size} bytes stripped")
        if board == "all-off":
            check_left_out(program)
        if board == "all-on":
            check_without_file(program, build)
        if (tree.ROOT / "boards" / board).exists():
            check_delta(board, build)
            check_config(board, program)


main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Boots a board's image under QEMU, by its own boot loader, beside an endpoint on loopback.

usage: boards/qemu-armv7/run, boards/qemu-aarch64/run [--seconds N]

Installs, downloads, builds and makes what is missing. The gateway's console is this terminal;
ctrl-a x ends it. With --seconds it is shown for so long, and ends with a summary.
"""
import argparse
import time

import guest
import harness
import prepare


def summary(gateway, sink):
    status = gateway.status()
    harness.check_identity(status["routes"]["live"]["lanes"]["normal"])
    lanes = status["routes"]["live"]["lanes"].values()
    sums = {key: sum(lane[key] for lane in lanes)
            for key in ("accepted", "delivered", "stored", "dead", "evicted")}
    print(f"{status['device']}: ran for {status['uptime_s']} s, "
          f"{'healthy' if status['healthy'] else status['problem']}")
    print(f"route live: accepted {sums['accepted']} = "
          + " + ".join(f"{key} {sums[key]}" for key in list(sums)[1:]))
    seen = sink.summary()["identities"]
    print(f"the endpoint has {seen['unique']} records and {seen['duplicates']} duplicates")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("board", choices=guest.BOARDS, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--keep", action="store_true", help="leave the folder of the run behind")
    parser.add_argument("--build", default=guest.ROOT / "build/host", help=argparse.SUPPRESS)
    options = parser.parse_args()
    prepare.prepare([options.board])

    def scenario(run):
        run.watch = True
        sink = harness.Sink(run)
        gateway = guest.Installed(run, options.board, sink)
        if options.seconds is None:
            print("ctrl-a x ends it", flush=True)
            gateway.start(terminal=True).process.popen.wait()
            return
        gateway.boot()
        time.sleep(options.seconds)
        summary(gateway, sink)
        gateway.machine.type("poweroff")
        gateway.machine.wait_off()

    harness.main(options, scenario)


if __name__ == "__main__":
    main()

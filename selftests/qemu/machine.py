# SPDX-License-Identifier: GPL-2.0-only
"""A machine of QEMU whose RAM is a file or a memfd, with its monitor and its console."""
import json
import os
import re
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MIB, RAM = 1 << 20, 96 << 20
PATIENCE = 600      # seconds that anything may take: a machine in an emulated machine
# what a boot can do without
COMMAND_LINE = "console=ttyS0 quiet nokaslr mitigations=off tsc=reliable lpj=4000000 cryptomgr.notests panic=-1"


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"no end of waiting for {what}")
        time.sleep(0.02)


class Machine:
    """a QEMU with its monitor and console, that boots the kernel of this release; prefix is a command that runs another
    and knows what {} stands for in the name of the file that is the RAM"""

    def __init__(self, name, release, ram, *args, prefix=()):
        self.console, qmp = f"{name}.console", f"{name}.qmp"
        for path in self.console, qmp:
            if os.path.exists(path):
                os.unlink(path)
        command = [*prefix, "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-object", f"memory-backend-file,id=m,size={RAM},share=on,mem-path={ram}",
                   "-machine", "q35,memory-backend=m", "-m", f"{RAM // MIB}M", "-accel", "tcg", "-cpu", "max",
                   "-kernel", f"/boot/vmlinuz-{release}", "-initrd", f"{HERE}/initramfs", "-append", COMMAND_LINE,
                   "-serial", f"file:{self.console}", "-qmp", f"unix:{qmp},server=on,wait=off", *args]
        with open(f"{name}.out", "wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        self.out = f"{name}.out"
        wait_for("QEMU's monitor", lambda: os.path.exists(qmp) or self.process.poll() is not None)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        wait_for("QEMU to listen", lambda: not self.socket.connect_ex(qmp))
        self.answers = self.socket.makefile("r", encoding="utf-8")
        self.answers.readline()
        self.do("qmp_capabilities")

    @property
    def pid(self):
        return self.process.pid

    def do(self, command, **arguments):
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = json.loads(self.answers.readline())
            if "event" not in answer:
                assert "return" in answer, (command, answer)
                return answer["return"]

    def ignore_shared(self):
        """memory that is shared is not in the state, it is brought from somewhere else"""
        self.do("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])

    def migrated(self):
        wait_for("the state", lambda: self.do("query-migrate").get("status") in ("completed", "failed"))
        return self.do("query-migrate")["status"] == "completed"

    def save(self, path):
        """stops, and writes its state without its RAM"""
        self.do("stop")
        self.ignore_shared()
        self.do("migrate", uri=f"file:{path}")
        return self.migrated()

    def go_on(self, path):
        """where another one has been saved; begun with -incoming defer"""
        self.do("migrate-incoming", uri=f"file:{path}")
        if self.migrated():
            self.do("cont")

    def said(self):
        with open(self.console, encoding="utf-8", errors="replace") as f:
            return f.read()

    def counts(self):
        """(number, wrong pages) of each whole line"""
        return [(int(n), int(w)) for n, w in re.findall(r"count (\d+) wrong (\d+)\r?\n", self.said())]

    def await_counts(self, n):
        wait_for(f"{n} numbers", lambda: len(self.counts()) >= n or self.process.poll() is not None)
        return self.counts()

    def end(self):
        self.process.kill()
        self.process.wait()

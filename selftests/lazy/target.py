#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A tree of two processes that map shared memory of many kinds, at addresses that are the same in each run.

Usage: target.py SEED [OPTION]...

With SEED 0 the memory is not touched, else it has bytes that only this seed makes. It takes words from standard input:
"sum" prints the digests of all that is mapped, by name; "look" looks at a byte of each MiB, and says so; "close" closes
what stands in for the module's userfaultfds; "fork" has both fork children, who print the same as with sum. Of a child that
has ended the answer has only the signal.

Options: other-addresses (of the two memfds called "twin"), grow (of "plain" to another size), without-plain, seal (a memfd
"sealed" that both seeds fill with the same), seal-other (with something else), seals (memfds with every other seal, and
with those that forbid writing, filled as "sealed" is), prefault (what is there has zeros, not holes),
lock (the memfd "locked" is), descriptors (keeps that of "kept"), huge (two memfds of huge pages, one of them with 64 of
which one is touched), large (one of 128 MiB), seal-large (one that both seeds fill with the same),
third (the parent has another child, that has what it has and does nothing).
"""
import ctypes
import errno
import fcntl
import hashlib
import json
import mmap
import os
import random
import signal
import sys

seed, options = int(sys.argv[1]), sys.argv[2:]
PAGE, HUGE, BASE = 4096, 2 << 20, 0x200000000000
MFD_HUGETLB, MFD_HUGE_2MB = 4, 21 << 26
F_ADD_SEALS, SEAL_WRITE = 1033, 8
SYS_USERFAULTFD = 323
MAP_FIXED_NOREPLACE, MAP_NORESERVE = 0x100000, 0x4000
READ_WRITE, SHARED, PRIVATE, ANONYMOUS = 3, 1, 2, 32

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.shmat.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
mapped = {}     # name: address, bytes
place = BASE


def pattern(name, size, of=None):
    return random.Random(f"{name} {seed if of is None else of}").randbytes(size)


def map_at(name, fd, size, flags=SHARED, at=None):
    """each mapping has a TiB of addresses"""
    global place
    place += 1 << 40
    address = libc.mmap(at or place, size, READ_WRITE, flags | MAP_FIXED_NOREPLACE, fd, 0)
    assert address in (at, place), (name, ctypes.get_errno())
    mapped[name] = address, size
    return address


def write(name, *places):
    """(offset, length) of them"""
    address, size = mapped[name]
    if "prefault" in options:
        ctypes.memset(address, 0x55, size)
    for offset, length in places if seed else ():
        ctypes.memmove(address + offset, pattern(f"{name} {offset}", length), length)


def memfd(name, size, flags=os.MFD_ALLOW_SEALING):
    fd = os.memfd_create(name, flags)
    os.ftruncate(fd, size)
    return fd


def make_all_seals():
    """F_SEAL_SEAL, SHRINK, GROW, WRITE, FUTURE_WRITE and EXEC, which older kernels do not have, are bits from 1 on"""
    for seals in 1, 2, 4, 7, 8, 16, 10, 31, 32, 63:
        name = f"seals {seals}"
        fd = memfd(name, 200000)
        # of what can be executed F_SEAL_EXEC forbids writing, too
        os.fchmod(fd, 0o600)
        writable = not seals & 24
        if writable:
            map_at(name, fd, 200000)
            write(name, (50000, 100000))
        else:
            os.pwrite(fd, pattern(name, 100000, 1), 50000)
        try:
            fcntl.fcntl(fd, F_ADD_SEALS, seals)
        except OSError as e:
            if e.errno != errno.EINVAL or not seals & 32:
                raise
            fcntl.fcntl(fd, F_ADD_SEALS, seals & 31)
        if writable:
            os.close(fd)


def make_parent():
    if "without-plain" not in options:
        size = (2 << 20) + (PAGE if "grow" in options else 0)
        fd = memfd("plain", size)
        map_at("plain", fd, size)
        write("plain", (0, 2 << 20))
        os.close(fd)
    fd = memfd("sparse", 1 << 30)
    map_at("sparse", fd, 1 << 30, SHARED | MAP_NORESERVE)
    if "prefault" not in options:
        write("sparse", (5, 1), (100 << 20, 70000), ((1 << 30) - 1, 1))
    mapped["sparse"] = mapped["sparse"][0] + (99 << 20), 2 << 20
    os.close(fd)
    map_at("anonymous", -1, 1 << 20, SHARED | ANONYMOUS)
    write("anonymous", (0, 300000))
    fd = memfd("kept", 1 << 20)
    map_at("kept", fd, 1 << 20)
    write("kept", (8192, 500000))
    if "descriptors" not in options:
        os.close(fd)
    for twin in "first", "second":
        fd = memfd("twin", 64 << 10)
        shift = 1 << 30 if "other-addresses" in options else 0
        map_at(f"twin {twin}", fd, 64 << 10, at=place + (1 << 40) + shift)
        write(f"twin {twin}", (0, 64 << 10))
        os.close(fd)
    fd = memfd("tail", 5000)
    map_at("tail", fd, 2 * PAGE)
    write("tail", (0, 8100))
    os.close(fd)
    fd = memfd("private", 1 << 20)
    shared = libc.mmap(None, 1 << 20, READ_WRITE, SHARED, fd, 0)
    if seed:
        ctypes.memmove(shared, pattern("private", 1 << 20), 1 << 20)
    libc.munmap(ctypes.c_void_p(shared), 1 << 20)
    map_at("private", fd, 1 << 20, PRIVATE)
    os.close(fd)
    fd = memfd("locked", 64 << 10)
    address = map_at("locked", fd, 64 << 10)
    if "lock" in options:
        libc.mlock(ctypes.c_void_p(address), 64 << 10)
    write("locked", (0, 64 << 10))
    os.close(fd)
    shmid = libc.shmget(0, 1 << 20, 0o600)
    address = libc.shmat(shmid, ctypes.c_void_p(place + (1 << 39)), 0)
    libc.shmctl(shmid, 0, None)
    mapped["segment"] = address, 1 << 20
    write("segment", (4096, 90000))
    if "seal" in options or "seal-other" in options:
        fd = memfd("sealed", 200000)
        os.pwrite(fd, pattern("sealed", 100000, 1 if "seal" in options else 2), 50000)
        fcntl.fcntl(fd, F_ADD_SEALS, SEAL_WRITE)
    if "seal-large" in options:
        fd = memfd("sealed large", 128 << 20)
        for i in range(128):
            os.pwrite(fd, pattern(f"sealed large {i}", 1 << 20, 1), i << 20)
        fcntl.fcntl(fd, F_ADD_SEALS, SEAL_WRITE)
    if "seals" in options:
        make_all_seals()
    if "large" in options:
        fd = memfd("large", 128 << 20)
        map_at("large", fd, 128 << 20)
        write("large", *((i << 20, 1 << 20) for i in range(128)))
        os.close(fd)
    if "huge" in options:
        fd = memfd("huge", 8 * HUGE, MFD_HUGETLB | MFD_HUGE_2MB)
        map_at("huge", fd, 8 * HUGE)
        if seed:
            write("huge", (HUGE + 100, 1 << 20), (5 * HUGE, HUGE))
        os.close(fd)
        fd = memfd("sparse huge", 64 * HUGE, MFD_HUGETLB | MFD_HUGE_2MB)
        address = map_at("sparse huge", fd, 64 * HUGE, SHARED | MAP_NORESERVE)
        mapped["sparse huge"] = address + 17 * HUGE, HUGE
        if seed:
            ctypes.memmove(address + 17 * HUGE, pattern("sparse huge", HUGE), HUGE)
        os.close(fd)


def make_child():
    fd = memfd("of the child", 1 << 20)
    map_at("of the child", fd, 1 << 20)
    write("of the child", (0, 1 << 20))
    os.close(fd)


def sums():
    return {name: hashlib.md5(ctypes.string_at(*where)).hexdigest() for name, where in mapped.items()}


def look():
    return {name: sum(ctypes.string_at(at + i, 1)[0] for i in range(0, size, 1 << 20)) for name, (at, size) in mapped.items()}


def keep_uffd():
    """what selftests/lazy/stand_in.c takes"""
    if not os.environ.get("MEMFDCR_STAND_IN"):
        return None
    return libc.syscall(SYS_USERFAULTFD, os.O_CLOEXEC | os.O_NONBLOCK)


def forked_sums(write_end):
    pid = os.fork()
    if not pid:
        os.write(write_end, json.dumps(sums()).encode() + b"\n")
        os._exit(0)
    os.waitpid(pid, 0)


def serve(stream, out, uffd):
    """does what the words say, until there are no more"""
    for word in stream:
        if word.strip() == "sum":
            os.write(out, json.dumps(sums()).encode() + b"\n")
        elif word.strip() == "look":
            os.write(out, json.dumps(look()).encode() + b"\n")
        elif word.strip() == "fork":
            forked_sums(out)
        elif word.strip() == "close" and uffd is not None:
            os.close(uffd)
            os.write(out, b"{}\n")
        else:
            os.write(out, b"{}\n")


def main():
    make_parent()
    to_child, from_child = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        libc.prctl(1, 9)    # PR_SET_PDEATHSIG
        os.close(to_child[1])
        os.close(0)
        make_child()
        uffd = keep_uffd()
        os.write(from_child[1], b"ready\n")
        with os.fdopen(to_child[0]) as words:
            serve(words, from_child[1], uffd)
        return
    pids = [os.getpid(), child]
    if "third" in options:
        pids.append(os.fork())
        if not pids[-1]:
            libc.prctl(1, 9)
            signal.pause()
    uffd = keep_uffd()
    os.close(to_child[0])
    os.close(from_child[1])
    answers = os.fdopen(from_child[0])
    answers.readline()
    print(json.dumps(pids), flush=True)
    for line in sys.stdin:
        mine = os.pipe()
        serve([line], mine[1], uffd)
        os.close(mine[1])
        with os.fdopen(mine[0]) as f:
            result = {f"parent: {k}": v for k, v in json.loads(f.readline()).items()}
        try:
            os.write(to_child[1], line.encode())
            answer = answers.readline()
        except BrokenPipeError:
            answer = ""
        if answer:
            result.update({f"child: {k}": v for k, v in json.loads(answer).items()})
        else:
            result["child: signal"] = os.waitpid(child, 0)[1] & 127
        print(json.dumps(result), flush=True)


main()

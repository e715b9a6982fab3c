#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Holds shared memory of every kind with every seal, has a child that has more, writes their pids to a file and counts.

Usage: target.py PIDFILE [small|large|secret|uffd|swap|grows|goes]

small: one memfd only. large: a memfd of many MiB. secret: one memfd and secret memory. uffd: a memfd that a userfaultfd may
still bring pages of. swap: one that was paged out. grows: one that becomes longer and longer. goes: some that are
replaced by others now and then. The count is the first eight bytes of a memfd called "count", and the child's those behind.
"""
import ctypes
import fcntl
import mmap
import os
import random
import struct
import sys
import time

F_ADD_SEALS = 1033
SEAL, SHRINK, GROW, WRITE, FUTURE_WRITE, EXEC = 1, 2, 4, 8, 16, 32
MFD_HUGETLB, MFD_HUGE_2MB = 4, 21 << 26
SYS_MEMFD_SECRET, SYS_USERFAULTFD = 447, 323
IPC_PRIVATE, IPC_RMID, SHM_HUGETLB, SHM_NORESERVE = 0, 0, 0o4000, 0o10000
MAP_HUGETLB, MAP_NORESERVE = 0x40000, 0x4000
FALLOC_FL_KEEP_SIZE, MADV_PAGEOUT = 1, 21
HUGE = 2 << 20
UFFDIO_API, UFFDIO_REGISTER = 0xc018aa3f, 0xc020aa00

libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.mmap.restype = ctypes.c_void_p
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
mode = sys.argv[2] if len(sys.argv) > 2 else "all"
kept = []


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def memfd(name, size, *writes, flags=os.MFD_ALLOW_SEALING):
    fd = os.memfd_create(name, flags)
    os.ftruncate(fd, size)
    for offset, data in writes:
        os.pwrite(fd, data, offset)
    return fd


def reopen(fd, flags):
    again = os.open(f"/proc/self/fd/{fd}", flags)
    os.close(fd)
    return again


def huge(name, pages, *writes, flags=0):
    """a memfd of huge pages, of which only those are taken that are written to"""
    fd = os.memfd_create(name, MFD_HUGETLB | MFD_HUGE_2MB | flags)
    os.ftruncate(fd, pages * HUGE)
    m = mmap.mmap(fd, pages * HUGE, flags=mmap.MAP_SHARED | MAP_NORESERVE)
    for offset, data in writes:
        m[offset:offset + len(data)] = data
    return fd, m


def segment(size, flags, *writes):
    shmid = libc.shmget(IPC_PRIVATE, size, 0o600 | flags)
    if shmid < 0:
        return
    at = libc.shmat(shmid, None, 0)
    libc.shmctl(shmid, IPC_RMID, None)
    for offset, data in writes:
        ctypes.memmove(at + offset, data, len(data))


def everything():
    memfd("plain", 3 << 20, (0, noise(3 << 20)))
    memfd("empty", 0)
    memfd("hole", 1 << 40)
    memfd("sparse", 1 << 40, (5, b"x"), (1 << 30, noise(100000)), ((1 << 40) - 1, b"y"))
    zeros = memfd("zeros", 4 << 20)
    os.posix_fallocate(zeros, 0, 4 << 20)
    os.pwrite(zeros, b"z", 70000)
    for seals in (SEAL, SHRINK, GROW, WRITE, FUTURE_WRITE, EXEC, SHRINK | WRITE, SEAL | SHRINK | GROW | WRITE | FUTURE_WRITE):
        fd = memfd(f"seals {seals}", 200000, (0, noise(200000, seals)))
        try:
            fcntl.fcntl(fd, F_ADD_SEALS, seals)
        except OSError:
            pass    # this kernel has not learnt it yet
    reopen(memfd("read only", 8192, (0, noise(8192))), os.O_RDONLY)
    reopen(memfd("write only", 8192, (0, noise(8192))), os.O_WRONLY)
    reopen(memfd("path", 8192, (0, noise(8192))), os.O_PATH)
    os.fchmod(memfd("mode 0", 8192, (0, noise(8192))), 0)
    owned = memfd("owned", 8192, (0, noise(8192)))
    os.fchmod(owned, 0o4711)
    os.fchown(owned, 12, 34)
    fd = memfd("only mapped", 100000, (0, noise(100000)))
    libc.mmap(None, 100000, 3, 1, fd, 0)    # Python's own keeps a descriptor
    os.close(fd)
    libc.fallocate(memfd("more than its size", 10000, (0, noise(10000))), FALLOC_FL_KEEP_SIZE, 0, 1 << 20)
    fd = memfd("tail", 5000, (0, noise(5000)))
    m = libc.mmap(None, 8192, 3, 1, fd, 0)
    ctypes.memmove(m + 8100, b"behind the end", 14)
    memfd("", 100, (0, b"no name"))
    memfd("odd \n\udcff\" name", 100, (0, b"odd name"))
    anonymous = mmap.mmap(-1, 1 << 20)
    anonymous[0:300000] = noise(300000)
    kept.append(anonymous)
    segment(56, 0, (0, b"segment"), (4000, b"behind its end"))
    segment(1 << 20, 0, (100000, noise(200000)))
    kept.append(huge("huge", 64, (37 * HUGE, noise(HUGE)), flags=os.MFD_ALLOW_SEALING))
    kept.append(huge("huge with zeros", 3, (HUGE + 12345, b"x")))
    # nothing that is mapped for writing can be sealed
    fd, m = huge("huge and sealed", 2, (0, noise(HUGE)), flags=os.MFD_ALLOW_SEALING)
    m.close()
    fcntl.fcntl(fd, F_ADD_SEALS, WRITE | SHRINK | GROW)
    at = libc.mmap(None, 4 * HUGE, 3, MAP_HUGETLB | mmap.MAP_ANONYMOUS | mmap.MAP_SHARED | MAP_NORESERVE, -1, 0)
    ctypes.memmove(at + HUGE, noise(HUGE), HUGE)
    segment(4 * HUGE, SHM_HUGETLB | SHM_NORESERVE, (3 * HUGE, noise(HUGE)))


def missing():
    fd = memfd("missing", 1 << 20, (0, noise(4096)))
    at = libc.mmap(None, 1 << 20, 3, 1, fd, 0)
    uffd = libc.syscall(SYS_USERFAULTFD, os.O_CLOEXEC)
    fcntl.ioctl(uffd, UFFDIO_API, struct.pack("QQQ", 0xaa, 0, 0))
    fcntl.ioctl(uffd, UFFDIO_REGISTER, struct.pack("QQQQ", at, 1 << 20, 1, 0))


def paged_out():
    fd = memfd("paged out", 4 << 20, (0, noise(4 << 20)))
    at = libc.mmap(None, 4 << 20, 3, 1, fd, 0)
    # what is not mapped is not paged out
    for offset in range(0, 4 << 20, 4096):
        ctypes.string_at(at + offset, 1)
    libc.madvise(at, 4 << 20, MADV_PAGEOUT)


count = memfd("count", 4096)
counter = mmap.mmap(count, 4096)
if mode == "all":
    everything()
elif mode == "small":
    memfd("small", 1 << 20, (0, noise(1 << 20)))
elif mode == "large":
    memfd("large", 96 << 20, *((i << 20, noise(1 << 20, i)) for i in range(96)))
elif mode == "secret":
    secret = libc.syscall(SYS_MEMFD_SECRET, 0)
    if secret >= 0:
        os.ftruncate(secret, 8192)
elif mode == "uffd":
    missing()
elif mode == "swap":
    paged_out()
elif mode == "grows":
    growing = memfd("growing", 0)

parent = os.getpid()
child = os.fork()
libc.prctl(1, 9)    # PR_SET_PDEATHSIG
if child:
    with open(sys.argv[1] + ".new", "w", encoding="ascii") as f:
        print(parent, child, file=f)
    os.rename(sys.argv[1] + ".new", sys.argv[1])
else:
    kept.append(memfd("of the child", 8192, (0, noise(8192))))
offset = 0 if child else 8
while True:
    counter[offset:offset + 8] = struct.pack("<Q", struct.unpack("<Q", counter[offset:offset + 8])[0] + 1)
    if mode == "goes" and child and random.random() < 0.05:
        for fd in kept[:4]:
            os.close(fd)
        kept[:4] = [memfd("fleeting", 8192, (0, noise(8192))) for _ in range(4)]
    if mode == "grows" and child and os.stat(growing).st_size < 1 << 30:
        os.write(growing, noise(5000))
    else:
        time.sleep(0.001)

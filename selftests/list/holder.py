#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Holds one object of each kind, has a child that holds them, too, writes its pid to a file and sleeps.

Usage: holder.py PIDFILE
"""
import ctypes
import fcntl
import mmap
import os
import signal
import sys

F_ADD_SEALS, F_SEAL_SHRINK, F_SEAL_GROW = 1033, 2, 4
MFD_HUGETLB = 4
SYS_MEMFD_SECRET = 447
IPC_PRIVATE, IPC_RMID = 0, 0

libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p

ring = os.memfd_create("ring", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
os.ftruncate(ring, 1 << 20)
ring_map = mmap.mmap(ring, 1 << 20)
ring_map[0:8192] = b"x" * 8192
ring_map[65536] = 1
fcntl.fcntl(ring, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)

# as hostile as a name can be: 249 bytes, which /proc shows in octal
odd = bytes(i % 255 + 1 for i in range(249))
odd_fd = libc.memfd_create(odd, 0)

anonymous = mmap.mmap(-1, 1 << 20)
anonymous[0] = 1

segment = libc.shmget(IPC_PRIVATE, 100000, 0o600)
libc.shmat(segment, None, 0)
libc.shmctl(segment, IPC_RMID, None)

huge = os.memfd_create("huge", MFD_HUGETLB)
os.ftruncate(huge, 2 << 20)

secret = libc.syscall(SYS_MEMFD_SECRET, 0)
if secret >= 0:
    os.ftruncate(secret, 8192)

if os.fork() == 0:
    libc.prctl(1, signal.SIGKILL)   # PR_SET_PDEATHSIG
    signal.pause()

with open(sys.argv[1] + ".new", "w", encoding="ascii") as f:
    print(os.getpid(), file=f)
os.rename(sys.argv[1] + ".new", sys.argv[1])
signal.pause()

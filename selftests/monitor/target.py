#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Does what memfdcr monitor tells, and writes what that should be.

Usage: target.py script WANTED     each kind of event; the events in their order, as JSON, to the file WANTED
       target.py flood N           drops a page N times
       target.py sleep             nothing more

Begins, once a line comes on standard input; until then it drops a page now and then, so that somebody who watches has
something to see.
"""
import ctypes
import json
import mmap
import os
import select
import signal
import sys
import threading

PAGE = 4096
MREMAP_MAYMOVE, MREMAP_FIXED = 1, 2
MAP_FIXED, MAP_NORESERVE = 0x10, 0x4000
MADV_DONTNEED, MADV_REMOVE = 4, 9
FLAGS = {1: ["maymove"], 3: ["maymove", "fixed"]}

libc = ctypes.CDLL(None, use_errno=True)
for f in ("mmap", "mremap"):
    getattr(libc, f).restype = ctypes.c_void_p
SIZE = ctypes.c_size_t
wanted = []


def check(result):
    if result in (-1, None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def map_pages(n, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, at=0, fd=-1):
    return check(libc.mmap(ctypes.c_void_p(at), SIZE(n * PAGE), 3, flags, fd, SIZE(0)))


def advise(at, n, advice):
    check(libc.madvise(ctypes.c_void_p(at), SIZE(n * PAGE), advice))


def unmap(at, n):
    check(libc.munmap(ctypes.c_void_p(at), SIZE(n * PAGE)))


def want(event, pid=None, tid=0, **keys):
    """tid 0: the first thread; None: another process"""
    pid = pid or os.getpid()
    wanted.append({"event": event, "pid": pid, "tid": pid if tid == 0 else tid, **keys})


def want_unmap(at, n, cause, **keys):
    want("unmap", start=hex(at), end=hex(at + n * PAGE), cause=cause, **keys)


def memory():
    base = map_pages(16)
    ctypes.memset(base, 1, 16 * PAGE)
    unmap(base + 2 * PAGE, 2)
    want_unmap(base + 2 * PAGE, 2, "unmapped")
    advise(base + 5 * PAGE, 3, MADV_DONTNEED)
    want_unmap(base + 5 * PAGE, 3, "dropped")
    map_pages(1, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_FIXED, base + 15 * PAGE)
    want_unmap(base + 15 * PAGE, 1, "unmapped")
    unmap(base, 16)
    want_unmap(base + 8 * PAGE, 8, "unmapped", within=True)


def move(old, old_pages, new_pages, flags, to=0):
    new = check(libc.mremap(ctypes.c_void_p(old), SIZE(old_pages * PAGE), SIZE(new_pages * PAGE), flags,
                            ctypes.c_void_p(to)))
    want("mremap", old=hex(old), new=hex(new), old_length=old_pages * PAGE, new_length=new_pages * PAGE,
         flags=FLAGS[flags])
    return new


def moves():
    room = map_pages(64, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
    at = map_pages(4)
    ctypes.memset(at, 1, 4 * PAGE)
    at = move(at, 4, 4, MREMAP_MAYMOVE | MREMAP_FIXED, room)
    unmap(room + 4 * PAGE, 60)
    at = move(at, 4, 8, MREMAP_MAYMOVE)
    at = move(at, 8, 3, MREMAP_MAYMOVE)
    shared = map_pages(2, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    move(shared, 0, 2, MREMAP_MAYMOVE)
    # what fails is not told
    if libc.mremap(ctypes.c_void_p(at), SIZE(3 * PAGE), SIZE(0), 0) != ctypes.c_void_p(-1).value:
        raise RuntimeError("mremap() to no size has not failed")


def in_thread():
    at = map_pages(2)

    def run():
        unmap(at, 2)
        want_unmap(at, 2, "unmapped", tid=threading.get_native_id())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def child(run):
    pid = os.fork()
    if not pid:
        run()
        os._exit(0)
    want("fork", child=pid, same_memory=False)
    os.waitpid(pid, 0)
    return pid


def children():
    want("exit", child(lambda: os._exit(3)), code=3, signal=0, last=False)
    want("exit", child(lambda: os.kill(os.getpid(), signal.SIGKILL)), code=0, signal=9, last=False)
    pid = child(lambda: os.execv("/bin/true", ["true"]))
    want("unmap", pid, start="0x0", cause="exec")
    want("exec", pid)
    want("exit", pid, code=0, signal=0, last=False)
    memfd = os.memfd_create("target")
    os.ftruncate(memfd, 8 * PAGE)
    at = map_pages(8, mmap.MAP_SHARED, 0, memfd)
    ctypes.memset(at, 1, 8 * PAGE)
    child(lambda: os.ftruncate(memfd, 4 * PAGE))
    want("unmap", tid=None, start=hex(at + 4 * PAGE), cause="dropped")
    # between a parent that waits and its child, vfork() does the same as posix_spawn()
    pid = os.posix_spawn("/bin/true", ["true"], {})
    want("fork", child=pid, same_memory=True)
    want("exec", pid)
    os.waitpid(pid, 0)
    want("exit", pid, code=0, signal=0, last=False)


def main():
    page = map_pages(1)
    while not select.select([0], [], [], 0.05)[0]:
        advise(page, 1, MADV_DONTNEED)
    if sys.argv[1] == "flood":
        for _ in range(int(sys.argv[2])):
            libc.madvise(ctypes.c_void_p(page), SIZE(PAGE), MADV_DONTNEED)
    elif sys.argv[1] == "sleep":
        sys.stdin.readline()
        signal.pause()
    else:
        memory()
        moves()
        in_thread()
        children()
        want("exit", code=7, signal=0, last=True)
        with open(sys.argv[2], "w", encoding="ascii") as f:
            json.dump(wanted, f)
    sys.stdout.flush()
    os._exit(7)


main()

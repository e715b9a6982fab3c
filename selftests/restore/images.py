#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Looks into CRIU images, and spoils one, for selftests/restore/guest. Needs nothing but Python itself.

images.py DIR NAME              files of the first memfd of that name: pages-N.img pagemap-shmem-M.img
images.py --flag FLAG PAGEMAP   sets FLAG in the first entry of a pagemap, in place
images.py --pids DIR            pids of the tree
"""
import os
import sys


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data, begin, end):
    """number -> (value, offset of the value) of one protobuf message; of repeated ones the first"""
    found = {}
    at = begin
    while at < end:
        key, at = varint(data, at)
        start = at
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        elif key & 7 == 1:
            value, at = data[at:at + 8], at + 8
        else:
            value, at = data[at:at + 4], at + 4
        found.setdefault(key >> 3, (value, start))
    return found


def records(path):
    """the messages of an image, as fields(), and all of its bytes"""
    with open(path, "rb") as image:
        data = image.read()
    found = []
    at = 8
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "little")
        found.append(fields(data, at + 4, at + 4 + size))
        at += 4 + size
    return found, data


def files_of(directory, name):
    for inode in records(os.path.join(directory, "memfd.img"))[0]:
        if inode[1][0].decode() == name:
            pagemap = f"pagemap-shmem-{inode[5][0]}.img"
            head = records(os.path.join(directory, pagemap))[0][0]
            return f"pages-{head[1][0]}.img {pagemap}"
    sys.exit(f"no memfd {name} in {directory}")


def set_flag(path, flag):
    found, data = records(path)
    value, at = found[1][4]
    if value | flag > 0x7F:
        sys.exit("the flag does not fit")
    with open(path, "r+b") as image:
        image.seek(at)
        image.write(bytes([value | flag]))


if sys.argv[1] == "--flag":
    set_flag(sys.argv[3], int(sys.argv[2], 0))
elif sys.argv[1] == "--pids":
    print(*(task[1][0] for task in records(os.path.join(sys.argv[2], "pstree.img"))[0]))
else:
    print(files_of(sys.argv[1], sys.argv[2]))

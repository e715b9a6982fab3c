# SPDX-License-Identifier: GPL-2.0-only
"""Reads an image by what user/image/memfdcr.proto says of it, and by nothing of memfdcr's own."""
import os
import struct

PAGE, CHUNK = 4096, 65536
INTEGER, LONG, BYTES = 0, 1, 2
# field numbers: of those that may be there more than once the value is a list
IMAGE = {1: "id", 2: "time", 3: "consistent", 4: "tree", 5: "data_pages", 6: "ancestors", 7: "processes", 8: "objects"}
ANCESTOR = {1: "id", 2: "path", 3: "data_pages"}
OBJECT = {1: "id", 2: "kind", 3: "name", 4: "dev", 5: "ino", 6: "generation", 7: "size", 8: "allocated", 9: "swapped",
          10: "page_size", 11: "seals", 12: "sealing_allowed", 13: "noexec", 14: "hugetlb", 15: "mode", 16: "uid", 17: "gid",
          18: "unexplained", 19: "holders", 20: "refused", 21: "runs", 22: "chunks", 23: "pages", 24: "files", 25: "places",
          26: "checksums"}
HOLDER = {1: "pid", 2: "tid", 3: "outside", 4: "file_id", 5: "descriptor", 6: "mapping"}
REPEATED = {"ancestors": ANCESTOR, "processes": {1: "pid", 2: "parent", 3: "name"}, "objects": OBJECT, "holders": HOLDER}
NESTED = {"descriptor": {1: "fd", 2: "flags", 3: "position", 4: "cloexec"},
          "mapping": {1: "start", 2: "end", 3: "offset", 4: "prot", 5: "shared", 6: "locked", 7: "may_write"}}
PACKED = ("runs", "chunks", "pages", "files", "places")


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def numbers(data):
    at, result = 0, []
    while at < len(data):
        value, at = varint(data, at)
        result.append(value)
    return result


def message(data, fields):
    result = {name: [] for name in fields.values() if name in REPEATED or name in PACKED}
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        name = fields[tag >> 3]
        if tag & 7 == INTEGER:
            result[name], at = varint(data, at)
            continue
        assert tag & 7 == BYTES, (name, tag)
        size, at = varint(data, at)
        value, at = data[at:at + size], at + size
        assert len(value) == size
        if name in REPEATED:
            result[name].append(message(value, REPEATED[name]))
        elif name in NESTED:
            result[name] = message(value, NESTED[name])
        elif name in PACKED:
            result[name] += numbers(value)
        else:
            result[name] = value
    return result


def load(directory):
    """the metadata; its checksum is for memfdcr verify"""
    with open(f"{directory}/memfdcr.img", "rb") as f:
        data = f.read()
    magic, version, zero, length = struct.unpack_from("<8sIIQ", data)
    assert (magic, version, zero, length) == (b"memfdcr\x1a", 1, 0, len(data) - 40), "head"
    image = message(data[40:], IMAGE)
    image["directory"] = directory
    assert os.path.getsize(f"{directory}/memfdcr.data") == image["data_pages"] * PAGE, "size of the data"
    return image


def pages(image, obj):
    """offset and bytes of each page that is stored"""
    names = [image["directory"]] + [os.path.join(image["directory"], a["path"].decode()) for a in image["ancestors"]]
    files = [open(f"{name}/memfdcr.data", "rb") for name in names]
    for chunk, bits, file, place in zip(obj["chunks"], obj["pages"], obj["files"], obj["places"]):
        files[file].seek(place * PAGE)
        for page in range(CHUNK // PAGE):
            if bits >> page & 1:
                yield chunk * CHUNK + page * PAGE, files[file].read(PAGE)
    for file in files:
        file.close()


def stored(obj):
    return sum(bin(bits).count("1") for bits in obj["pages"]) * PAGE


def runs(obj):
    """(start, end) of what was allocated"""
    at, result = 0, []
    for i, n in enumerate(obj["runs"]):
        if i % 2:
            result.append((at * PAGE, (at + n) * PAGE))
        at += n
    return result

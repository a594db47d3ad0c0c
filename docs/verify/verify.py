#!/usr/bin/env python3
"""Verifies what a Chancery ledger published, with nothing but Python's standard library and this one file.

    python3 verify.py DIR                 an export: signatures, cosignatures, every entry, every tile, every blob
    python3 verify.py DIR FILE...         what was handed out: receipts, state proofs, consistency proofs, tlog-proofs, and
                                          checkpoints that somebody kept, which are held against the export
    python3 verify.py DIR --policy P ...  by your own list of trusted keys: DIR/policy is the word of whoever gave you DIR

Status 0: everything holds. 1: something does not, and the message says in which file and field. Nothing is trusted but the policy.

The log is a Merkle tree over its entries (RFC 6962 with SHA-256), in the formats of c2sp.org: tlog-tiles, tlog-checkpoint, signed-note,
tlog-cosignature, tlog-proof, tlog-policy. What is inside an entry, the root of the state tree among it, is hashed with BLAKE3.
"""
import base64, hashlib, os, re, struct, sys

class Untrue(Exception):
    """What does not hold: file, field, what was expected and found."""

def check(holds, message):
    if not holds: raise Untrue(message)

# ---- Ed25519: RFC 8032 §5.1.7, strict (canonical encodings, no keys of small order) ----
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ZERO = (0, 1, 1, 0)

def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    return (b - a) * (d - c) % P, (d + c) * (b + a) % P, (d - c) * (d + c) % P, (b - a) * (b + a) % P

def times(n, p):
    q = ZERO
    while n: q, p, n = add(q, p) if n & 1 else q, add(p, p), n >> 1
    return q

def same(p, q): return (p[0] * q[2] - q[0] * p[2]) % P == 0 == (p[1] * q[2] - q[1] * p[2]) % P

def point(data):
    y, sign = int.from_bytes(data, "little") & 2**255 - 1, data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P: x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign): return ZERO
    return (x, y, 1, x * y % P) if x & 1 == sign else (P - x, y, 1, (P - x) * y % P)

def ed25519(public, message, signature):
    if len(public) != 32 or len(signature) != 64: return False
    a, r, s = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if s >= L or same(times(8, a), ZERO) or same(times(8, r), ZERO): return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little")
    return same(times(s, point(bytes([0x58] + [0x66] * 31))), add(r, times(h % L, a)))

# ---- BLAKE3: specification §2; chunks of 1,024 bytes are the leaves of a binary tree ----
IV = struct.unpack("<8I", bytes.fromhex("67e6096a85ae67bb72f36e3c3af54fa57f520e518c68059babd9831f19cde05b"))
SHUFFLE = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
LANES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
START, END, PARENT, ROOT, CONTEXT, MATERIAL = 1, 2, 4, 8, 32, 64

def compress(chaining, block, counter, flags):
    m, mask = struct.unpack("<16I", block.ljust(64, b"\0")), 2**32 - 1
    v = [*chaining, *IV[:4], counter & mask, counter >> 32, len(block), flags]
    for _ in range(7):
        for lane, (a, b, c, d) in enumerate(LANES):
            for word, r, s in ((m[2 * lane], 16, 12), (m[2 * lane + 1], 8, 7)):
                v[a] = v[a] + v[b] + word & mask
                v[d] = ((v[d] ^ v[a]) >> r | (v[d] ^ v[a]) << 32 - r) & mask
                v[c] = v[c] + v[d] & mask
                v[b] = ((v[b] ^ v[c]) >> s | (v[b] ^ v[c]) << 32 - s) & mask
        m = [m[i] for i in SHUFFLE]
    return [v[i] ^ v[i + 8] for i in range(8)]

def subtree(data, key, flags, counter=0, root=ROOT):
    if len(data) > 1024:
        left = 1024 << ((len(data) - 1) // 1024).bit_length() - 1
        pair = subtree(data[:left], key, flags, counter, 0) + subtree(data[left:], key, flags, counter + left // 1024, 0)
        return compress(key, struct.pack("<16I", *pair), 0, flags | PARENT | root)
    out = key
    for at in range(0, max(len(data), 1), 64):
        out = compress(out, data[at:at + 64], counter, flags | START * (at == 0) | (END | root) * (at + 64 >= len(data)))
    return out

def blake3(data, context=None):
    key = subtree(context.encode(), IV, CONTEXT) if context else IV
    return struct.pack("<8I", *subtree(data, key, MATERIAL if context else 0))

# ---- The log's tree: RFC 6962 §2.1. Proofs are read from the root down; their last hash is the one below the root ----
def leaf_hash(entry): return hashlib.sha256(b"\0" + entry).digest()
def node_hash(left, right): return hashlib.sha256(b"\1" + left + right).digest()
def split(size): return 1 << (size - 1).bit_length() - 1

def tree_root(row):
    while len(row) > 1: row = [node_hash(*row[i:i + 2]) if i + 1 < len(row) else row[i] for i in range(0, len(row), 2)]
    return row[0] if row else hashlib.sha256(b"").digest()

def root_by(leaf, index, size, path, where):
    """The root that a leaf and its audit path lead to."""
    check((size > 1) == bool(path), f"{where}: too many or too few hashes")
    if size == 1: return leaf
    k = split(size)
    if index < k: return node_hash(root_by(leaf, index, k, path[:-1], where), path[-1])
    return node_hash(path[-1], root_by(leaf, index - k, size - k, path[:-1], where))

def roots_by(old, new, path, whole, where):
    """The roots of the old and the new tree that a consistency proof leads to; `whole` is the old root, until the way leaves it."""
    check(bool(path) == (old < new or whole is None), f"{where}: too many or too few hashes")
    if old == new: return (whole or path[-1],) * 2
    k = split(new)
    if old <= k:
        a, b = roots_by(old, k, path[:-1], whole, where)
        return a, node_hash(b, path[-1])
    a, b = roots_by(old - k, new - k, path[:-1], None, where)
    return node_hash(path[-1], a), node_hash(path[-1], b)

# ---- Texts: keys, the policy (tlog-policy), checkpoints (tlog-checkpoint, signed-note, tlog-cosignature) ----
def text_of(data, where):
    try: text = data.decode("utf-8")
    except UnicodeDecodeError: raise Untrue(f"{where}: not UTF-8") from None
    check(not re.search("[\0-\x08\x0b-\x1f]", text), f"{where}: a control character")
    return text

def unbase64(text, where, length=None):
    try: data = base64.b64decode(text, validate=True)
    except ValueError: raise Untrue(f"{where}: not base64: {text[:40]!r}") from None
    check(base64.b64encode(data).decode() == text, f"{where}: not canonical base64: {text[:40]!r}")
    check(length in (None, len(data)), f"{where}: expected {length} bytes, found {len(data)}")
    return data

def decimal(text, where):
    check(re.fullmatch("0|[1-9][0-9]{0,19}", text) and int(text) < 2**64, f"{where}: not a decimal number: {text[:40]!r}")
    return int(text)

def vkey(text, kind, where):
    """name+id+base64(kind, 32 bytes of Ed25519), as (name, id, public key)"""
    name, ident, key = (text.split("+", 2) + ["", ""])[:3]
    key = unbase64(key, where, 33)
    expected = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    check(name and key[0] == kind and expected.hex() == ident, f"{where}: not a vkey of type {kind}, or its id is not {expected.hex()}")
    return name, expected, key[1:]

class Policy:
    def __init__(self, text, where):
        self.logs, self.named, self.quorum, members = [], {}, None, []
        for number, line in enumerate(text.split("\n"), 1):
            at, items = f"{where}, line {number}", re.split("[ \t]+", line.strip(" \t"))
            if items[0] in ("witness", "group"): check(len(items) > 2 and items[1] not in (*self.named, "none"), f"{at}: the name is missing or taken")
            if items[0] == "" or items[0].startswith("#"): continue
            elif items[0] == "log" and len(items) in (2, 3): self.logs.append(vkey(items[1], 1, at))
            elif items[0] == "witness" and len(items) in (3, 4): self.named[items[1]] = vkey(items[2], 4, at)
            elif items[0] == "group" and len(items) > 3:
                count = len(items) - 3
                least = {"any": 1, "all": count}.get(items[2]) or decimal(items[2], at)
                members += items[3:]
                check(1 <= least <= count, f"{at}: the threshold {least} is not between 1 and {count}")
                check(all(name in self.named for name in items[3:]) and len(set(members)) == len(members), f"{at}: a member is unknown, or a member twice")
                self.named[items[1]] = [least, *items[3:]]
            elif items[0] == "quorum" and len(items) == 2 and not self.quorum and (items[1] == "none" or items[1] in self.named): self.quorum = items[1]
            else: raise Untrue(f"{at}: expected a log, witness, group, or one quorum of known name, found {line[:40]!r}")
        self.witnesses = [key for key in self.named.values() if isinstance(key, tuple)]
        check(self.quorum and self.logs, f"{where}: no quorum line, or no log")
        for keys in (self.logs, self.witnesses): check(len({key[2] for key in keys}) == len(keys), f"{where}: a public key stands twice")

    def holds(self, name, seen):
        if name == "none": return True
        what = self.named[name]
        return what in seen if isinstance(what, tuple) else sum(self.holds(member, seen) for member in what[1:]) >= what[0]

    def open(self, note, where, quorum=True):
        """Checks a checkpoint; gives origin, size, root, and who cosigned in words."""
        text, _, lines = note.rpartition("\n\n")
        text, fields = text + "\n", text.split("\n")
        check(len(note) <= 65536 and note.endswith("\n") and len(fields) >= 3 and all(fields), f"{where}: not origin, size, root, an empty line, signatures")
        size, root = decimal(fields[1], f"{where}, size"), unbase64(fields[2], f"{where}, root", 32)
        signed, seen = False, {}
        for line in lines[:-1].split("\n"):
            dash, name, data = (line.split(" ") + ["", ""])[:3]
            check(dash == "\u2014" and line.count(" ") == 2, f"{where}: not a signature line: {line[:40]!r}")
            data = unbase64(data, f"{where}, signature of {name}")
            for key in self.logs + self.witnesses:
                if key[:2] != (name, data[:4]): continue
                time = int.from_bytes(data[4:12], "big") if key in self.witnesses else None
                head, signature = ("", data[4:]) if time is None else (f"cosignature/v1\ntime {time}\n", data[12:])
                check((time or 0) < 2**63 and ed25519(key[2], (head + text).encode(), signature), f"{where}, signature of {name}: it does not verify: the checkpoint was changed or signed by another key")
                if time is None: signed = signed or name == fields[0]
                else: seen[key] = time
        check(signed, f"{where}, origin: no log of the policy is named {fields[0]!r} and signed it")
        check(not quorum or self.holds(self.quorum, seen), f"{where}: the policy's quorum is not reached: cosigned by {[key[0] for key in seen]}")
        return fields[0], size, root, ", ".join(f"{key[0]} at {time}" for key, time in seen.items()) or "no witness of the policy"

# ---- The export: tile/<level>/<n>[.p/<width>], tile/entries/<n>[.p/<width>] (tlog-tiles), blobs/<2>/<64 digits> ----
def read(directory, path):
    try:
        with open(os.path.join(directory, path), "rb") as file: return file.read()
    except OSError as error: raise Untrue(f"{path}: {error.strerror}") from None

def files_below(directory, folder):
    for below, _, names in os.walk(os.path.join(directory, folder)):
        yield from (os.path.relpath(os.path.join(below, name), directory).replace(os.sep, "/") for name in sorted(names))

def tile_path(level, number, width):
    digits = str(number).rjust(-(-len(str(number)) // 3) * 3, "0")
    return f"tile/{level}/" + re.sub("(...)(?=.)", r"x\1/", digits) + (f".p/{width}" if width < 256 else "")

def bundle(data, width, where):
    entries, at = [], 0
    for number in range(width):
        end = at + 2 + int.from_bytes(data[at:at + 2], "big")
        check(at + 2 <= len(data) >= end, f"{where}: it ends within entry {number} of {width}")
        entries.append(data[at + 2:end])
        at = end
    check(at == len(data), f"{where}: {len(data) - at} bytes behind its {width} entries")
    return entries

def check_export(directory, policy):
    text = lambda name: text_of(read(directory, name), name)
    origin, size, root, witnesses = policy.open(text("checkpoint"), "checkpoint")
    key = vkey(text("log.vkey").strip(), 1, "log.vkey")
    check(key in policy.logs and key[0] == origin, "log.vkey: it is not the policy's key of the checkpoint's log")
    leaves = []
    for first in range(0, size, 256):                        # every entry: its own place, and its hash in the tile
        width = min(256, size - first)
        path, tile = tile_path("entries", first // 256, width), tile_path(0, first // 256, width)
        hashes = read(directory, tile)
        for index, entry in enumerate(bundle(read(directory, path), width, path), first):
            leaves.append(leaf_hash(entry))
            check(leaves[-1] == hashes[(index - first) * 32:][:32], f"{path}: entry {index} is not the one that {tile} has the hash of: one of the two was edited, dropped or moved")
            check(index_of(entry, path) == index, f"{path}: entry {index} says that it is entry {index_of(entry, path)}: entries were dropped or reordered")
            if index == 0: check(entry[50] == 0 and Reader(entry, path, 51).bytes() == origin.encode(), f"{path}: entry 0 is not the genesis of {origin!r}")
    check(tree_root(leaves) == root, f"checkpoint, root: the {size} entries have the root {tree_root(leaves).hex()}, the checkpoint says {root.hex()}: another history was signed")
    rows, needed = [leaves], set()                           # every tile that this size needs is there, and every one that is there is right
    while len(rows[-1]) >= 256: rows.append([tree_root(rows[-1][i:i + 256]) for i in range(0, len(rows[-1]) - 255, 256)])
    for level, row in (*enumerate(rows), ("entries", leaves)):
        needed |= {tile_path(level, i // 256, min(256, len(row) - i)) for i in range(0, len(row), 256)}
    found = set(files_below(directory, "tile"))
    check(needed <= found, f"{min(needed - found, default='')}: missing")
    for path in sorted(found):
        match = re.fullmatch(r"tile/(entries|[0-9]+)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([0-9]+))?", path)
        level, number, width = match.groups("256") if match else ("0", "0", "0")
        number, width = int(re.sub("[x/]", "", number)), int(width)
        check(1 <= width <= 256 and path == tile_path(level, number, width), f"{path}: not the path of a tile")
        row = leaves if level == "entries" else rows[int(level)] if int(level) < len(rows) else []
        expected, data = row[number * 256:][:width], read(directory, path)
        if level == "entries": data = b"".join(map(leaf_hash, bundle(data, width, path)))
        check(len(expected) == width and data == b"".join(expected), f"{path}: it holds another history than the entries of the checkpoint")
    blobs = list(files_below(directory, "blobs"))
    for path in blobs:
        name = blake3(read(directory, path)).hex()
        check(path == f"blobs/{name[:2]}/{name}", f"{path}: it is not the blob of that BLAKE3")
    print(f"{origin}: {size} entries, {len(found)} tiles and bundles, {len(blobs)} blobs, root {root.hex()}\ncosigned by {witnesses}")
    return origin, size, leaves

# ---- Entries: docs, formats/entry ----
class Reader:
    def __init__(self, data, where, at=0): self.data, self.where, self.at = data, where, at
    def take(self, n):
        check(self.at + n <= len(self.data), f"{self.where}: the entry ends early")
        self.at += n
        return self.data[self.at - n:self.at]
    def number(self, n): return int.from_bytes(self.take(n), "little")
    def bytes(self): return self.take(self.number(4))

def index_of(entry, where):
    check(len(entry) > 50 and entry[:2] == b"\1\0", f"{where}: not an entry of version 1")
    return int.from_bytes(entry[2:10], "little")

def call_of(entry, where):
    """The digests that a call's entry holds, and what happened in words; the actor's signature is checked."""
    r = Reader(entry, where, 51 + 32)
    actor, _, action, name = r.take(32), r.take(24), r.number(1), r.bytes()
    check(action < 2, f"{where}: unknown action {action}")
    method = r.bytes() if action == 0 else r.take(32) and b"(deploy)"
    r.bytes()
    check(ed25519(actor, b"chancery call v1\n" + entry[51:r.at], r.take(64)), f"{where}, actor: the call is not signed by the actor that it names")
    _, module, outcome = r.take(32), r.take(32), r.number(1)
    check(outcome < 5, f"{where}: unknown outcome {outcome}")
    if outcome == 0: r.bytes()                               # done: the result
    if outcome == 1: r.take(2), r.bytes(), [r.bytes() for _ in range(r.number(4))]       # refused: code, detail, reasons
    if outcome in (2, 4): r.take(1)                          # trapped, rejected: the kind
    r.take(10), [(r.take(2), r.bytes()) for _ in range(r.number(4))]                     # gas, price list, events
    trace, _, writes = r.take(32), r.take(91 * r.number(4)), r.take(32)                  # between them: movements of money
    check(r.at == len(entry), f"{where}: bytes behind the entry")
    word = ("done", "refused", "trapped", "out of gas", "rejected")[outcome]
    return {"module": module, "trace": trace, "writes": writes}, f"{name.decode()} {method.decode()}: {word}"

# ---- Files that are handed out: docs, formats/receipt and formats/state-tree ----
EMPTY = b"SPARSE_MERKLE_PLACEHOLDER_HASH__"
class Lines:
    def __init__(self, text, where): self.rest, self.where = text, where
    def starts(self, *starts): return self.rest.startswith(starts)
    def next(self, field, expected=None):
        line, end, self.rest = self.rest.partition("\n")
        check(end, f"{self.where}, {field}: the file is truncated")
        check(expected in (None, line), f"{self.where}, {field}: expected {expected!r}, found {line[:60]!r}")
        return line
    def field(self, name):
        line = self.next(name)
        check(line.startswith(name + " "), f"{self.where}: expected `{name} …`, found {line[:40]!r}")
        return line[len(name) + 1:]
    def bytes(self, name):
        text = self.field(name)
        check(text, f"{self.where}, {name}: no bytes are written `-`")
        return b"" if text == "-" else unbase64(text, f"{self.where}, {name}")
    def ids(self, name, count):
        text = self.field(name)
        check(re.fullmatch(" ".join(["[0-9a-f]{64}"] * count), text), f"{self.where}, {name}: expected {count} times 64 digits")
        return [bytes.fromhex(part) for part in text.split(" ")]
    def hashes(self, name):
        found = []
        while self.rest and " " not in self.rest.split("\n", 1)[0] and not self.starts("\n"):
            found.append(unbase64(self.next(name), f"{self.where}, {name}", 32))
        return found
    def note(self):
        note = "\n"
        while not note.endswith("\n\n") or note == "\n": note += self.next("checkpoint") + "\n"
        while self.starts("\u2014 "): note += self.next("checkpoint") + "\n"
        return note[1:]

def tlog_proof(lines, entry, policy):
    """Reads a tlog-proof; checks that it leads from the entry to a checkpoint that the policy accepts."""
    where = lines.where
    lines.next("header", "c2sp.org/tlog-proof@v1")
    if lines.starts("extra "): unbase64(lines.field("extra"), f"{where}, extra")
    index, path = decimal(lines.field("index"), f"{where}, index"), lines.hashes("inclusion proof")
    lines.next("inclusion proof", "")
    origin, size, root, witnesses = policy.open(lines.note(), f"{where}, checkpoint")
    if callable(entry): entry = entry(index)
    says = index_of(entry, f"{where}, entry")
    check(says == index < size, f"{where}, index: the entry says that it is {says}, the proof says {index}, the checkpoint covers {size}")
    found = root_by(leaf_hash(entry), index, size, path, f"{where}, inclusion proof")
    check(found == root, f"{where}, inclusion proof: entry, index and hashes do not lead to the checkpoint's root")
    return origin, f"entry {index} of {size} of {origin}, cosigned by {witnesses}"

def state_proof(lines, policy):
    old = lines.starts("chancery/state-proof@v1\n")          # version 1 writes every sibling as a hash
    lines.next("header", "chancery/state-proof@v1" if old else "chancery/state-proof@v2")
    where, value, other = lines.where, None, None
    contract, key = lines.ids("contract", 1)[0], lines.bytes("key")
    if not lines.starts("absent\n"): value = lines.bytes("value")
    elif lines.next("absent") and lines.starts("neighbour "): other = lines.ids("neighbour", 2)
    levels = "" if old else lines.field("siblings")          # a digit for each level: 1 a hash follows, 0 the sibling is empty
    siblings = lines.hashes("siblings")
    if not old:
        check(re.fullmatch("-|[01]+", levels) and levels.count("1") == len(siblings) and EMPTY not in siblings, f"{where}, siblings: expected a digit 1 for each hash, found {levels[:40]!r} and {len(siblings)} hashes")
        siblings = [siblings.pop(0) if digit == "1" else EMPTY for digit in levels.strip("-")]
    seal = lines.bytes("seal")
    lines.next("seal", "")
    path = blake3(contract + struct.pack("<I", len(key)) + key, "chancery 2026 state key v1")
    bits = [f"{int.from_bytes(p, 'big'):0256b}" for p in (path, other[0] if other else path)]
    check(len(siblings) <= 256 and bits[0][:len(siblings)] == bits[1][:len(siblings)] and not (other and other[0] == path), f"{where}, neighbour: it does not stand where the key's path ends")
    leaf = other if value is None else (path, blake3(value))
    node = blake3(b"JMT::LeafNode" + leaf[0] + leaf[1]) if leaf else EMPTY
    for bit, sibling in reversed(list(zip(bits[0], siblings))):
        node = blake3(b"JMT::IntrnalNode" + (sibling + node if bit == "1" else node + sibling))
    origin, stands = tlog_proof(lines, seal, policy)
    check(seal[50] == 2 and len(seal) == 103, f"{where}, seal: the entry is no seal")
    check(node == seal[59:91], f"{where}, state: contract, key, value and siblings do not lead to the seal's state root")
    held = "nothing" if value is None else repr(value)
    return origin, f"state: after block {int.from_bytes(seal[51:59], 'little')} the key {key!r} of {contract.hex()} held {held}; seal: {stands}"

def receipt(lines, policy):
    lines.next("header", "chancery/receipt@v1")
    where, entry = lines.where, lines.bytes("entry")
    parts = {name: lines.bytes(name) for name in ("module", "trace", "writes") if lines.starts(name + " ")}
    lines.next("entry", "")
    origin, stands = tlog_proof(lines, entry, policy)
    digests, what = call_of(entry, f"{where}, entry") if entry[50] == 1 else ({}, "no call")
    for name, data in parts.items(): check(blake3(data) == digests.get(name), f"{where}, {name}: it is not the one that the entry names")
    said = f"receipt: {what}; {stands}; with {', '.join(parts) or 'nothing else'}"
    while lines.starts("\n"):
        lines.next("state proof", "")
        state_origin, state = state_proof(lines, policy)
        check(state_origin == origin, f"{where}, state proof: it is of the log {state_origin!r}, the entry of {origin!r}")
        said += "\n" + state
    return said

def consistency_proof(lines, policy):
    lines.next("header", "chancery/consistency-proof@v1")
    where, path = lines.where, lines.hashes("consistency proof")
    lines.next("consistency proof", "")
    old = policy.open(lines.note(), f"{where}, older checkpoint", quorum=False)
    lines.next("older checkpoint", "")
    new = policy.open(lines.note(), f"{where}, newer checkpoint")
    check(old[0] == new[0] and 0 < old[1], f"{where}: the checkpoints are of two logs, {old[0]!r} and {new[0]!r}, or the older one is empty")
    check(old[1] <= new[1], f"{where}, newer checkpoint: it covers {new[1]} entries, the older one {old[1]}: the log was rolled back")
    check(old[1] != new[1] or old[2] == new[2], f"{where}, root: the log signed two histories of {old[1]} entries: these two checkpoints prove it")
    found = roots_by(old[1], new[1], path, old[2], f"{where}, hashes")
    check(found == (old[2], new[2]), f"{where}, hashes: they do not lead from {old[1]} to {new[1]} entries: the log was forked, or the proof changed")
    return f"consistency: the {old[1]} entries of the older checkpoint begin the {new[1]} of the newer"

def kept_checkpoint(text, path, directory, policy):
    old, new = policy.open(text, path, quorum=False), check_export(directory, policy)
    check(old[0] == new[0], f"{path}, origin: {old[0]!r}, the export is of {new[0]!r}")
    check(old[1] <= new[1], f"{path}, size: it covers {old[1]} entries, the export {new[1]}: the log was rolled back")
    found = tree_root(new[2][:old[1]])
    check(found == old[2], f"{path}, root: {old[2].hex()} over {old[1]} entries, those of the export have {found.hex()}: the log signed two histories, and this checkpoint with the export's proves it")
    return f"consistency: its {old[1]} entries begin the {new[1]} of the export"

def check_file(path, directory, policy):
    text = text_of(read("", path), path)
    lines, header = Lines(text, path), text.split("\n", 1)[0]
    def exported(index):
        size = policy.open(text_of(read(directory, "checkpoint"), "checkpoint"), "checkpoint")[1]
        check(index < size, f"{path}, index: the export has {size} entries, not {index}")
        width = min(256, size - index // 256 * 256)
        name = tile_path("entries", index // 256, width)
        return bundle(read(directory, name), width, name)[index % 256]
    if header.startswith("chancery/receipt@"): said = receipt(lines, policy)
    elif header.startswith("chancery/state-proof@"): said = state_proof(lines, policy)[1]
    elif header.startswith("chancery/consistency-proof@"): said = consistency_proof(lines, policy)
    elif header.startswith("c2sp.org/tlog-proof@"): said = "inclusion: " + tlog_proof(lines, exported, policy)[1]
    else: said, lines.rest = kept_checkpoint(text, path, directory, policy), ""
    check(not lines.rest, f"{path}: something stands behind the end: {lines.rest[:40]!r}")
    print(f"{path}: {said}")

def main(arguments):
    own = None
    if "--policy" in arguments[:-1]: own = arguments.pop(arguments.index("--policy") + 1); arguments.remove("--policy")
    if not arguments or arguments[0].startswith("-") or "--policy" in arguments: sys.exit(__doc__)
    try:
        directory, *files = arguments
        policy = Policy(text_of(read("" if own else directory, own or "policy"), own or "policy"), own or "policy")
        if not files: check_export(directory, policy)
        for path in files: check_file(path, directory, policy)
        print("verified")
    except Untrue as untrue: sys.exit(f"NOT VERIFIED: {untrue}")
    except (ValueError, IndexError, KeyError, struct.error, RecursionError) as error: sys.exit(f"NOT VERIFIED: malformed: {error!r}")

if __name__ == "__main__": main(sys.argv[1:])

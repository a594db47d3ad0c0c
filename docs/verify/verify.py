#!/usr/bin/env python3
"""Verifies what a Chancery ledger published, with nothing but Python's standard library and this one file.

    python3 verify.py DIR                      an export: signatures, cosignatures, every entry, every tile, every blob
    python3 verify.py DIR FILE...              files that were handed out, against DIR/policy: receipts, state proofs, consistency
                                               proofs, tlog-proofs, and checkpoints that somebody kept (held against the export)
    python3 verify.py DIR --policy P ...       the same with your own list of trusted keys: DIR/policy is the word of whoever gave you DIR

Exit status 0: everything holds. 1: something does not, and the message says in which file and field. Nothing in DIR is trusted but the policy.

The log is a Merkle tree over its entries (RFC 6962 with SHA-256) in the formats of c2sp.org: tlog-tiles, tlog-checkpoint, signed-note,
tlog-cosignature, tlog-proof, tlog-policy. What is inside an entry, the state tree among it, is hashed with BLAKE3.
"""
import base64, hashlib, os, struct, sys


class Untrue(Exception):
    """What does not hold: which file, which field, what was expected and found."""


def check(holds, message):
    if not holds: raise Untrue(message)


# ---- Ed25519 (RFC 8032 §5.1), strict: canonical encodings, no keys of small order ----
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

def point_add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P

def point_mul(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1: q = point_add(q, p)
        p, n = point_add(p, p), n >> 1
    return q

def point_decode(data):
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P: x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - x2) % P or (x == 0 and sign): return None
    if x & 1 != sign: x = P - x
    return x, y, 1, x * y % P

def equal(p, q): return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0

BASE = point_decode(bytes([0x58] + [0x66] * 31))

def ed25519(public, message, signature):
    if len(public) != 32 or len(signature) != 64: return False
    a, r, s = point_decode(public), point_decode(signature[:32]), int.from_bytes(signature[32:], "little")
    if not a or not r or s >= L or any(equal(point_mul(8, p), (0, 1, 1, 0)) for p in (a, r)): return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    return equal(point_mul(s, BASE), point_add(r, point_mul(h, a)))


# ---- BLAKE3 (the specification of 2021, §2): 1,024-byte chunks, a binary tree of them ----
IV = struct.unpack("<8I", bytes.fromhex("67e6096a85ae67bb72f36e3c3af54fa57f520e518c68059babd9831f19cde05b"))
ORDER, SHUFFLE = [list(range(16))], (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
for _ in range(6): ORDER.append([ORDER[-1][i] for i in SHUFFLE])
LANES = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
START, END, PARENT, ROOT, CONTEXT, MATERIAL = 1, 2, 4, 8, 32, 64

def compress(chaining, block, counter, flags):
    m, mask = struct.unpack("<16I", block.ljust(64, b"\0")), 0xFFFFFFFF
    v = [*chaining, *IV[:4], counter & mask, counter >> 32, len(block), flags]
    for order in ORDER:
        for lane, (a, b, c, d) in enumerate(LANES):
            for word, r, s in ((m[order[2 * lane]], 16, 12), (m[order[2 * lane + 1]], 8, 7)):
                v[a] = (v[a] + v[b] + word) & mask
                x = v[d] ^ v[a]; v[d] = (x >> r | x << 32 - r) & mask
                v[c] = (v[c] + v[d]) & mask
                x = v[b] ^ v[c]; v[b] = (x >> s | x << 32 - s) & mask
    return [v[i] ^ v[i + 8] for i in range(8)]

def blake3_words(data, key, flags, counter=0, root=ROOT):
    if len(data) <= 1024:
        blocks = [data[i:i + 64] for i in range(0, len(data), 64)] or [b""]
        out = key
        for i, block in enumerate(blocks):
            last = i == len(blocks) - 1
            out = compress(out, block, counter, flags | START * (i == 0) | (END | root) * last)
        return out
    left = 1024 << ((len(data) - 1) // 1024).bit_length() - 1
    halves = blake3_words(data[:left], key, flags, counter, 0) + blake3_words(data[left:], key, flags, counter + left // 1024, 0)
    return compress(key, struct.pack("<16I", *halves), 0, flags | PARENT | root)

def blake3(data, context=None):
    key = blake3_words(context.encode(), IV, CONTEXT) if context else IV
    return struct.pack("<8I", *blake3_words(data, key, MATERIAL if context else 0))


# ---- The log's tree (RFC 6962 §2.1; checks by RFC 9162 §2.1.3.2 and §2.1.4.2) ----
def leaf_hash(entry): return hashlib.sha256(b"\0" + entry).digest()
def node_hash(left, right): return hashlib.sha256(b"\1" + left + right).digest()

def tree_root(hashes):
    """The root over complete subtrees of one height, left to right."""
    if not hashes: return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        pairs = [node_hash(*hashes[i:i + 2]) for i in range(0, len(hashes) - 1, 2)]
        hashes = pairs + hashes[len(hashes) // 2 * 2:]
    return hashes[0]

def includes(leaf, index, size, path, root):
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0: return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn: fn, sn = fn >> 1, sn >> 1
        else: r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return index < size and sn == 0 and r == root

def consistent(old, new, path, old_root, new_root):
    if not 0 < old <= new: return False
    if old == new: return not path and old_root == new_root
    path = ([old_root] if old & (old - 1) == 0 else []) + path
    if not path: return False
    fn, sn = old - 1, new - 1
    while fn & 1: fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0: return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn: fn, sn = fn >> 1, sn >> 1
        else: sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == new_root


# ---- Texts: base64, keys, the policy (tlog-policy), notes (signed-note), checkpoints (tlog-checkpoint) ----
def b64(text, where):
    try: data = base64.b64decode(text, validate=True)
    except ValueError: data = None
    check(data is not None and base64.b64encode(data).decode() == text, f"{where}: not base64: {text[:40]!r}")
    return data

def digest(text, where):
    data = b64(text, where)
    check(len(data) == 32, f"{where}: expected 32 bytes, found {len(data)}")
    return data

def decimal(text, where):
    check(text.isascii() and text.isdigit() and str(int(text)) == text and int(text) < 2**64, f"{where}: not a decimal number: {text[:40]!r}")
    return int(text)

def vkey(text, kind, where):
    """name+id+base64(kind, 32 bytes of Ed25519) → (name, id, public key)"""
    parts = text.split("+", 2)
    check(len(parts) == 3 and parts[0], f"{where}: not a vkey")
    key = b64(parts[2], where)
    check(len(key) == 33 and key[0] == kind, f"{where}: expected a vkey of type {kind} with 32 bytes")
    ident = hashlib.sha256(parts[0].encode() + b"\n" + key).digest()[:4]
    check(ident.hex() == parts[1], f"{where}: the key id is {parts[1]}, that of name and key is {ident.hex()}")
    return parts[0], ident, key[1:]

class Policy:
    def __init__(self, text, where):
        self.logs, self.witnesses, self.quorum, self.members = [], [], None, set()
        named = {}                                   # name → what tells from the set of cosigners whether it has witnessed
        for number, line in enumerate(text.split("\n"), 1):
            at, items = f"{where}, line {number}", line.replace("\t", " ").split(" ")
            items = [item for item in items if item]
            if not items or items[0].startswith("#"): continue
            if items[0] == "log" and len(items) in (2, 3): self.logs.append(vkey(items[1], 1, at))
            elif items[0] == "witness" and len(items) in (3, 4):
                key = vkey(items[2], 4, at)
                self.witnesses.append(key)
                self.define(named, items[1], lambda seen, key=key: key in seen, at)
            elif items[0] == "group" and len(items) > 3:
                for name in items[3:]:
                    check(name in named and name not in self.members, f"{at}: {name} is not defined above, or a member already")
                    self.members.add(name)
                least = {"any": 1, "all": len(items) - 3}.get(items[2]) or decimal(items[2], at)
                check(1 <= least <= len(items) - 3, f"{at}: the threshold {least} is not between 1 and the number of members")
                members = [named[name] for name in items[3:]]
                self.define(named, items[1], lambda seen, m=members, k=least: sum(f(seen) for f in m) >= k, at)
            elif items[0] == "quorum" and len(items) == 2:
                check(self.quorum is None, f"{at}: a second quorum")
                check(items[1] == "none" or items[1] in named, f"{at}: {items[1]} is not defined above")
                self.quorum = named.get(items[1], lambda seen: True)
            else: raise Untrue(f"{at}: expected log, witness, group or quorum, found {line[:40]!r}")
        check(self.quorum, f"{where}: no quorum line")
        for keys in (self.logs, self.witnesses):
            check(len({key[2] for key in keys}) == len(keys), f"{where}: a public key stands twice")

    @staticmethod
    def define(named, name, holds, at):
        check(name != "none" and name not in named, f"{at}: the name {name} is taken")
        named[name] = holds

    def open(self, note, where, quorum=True):
        """Checks a checkpoint; gives origin, size, root, and who cosigned."""
        check(len(note) <= 65536 and "\n\n" in note and note.endswith("\n"), f"{where}: not a signed note")
        text, lines = note[:note.rindex("\n\n") + 1], note[note.rindex("\n\n") + 2:-1].split("\n")
        fields = text[:-1].split("\n")
        check(len(fields) >= 3 and all(fields), f"{where}: expected origin, size and root, each on a line")
        origin, size, root = fields[0], decimal(fields[1], f"{where}, size"), digest(fields[2], f"{where}, root")
        signed, seen = False, {}
        for line in lines:
            parts = line.split(" ")
            check(len(parts) == 3 and parts[0] == "\u2014", f"{where}: not a signature line: {line[:40]!r}")
            data = b64(parts[2], f"{where}, signature of {parts[1]}")
            wrong = f"{where}, signature of {parts[1]}: it does not verify: the checkpoint was changed or signed by another key"
            for key in self.logs:
                if (parts[1], data[:4]) == key[:2]:
                    check(ed25519(key[2], text.encode(), data[4:]), wrong)
                    signed = signed or key[0] == origin
            for key in self.witnesses:
                if (parts[1], data[:4]) == key[:2]:
                    time = int.from_bytes(data[4:12], "big")
                    message = f"cosignature/v1\ntime {time}\n{text}".encode()
                    check(time < 2**63 and ed25519(key[2], message, data[12:]), wrong)
                    seen[key] = max(time, seen.get(key, 0))
        check(signed, f"{where}, origin: no log of the policy is named {origin!r} and signed it")
        check(not quorum or self.quorum(seen), f"{where}: the policy's quorum is not reached: cosigned by {[k[0] for k in seen]}")
        return origin, size, root, [f"{key[0]} at {time}" for key, time in seen.items()]


# ---- The export: tile/<level>/<n>[.p/<width>] and tile/entries/<n>[.p/<width>] (tlog-tiles) ----
def tile_path(level, number, width):
    digits = f"{number:03d}"
    digits = digits.rjust((len(digits) + 2) // 3 * 3, "0")
    groups = [digits[i:i + 3] for i in range(0, len(digits), 3)]
    return f"tile/{level}/" + "/".join(["x" + group for group in groups[:-1]] + groups[-1:]) + (f".p/{width}" if width < 256 else "")

def read(directory, path):
    try:
        with open(os.path.join(directory, path), "rb") as file: return file.read()
    except OSError as error: raise Untrue(f"{path}: {error.strerror}") from None

def bundle_entries(data, width, where):
    entries, at = [], 0
    for number in range(width):
        length = int.from_bytes(data[at:at + 2], "big")
        check(len(data) >= at + 2 + length, f"{where}: it ends within entry {number} of {width}")
        entries.append(data[at + 2:at + 2 + length])
        at += 2 + length
    check(at == len(data), f"{where}: {len(data) - at} bytes behind its {width} entries")
    return entries

def check_export(directory, policy):
    origin, size, root, witnesses = policy.open(text_of(read(directory, "checkpoint"), "checkpoint"), "checkpoint")
    name, ident, key = vkey(text_of(read(directory, "log.vkey"), "log.vkey").strip(), 1, "log.vkey")
    check((name, ident, key) in policy.logs and name == origin, "log.vkey: it is not the policy's key of the checkpoint's log")
    leaves, known = [], {"checkpoint", "log.vkey", "policy"}
    for number in range((size + 255) // 256):
        width = min(256, size - number * 256)
        path = tile_path("entries", number, width)
        row, tile = [], tile_path(0, number, width)
        hashes = read(directory, tile)
        entries = bundle_entries(read(directory, path), width, path)
        for offset, entry in enumerate(entries):
            index = number * 256 + offset
            row.append(leaf_hash(entry))
            check(row[-1] == hashes[offset * 32:offset * 32 + 32], f"{path}: entry {index} is not the one that {tile} has the hash of: one of the two was edited, dropped or moved")
            found = entry_index(entry, f"{path}, entry {index}")
            check(found == index, f"{path}: entry {index} says that it is entry {found}: entries were dropped or reordered")
            if index == 0: check(genesis_origin(entry) == origin, f"{path}: the genesis is of {genesis_origin(entry)!r}, the checkpoint of {origin!r}")
        leaves += row
        check(len(hashes) == width * 32, f"{tile}: expected {width * 32} bytes, found {len(hashes)}")
    check(tree_root(leaves) == root, f"checkpoint, root: the {size} entries have the root {tree_root(leaves).hex()}, the checkpoint says {root.hex()}: a log of another history was signed")
    rows = [leaves]
    while len(rows[-1]) >= 256:
        row = rows[-1]
        rows.append([tree_root(row[i:i + 256]) for i in range(0, len(row) - 255, 256)])
    tiles = 0
    for level, row in enumerate(rows):              # every tile of this size is there, and every tile that is there is right
        for number in range((len(row) + 255) // 256):
            path = tile_path(level, number, min(256, len(row) - number * 256))
            check(read(directory, path) == b"".join(row[number * 256:][:256]), f"{path}: a hash is not that of what is below it")
            tiles += 1
    for folder, _, names in os.walk(os.path.join(directory, "tile")):
        for name in names: check_tile_file(directory, os.path.relpath(os.path.join(folder, name), directory).replace(os.sep, "/"), rows)
    blobs = 0
    for folder, _, names in os.walk(os.path.join(directory, "blobs")):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), directory)
            check(blake3(read(directory, path)).hex() == name and os.path.basename(folder) == name[:2], f"{path}: it is not the blob of that BLAKE3")
            blobs += 1
    print(f"{origin}: {size} entries, {tiles} tiles, {blobs} blobs, root {root.hex()}")
    print("cosigned by " + (", ".join(witnesses) or "no witness of the policy"))
    return origin, size, root, leaves

def check_tile_file(directory, path, rows):
    """A file that this size does not need, from an earlier size: it must be the beginning of the tile that is there."""
    level, _, rest = path.removeprefix("tile/").partition("/")
    number, _, width = rest.partition(".p/")
    try: number, width = int(number.replace("x", "").replace("/", "")), int(width or 256)
    except ValueError: raise Untrue(f"{path}: not the path of a tile") from None
    check(path == tile_path(level, number, width) and 1 <= width <= 256 and (level == "entries" or level.isdigit()), f"{path}: not the path of a tile")
    row = rows[0 if level == "entries" else int(level)] if level == "entries" or int(level) < len(rows) else []
    found = read(directory, path)
    if level == "entries": found = b"".join(leaf_hash(entry) for entry in bundle_entries(found, width, path))
    check(len(row) >= number * 256 + width and found == b"".join(row[number * 256:][:width]), f"{path}: it holds another history than the checkpoint's")


# ---- Entries (docs: formats/entry) ----
def text_of(data, where):
    try: text = data.decode("utf-8")
    except UnicodeDecodeError: raise Untrue(f"{where}: not UTF-8") from None
    check(not any(ord(c) < 32 and c not in "\n\t" for c in text), f"{where}: a control character")
    return text

def entry_index(entry, where):
    check(len(entry) > 50 and entry[:2] == b"\1\0", f"{where}: not an entry of version 1")
    return int.from_bytes(entry[2:10], "little")

def genesis_origin(entry):
    check(entry[50] == 0, "entry 0: it is not the genesis")
    return entry[55:55 + int.from_bytes(entry[51:55], "little")].decode("utf-8", "replace")

class Reader:
    def __init__(self, data, where): self.data, self.at, self.where = data, 0, where
    def take(self, n):
        check(self.at + n <= len(self.data), f"{self.where}: it ends early")
        self.at += n
        return self.data[self.at - n:self.at]
    def number(self, n): return int.from_bytes(self.take(n), "little")
    def bytes(self): return self.take(self.number(4))

def decode_call(entry, where):
    """What a receipt needs of a call's entry; checks the actor's signature."""
    r = Reader(entry, where)
    r.take(51)
    r.take(32); actor = r.take(32); r.take(24)
    action = r.number(1)
    check(action < 2, f"{where}: unknown action {action}")
    name = r.bytes().decode("utf-8", "replace")
    method = r.bytes().decode("utf-8", "replace") if action == 0 else "(deploy)"
    if action == 1: r.take(32)
    r.bytes()
    message = b"chancery call v1\n" + entry[51:r.at]
    check(ed25519(actor, message, r.take(64)), f"{where}, actor: the call is not signed by the actor that it names")
    r.take(32)
    module, outcome = r.take(32), r.number(1)
    check(outcome < 5, f"{where}: unknown outcome {outcome}")
    if outcome == 0: r.bytes()
    if outcome == 1: r.take(2); r.bytes(); [r.bytes() for _ in range(r.number(4))]
    if outcome in (2, 4): r.take(1)
    r.take(10)
    for _ in range(r.number(4)): r.take(2); r.bytes()
    trace = r.take(32)
    r.take(91 * r.number(4))
    writes = r.take(32)
    check(r.at == len(entry), f"{where}: bytes behind the entry")
    word = ("done", "refused", "trapped", "out of gas", "rejected")[outcome]
    return {"module": module, "trace": trace, "writes": writes}, f"{name} {method}: {word}"


# ---- Files that are handed out (docs: formats/receipt) ----
class Lines:
    def __init__(self, text, where): self.lines, self.at, self.where = text.split("\n"), 0, where
    def peek(self): return self.lines[self.at] if self.at < len(self.lines) - 1 else None
    def next(self, field):
        check(self.peek() is not None, f"{self.where}, line {self.at + 1}, {field}: the file is truncated")
        self.at += 1
        return self.lines[self.at - 1]
    def field(self, name):
        line = self.next(name)
        check(line.startswith(name + " "), f"{self.where}, line {self.at}: expected `{name} …`, found {line[:40]!r}")
        return line[len(name) + 1:]
    def bytes(self, name):
        text = self.field(name)
        check(text, f"{self.where}, {name}: no bytes are written `-`")
        return b"" if text == "-" else b64(text, f"{self.where}, {name}")
    def hashes(self, name):
        found = []
        while self.peek() and " " not in self.peek(): found.append(digest(self.next(name), f"{self.where}, {name}"))
        return found
    def empty(self, name): check(self.next(name) == "", f"{self.where}, line {self.at}: expected an empty line")
    def note(self):
        start = self.at
        while self.next("checkpoint") != "": pass
        while (self.peek() or "").startswith("\u2014 "): self.next("checkpoint")
        return "".join(line + "\n" for line in self.lines[start:self.at])

def check_tlog_proof(lines, entry, policy):
    """Reads a tlog-proof and checks that it leads from the entry to a checkpoint that the policy accepts."""
    where = lines.where
    check(lines.next("tlog-proof") == "c2sp.org/tlog-proof@v1", f"{where}, line {lines.at}: expected `c2sp.org/tlog-proof@v1`")
    if (lines.peek() or "").startswith("extra "): b64(lines.field("extra"), f"{where}, extra")
    index = decimal(lines.field("index"), f"{where}, index")
    path = lines.hashes("inclusion proof")
    lines.empty("inclusion proof")
    origin, size, root, witnesses = policy.open(lines.note(), f"{where}, checkpoint")
    if callable(entry): entry = entry(index)
    found = entry_index(entry, f"{where}, entry")
    check(found == index, f"{where}, index: the entry says that it is {found}, the proof says {index}")
    check(includes(leaf_hash(entry), index, size, path, root), f"{where}, inclusion proof: entry, index and hashes do not lead to the checkpoint's root")
    return f"entry {index} of {size} of {origin}, cosigned by {', '.join(witnesses) or 'no witness'}", origin

def check_state(lines, policy):
    """Reads a state proof behind its header (docs: formats/state)."""
    where = lines.where
    text = lines.field("contract")
    check(len(text) == 64 and all(c in "0123456789abcdef" for c in text), f"{where}, contract: expected 64 hexadecimal digits")
    key, other, value = lines.bytes("key"), None, None
    state_path = blake3(bytes.fromhex(text) + struct.pack("<I", len(key)) + key, "chancery 2026 state key v1")
    bits = lambda data: "".join(f"{byte:08b}" for byte in data)
    if lines.peek() == "absent":
        lines.next("absent")
        if (lines.peek() or "").startswith("neighbour "):
            parts = lines.field("neighbour").split(" ")
            check([len(part) for part in parts] == [64, 64] and not set("".join(parts)) - set("0123456789abcdef"), f"{where}, neighbour: expected path and value hash")
            other = bytes.fromhex(parts[0]), bytes.fromhex(parts[1])
    else: value = lines.bytes("value")
    siblings = lines.hashes("siblings")
    seal = lines.bytes("seal")
    lines.empty("seal")
    check(len(siblings) <= 256, f"{where}, siblings: more than 256")
    if other: check(other[0] != state_path and bits(other[0])[:len(siblings)] == bits(state_path)[:len(siblings)], f"{where}, neighbour: it does not stand where the key's path ends")
    leaf = other if value is None else (state_path, blake3(value))
    node = blake3(b"JMT::LeafNode" + leaf[0] + leaf[1]) if leaf else b"SPARSE_MERKLE_PLACEHOLDER_HASH__"
    for depth in reversed(range(len(siblings))):
        pair = (siblings[depth], node) if bits(state_path)[depth] == "1" else (node, siblings[depth])
        node = blake3(b"JMT::IntrnalNode" + pair[0] + pair[1])
    stands, origin = check_tlog_proof(lines, seal, policy)
    check(seal[50] == 2 and len(seal) == 103, f"{where}, seal: the entry is no seal")
    check(node == seal[59:91], f"{where}, state: contract, key, value and siblings do not lead to the seal's state root")
    held = "nothing" if value is None else repr(value)
    return f"state: after block {int.from_bytes(seal[51:59], 'little')} the key {key!r} of {text[:16]}… held {held}; seal: {stands}", origin

def check_receipt(lines, policy):
    where = lines.where
    entry = lines.bytes("entry")
    parts = {name: lines.bytes(name) for name in ("module", "trace", "writes") if (lines.peek() or "").startswith(name + " ")}
    lines.empty("entry")
    stands, origin = check_tlog_proof(lines, entry, policy)
    digests, what = decode_call(entry, f"{where}, entry") if entry[50] == 1 else ({}, "no call")
    for name, data in parts.items(): check(blake3(data) == digests.get(name), f"{where}, {name}: it is not the one that the entry names")
    said = [f"receipt: {what}; {stands}; with {', '.join(parts) or 'nothing else'}"]
    while lines.peek() == "":
        lines.empty("state proof")
        check(lines.next("state proof") == "chancery/state-proof@v1", f"{where}, line {lines.at}: expected `chancery/state-proof@v1`")
        state, state_origin = check_state(lines, policy)
        check(state_origin == origin, f"{where}, state proof: it is of the log {state_origin!r}")
        said.append(state)
    return "\n".join(said)

def check_consistency(lines, policy):
    where, path = lines.where, lines.hashes("consistency proof")
    lines.empty("consistency proof")
    old = policy.open(lines.note(), f"{where}, older checkpoint", quorum=False)
    lines.empty("older checkpoint")
    new = policy.open(lines.note(), f"{where}, newer checkpoint")
    check(old[0] == new[0], f"{where}: the checkpoints are of two logs, {old[0]!r} and {new[0]!r}")
    check(old[1] != new[1] or old[2] == new[2], f"{where}, root: the log signed two histories of {old[1]} entries: these two checkpoints prove it")
    check(consistent(old[1], new[1], path, old[2], new[2]), f"{where}, hashes: they do not lead from {old[1]} to {new[1]} entries")
    return f"consistency: the {old[1]} entries of the older checkpoint begin the {new[1]} of the newer"

def check_file(path, directory, policy):
    try:
        with open(path, "rb") as file: data = file.read(1 << 22)
    except OSError as error: raise Untrue(f"{path}: {error.strerror}") from None
    text = text_of(data, path)
    lines, header = Lines(text, path), text.split("\n", 1)[0]
    if header == "chancery/receipt@v1": lines.next("header"); said = check_receipt(lines, policy)
    elif header == "chancery/state-proof@v1": lines.next("header"); said = check_state(lines, policy)[0]
    elif header == "chancery/consistency-proof@v1": lines.next("header"); said = check_consistency(lines, policy)
    elif header == "c2sp.org/tlog-proof@v1":         # of an entry of the export
        def entry(index):
            size = policy.open(text_of(read(directory, "checkpoint"), "checkpoint"), "checkpoint")[1]
            check(index < size, f"{path}, index: the export has {size} entries, not {index}")
            number = index // 256
            bundle = tile_path("entries", number, min(256, size - number * 256))
            return bundle_entries(read(directory, bundle), min(256, size - number * 256), bundle)[index % 256]
        said = "inclusion: " + check_tlog_proof(lines, entry, policy)[0]
    else:
        check("@" not in header, f"{path}, header: {header[:60]!r} is of no known kind or version")
        old = policy.open(text, path, quorum=False)
        new = check_export(directory, policy)
        check(old[0] == new[0], f"{path}, origin: {old[0]!r}, the export is of {new[0]!r}")
        check(old[1] <= new[1], f"{path}, size: it covers {old[1]} entries, the export {new[1]}: the log was rolled back")
        found = tree_root(new[3][:old[1]])
        check(found == old[2], f"{path}, root: {old[2].hex()} over {old[1]} entries, those of the export have {found.hex()}: the log signed two histories, this checkpoint and the export's prove it")
        return f"{path}: consistency: its {old[1]} entries begin the {new[1]} of the export"
    check(lines.at == len(lines.lines) - 1 and lines.lines[-1] == "", f"{path}, line {lines.at + 1}: something stands behind the end, or the last line has no line feed")
    return f"{path}: {said}"

def main(arguments):
    own = None
    if "--policy" in arguments:
        at = arguments.index("--policy")
        own, arguments = arguments[at + 1:at + 2], arguments[:at] + arguments[at + 2:]
    if not arguments or own == [] or arguments[0].startswith("-"): sys.exit(__doc__)
    try:
        directory, files = arguments[0], arguments[1:]
        name = own[0] if own else "policy"
        policy = Policy(text_of(read("" if own else directory, name), name), name)
        check(policy.logs, f"{name}: it names no log")
        if not files: check_export(directory, policy)
        for path in files: print(check_file(path, directory, policy))
        print("verified")
    except Untrue as untrue: sys.exit(f"NOT VERIFIED: {untrue}")
    except (ValueError, IndexError, KeyError, struct.error, RecursionError) as error: sys.exit(f"NOT VERIFIED: malformed: {error!r}")

if __name__ == "__main__": main(sys.argv[1:])

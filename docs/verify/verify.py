#!/usr/bin/env python3
"""Verifies what a Chancery ledger published, with nothing but Python's standard library and this one file.

    python3 verify.py DIR                 an export: signatures, cosignatures, every entry, every tile, every blob
    python3 verify.py DIR --actors        and each call's signature by its actor (in pure Python some 5 ms a call: minutes)
    python3 verify.py DIR FILE...         what was handed out: receipts, state proofs, consistency proofs, tlog-proofs, and
                                          checkpoints that somebody kept, which are held against the export
    python3 verify.py DIR --policy P ...  by your own list of trusted keys: DIR/policy is the word of whoever gave you DIR. Without an
                                          export, `.` for DIR will do for receipts, state proofs and consistency proofs
    python3 verify.py DIR --checkpoint KEPT FILE...   consistency proofs, which must begin with the checkpoint that you kept

Take this file from elsewhere than DIR: whoever gave you DIR could have changed the `verify.py` in it.
Status 0: everything holds. 1: something does not, and the message says in which file and field. Nothing is trusted but the policy.
Not checked: that the calls' outcomes are what the contracts say. `chancery audit` executes them again.

The log is a Merkle tree over its entries (RFC 6962 with SHA-256), in the formats of c2sp.org: tlog-tiles, tlog-checkpoint, signed-note,
tlog-cosignature, tlog-proof, tlog-policy. What is inside an entry, the root of the state tree among it, is hashed with BLAKE3.
"""
import base64, datetime, functools, hashlib, os, re, struct, sys
from decimal import Decimal

class Untrue(Exception):
    """What does not hold: file, field, what was expected and found."""

def check(holds, message):
    if not holds: raise Untrue(message)

def shown(text):
    """A text on one line, with nothing in it that commands a terminal: whoever wrote a file or a call chose every character of it."""
    return re.sub("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]", lambda found: found[0].encode("unicode_escape").decode(), text)

def tell(text): print("\n".join(map(shown, text.split("\n"))))

# ---- Ed25519: RFC 8032 §5.1.7, strict (canonical encodings, no keys of small order) ----
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ZERO = -121665 * pow(121666, -1, P) % P, (0, 1, 1, 0)

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

BASE = point(bytes([0x58] + [0x66] * 31))

@functools.lru_cache                                           # of what is signed together each call asks again
def ed25519(public, message, signature):
    if len(public) != 32 or len(signature) != 64: return False
    a, r, s = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if s >= L or same(times(8, a), ZERO) or same(times(8, r), ZERO): return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little")
    return same(times(s, BASE), add(r, times(h % L, a)))

# ---- BLAKE3: specification §2; chunks of 1,024 bytes are the leaves of a binary tree ----
IV = struct.unpack("<8I", bytes.fromhex("67e6096a85ae67bb72f36e3c3af54fa57f520e518c68059babd9831f19cde05b"))
SHUFFLE = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
LANES = [(i, i + 4, i + 8, i + 12) for i in range(4)] + [(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4) for i in range(4)]
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
    k, rest = split(size), path[:-1]
    if index < k: return node_hash(root_by(leaf, index, k, rest, where), path[-1])
    return node_hash(path[-1], root_by(leaf, index - k, size - k, rest, where))

def roots_by(old, new, path, whole, where):
    """The roots of the old and the new tree that a consistency proof leads to; `whole` is the old root, until the way leaves it."""
    check(path if old < new else len(path) == (whole is None), f"{where}: too many or too few hashes")
    if old == new: return (whole or path[-1],) * 2
    k, left = split(new), old <= split(new)
    a, b = roots_by(old, k, path[:-1], whole, where) if left else roots_by(old - k, new - k, path[:-1], None, where)
    return (a, node_hash(b, path[-1])) if left else (node_hash(path[-1], a), node_hash(path[-1], b))

# ---- Texts: keys, the policy (tlog-policy), checkpoints (tlog-checkpoint, signed-note, tlog-cosignature) ----
def read(directory, path):
    try:
        with open(os.path.join(directory, path), "rb") as file: return file.read()
    except OSError as error: raise Untrue(f"{path}: {error.strerror}") from None

def text(directory, path):
    try: text = read(directory, path).decode("utf-8")
    except UnicodeDecodeError: raise Untrue(f"{path}: not UTF-8") from None
    check(not re.search("[\0-\x08\x0b-\x1f]", text), f"{path}: a control character")
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

def is_key_name(text): return re.fullmatch("[^\\s+\0-\x1f\x7f-\x9f]+", text)

def vkey(text, kind, where):
    """name+id+base64(kind, 32 bytes of Ed25519), as (name, id, public key)"""
    name, ident, key = (text.split("+", 2) + ["", ""])[:3]
    key = unbase64(key, where, 33)
    expected = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    check(is_key_name(name) and key[0] == kind and expected.hex() == ident, f"{where}: not a vkey of type {kind}, or its id is not {expected.hex()}")
    return name, expected, key[1:]

def spelt(key): return f"{key[0]}+{key[1].hex()}+{base64.b64encode(bytes([1]) + key[2]).decode()}"

class Policy:
    """Logs and witnesses are keys, as `vkey` gives them; a group is its threshold and its members' names."""
    def __init__(self, text, where):
        self.logs, self.named, self.quorum, members = [], {"none": [0]}, None, []
        check(text.endswith("\n"), f"{where}: its last line has no line feed: is the file complete?")
        for number, line in enumerate(text.split("\n"), 1):
            at, (kind, *items) = f"{where}, line {number}", re.split("[ \t]+", line.strip(" \t"))
            if not kind or kind.startswith("#"): continue
            if kind in ("witness", "group"): check(len(items) > 1 and items[0] not in self.named, f"{at}: the name is missing or taken")
            if kind == "log" and len(items) in (1, 2): self.logs.append(vkey(items[0], 1, at))
            elif kind == "witness" and len(items) < 4: self.named[items[0]] = vkey(items[1], 4, at)
            elif kind == "group" and len(items) > 2:
                name, threshold, *group = items
                least = {"any": 1, "all": len(group)}.get(threshold) or decimal(threshold, at)
                check(1 <= least <= len(group), f"{at}: the threshold {least} is not between 1 and {len(group)}")
                members += group
                check(set(members) <= {*self.named} - {"none"} and len({*members}) == len(members), f"{at}: a member is unknown, or a member twice")
                self.named[name] = [least, *group]
            elif kind == "quorum" and len(items) == 1 and not self.quorum and items[0] in self.named: self.quorum = items[0]
            else: raise Untrue(f"{at}: expected a log, witness, group, or one quorum of known name, found {line[:40]!r}")
        self.witnesses = [key for key in self.named.values() if isinstance(key, tuple)]
        check(self.quorum and self.logs, f"{where}: no quorum line, or no log")
        for keys in (self.logs, self.witnesses): check(len({key[2] for key in keys}) == len(keys), f"{where}: a public key stands twice")

    def holds(self, name, seen):
        what = self.named[name]
        return what in seen if isinstance(what, tuple) else sum(self.holds(member, seen) for member in what[1:]) >= what[0]

    def open(self, note, where, quorum=True):
        """Checks a checkpoint; gives origin, size, root, and who cosigned in words."""
        text, _, lines = note.rpartition("\n\n")
        text, fields, signed, seen = text + "\n", text.split("\n"), False, {}
        form = len(note) <= 65536 and note.endswith("\n") and "\t" not in note and len(fields) >= 3 and all(fields) and lines.count("\n") <= 64
        check(form, f"{where}: not origin, size, root, an empty line, signatures")
        size, root = decimal(fields[1], f"{where}, size"), unbase64(fields[2], f"{where}, root", 32)
        for line in lines[:-1].split("\n"):
            dash, name, data = (line.split(" ") + ["", ""])[:3]
            check(dash == "\u2014" and line.count(" ") == 2 and is_key_name(name), f"{where}: not a signature line: {line[:40]!r}")
            data = unbase64(data, f"{where}, signature of {name}")
            check(len(data) > 4, f"{where}, signature of {name}: nothing stands behind the key's id")
            for key in (key for key in self.logs + self.witnesses if key[:2] == (name, data[:4])):
                time = int.from_bytes(data[4:12], "big") if key in self.witnesses else None
                head, signature = ("", data[4:]) if time is None else (f"cosignature/v1\ntime {time}\n", data[12:])
                holds = (time or 0) < 2**63 and ed25519(key[2], (head + text).encode(), signature)
                check(holds, f"{where}, signature of {name}: it does not verify: the checkpoint was changed or signed by another key")
                if time is None: signed = signed or name == fields[0]
                else: seen[key] = time
        check(signed, f"{where}, origin: no log of the policy is named {fields[0]!r} and signed it")
        reached = not quorum or self.holds(self.quorum, seen)
        check(reached, f"{where}: the policy's quorum is not reached: cosigned by {[key[0] for key in seen]}")
        return fields[0], size, root, ", ".join(f"{key[0]} at {time}" for key, time in seen.items()) or "no witness of the policy"

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
    version = 2 if entry[50:51] == b"\3" else 1                # version 2 has but this: calls that are signed together
    check(len(entry) > 50 and entry[:2] == bytes([version, 0]), f"{where}: not an entry of version 1 or 2")
    return int.from_bytes(entry[2:10], "little")

def call_of(entry, where):
    """The digests that a call's entry holds, and what happened in words; the actor's signature is checked."""
    r = Reader(entry, where, 51)
    ledger, actor, _, action, name = r.take(32), r.take(32), r.take(24), r.number(1), r.bytes()
    check(action < 2, f"{where}: unknown action {action}")
    method = r.bytes() if action == 0 else r.take(32) and b"(deploy)"
    arguments, reasons = r.bytes(), []
    message, signature = b"chancery call v1\n" + entry[51:r.at], r.take(64)
    if entry[50] == 3:                                       # signed together with others, by the root that its path leads to
        path, node = [(r.number(1), r.take(32)) for _ in range(r.number(4))], blake3(b"\0" + message)
        check(1 <= len(path) <= 16 and all(right < 2 for right, _ in path), f"{where}, path: not of 1 to 16 steps")
        for right, sibling in path: node = blake3(b"\1" + (node + sibling if right else sibling + node))
        message = b"chancery calls v1\n" + node
    check(ed25519(actor, message, signature), f"{where}, actor: the call is not signed by the actor that it names")
    _, module, outcome = r.take(32), r.take(32), r.number(1)
    check(outcome < 5, f"{where}: unknown outcome {outcome}")
    if outcome == 0: r.bytes()                               # done: the result
    if outcome == 1: r.take(2), r.bytes(), reasons.extend(r.bytes() for _ in range(r.number(4)))             # refused: code, detail, reasons
    if outcome in (2, 4): r.take(1)                          # trapped, rejected: the kind
    r.take(10), [(r.take(2), r.bytes()) for _ in range(r.number(4))]                     # gas, price list, events
    trace, _, writes = r.take(32), r.take(91 * r.number(4)), r.take(32)                  # between them: movements of money
    check(r.at == len(entry), f"{where}: bytes behind the entry")
    word = ("done", "refused", "trapped", "out of gas", "rejected")[outcome]
    said = [f"{name.decode()} {method.decode()}: {word}", f"  signed for the ledger {ledger.hex()}",
            f"  called by {actor.hex()} with the arguments {dump(arguments)}"]
    return (module, trace, writes), [*map(shown, said + [f"  not met: {reason.decode()}" for reason in reasons])]

def dump(data): return f"{data.hex() or '-'} |{''.join(chr(byte) if 32 <= byte < 127 else '.' for byte in data)}|"

def value_of(r):
    """A value of a trace (docs, formats/journal) as text."""
    kind, signed = r.number(1), lambda n: int.from_bytes(r.take(n), "little", signed=True)
    if kind == 0: return ("no", "yes")[r.number(1)]
    if kind == 1: return str(signed(8))
    if kind == 2: minor, currency, places = signed(8), r.take(3).decode(), r.number(1); return f"{Decimal(minor).scaleb(-places):f} {currency}"
    if kind == 3: return f"{signed(8)}/{signed(8)}"
    if kind == 4: return str(datetime.date(1970, 1, 1) + datetime.timedelta(signed(4)))
    if kind == 5: return f"{r.number(2):04}-{r.number(1):02}"
    return {6: lambda: r.bytes().decode(), 7: lambda: r.take(32).hex()}[kind]()

def steps_of(trace, where):
    """The reasoning, a line for each step: rule, citation, finding, what it looked at."""
    r = Reader(trace, where)
    for _ in range(r.number(4)):
        rule, citation = r.bytes().decode(), r.bytes().decode()
        inputs, finding = "; ".join(f"{r.bytes().decode()} {value_of(r)}" for _ in range(r.number(4))), r.number(1)
        found = "= " + value_of(r) if finding == 2 else {0: "met", 1: "not met", 3: "needs a person"}[finding]
        yield shown(f"    {rule}" + f" ({citation})" * bool(citation) + f": {found}" + f", from {inputs}" * bool(inputs))

# ---- The export: tile/<level>/<n>[.p/<width>], tile/entries/<n>[.p/<width>] (tlog-tiles), blobs/<2>/<64 digits> ----
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

def entries_from(directory, first, size):
    """The entries of the bundle that begins with `first`, and its path."""
    width = min(256, size - first)
    path = tile_path("entries", first // 256, width)
    return bundle(read(directory, path), width, path), path, tile_path(0, first // 256, width)

def check_entries(directory, origin, size, actors):
    """Every entry: its hash in the tile, its own place, that a call is for this ledger and stands there once, and perhaps who called."""
    leaves, ledger, requests = [], b"", {}
    for first in range(0, size, 256):
        entries, path, tile = entries_from(directory, first, size)
        hashes = read(directory, tile)
        for index, entry in enumerate(entries, first):
            where = f"{path}: entry {index}"
            leaves.append(leaf_hash(entry))
            same = leaves[-1] == hashes[(index - first) * 32:][:32]
            check(same, f"{where} is not the one that {tile} has the hash of: one of the two was edited, dropped or moved")
            says = index_of(entry, path)
            check(says == index, f"{where} says that it is entry {says}: entries were dropped or reordered")
            genesis = index > 0 or entry[50] == 0 and Reader(entry, path, 51).bytes() == origin.encode()
            check(genesis, f"{where} is not the genesis of {origin!r}")
            ledger = ledger or blake3(entry)
            if entry[50] not in (1, 3): continue
            meant, request = entry[51:83], entry[115:131]
            check(meant == ledger, f"{where} is a call for the ledger {meant.hex()}, this one is {ledger.hex()}: it was moved here from another log")
            once = requests.setdefault(request, index) == index
            check(once, f"{where} has the request id of entry {requests[request]}: one call stands in the log twice")
            if actors: call_of(entry, where)
    return leaves, ledger

def check_tiles(directory, leaves):
    """Every tile that the log needs is there, and every one that is there is right, those of earlier sizes too."""
    rows = [leaves]
    while len(rows[-1]) >= 256: rows.append([tree_root(rows[-1][i:i + 256]) for i in range(0, len(rows[-1]) - 255, 256)])
    rows, found = dict([*enumerate(rows), ("entries", leaves)]), set(files_below(directory, "tile"))
    needed = {tile_path(level, i // 256, min(256, len(row) - i)) for level, row in rows.items() for i in range(0, len(row), 256)}
    check(needed <= found, f"{min(needed - found, default='')}: missing")
    for path in sorted(found):
        match = re.fullmatch(r"tile/(entries|[0-9]+)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([0-9]+))?", path)
        level, number, width = match.groups("256") if match else ("0", "0", "0")
        level, number, width = level if level == "entries" else int(level), int(re.sub("[x/]", "", number)), int(width)
        check(1 <= width <= 256 and path == tile_path(level, number, width), f"{path}: not the path of a tile")
        expected, data = rows.get(level, [])[number * 256:][:width], read(directory, path)
        if level == "entries": data = b"".join(map(leaf_hash, bundle(data, width, path)))
        right = len(expected) == width and data == b"".join(expected)
        check(right, f"{path}: it holds another history than the entries of the checkpoint")
    return len(found)

def check_export(directory, policy, actors=False):
    origin, size, root, witnesses = policy.open(text(directory, "checkpoint"), "checkpoint")
    key = vkey(text(directory, "log.vkey").strip(), 1, "log.vkey")
    check(key in policy.logs and key[0] == origin, "log.vkey: it is not the policy's key of the checkpoint's log")
    leaves, ledger = check_entries(directory, origin, size, actors)
    found = tree_root(leaves)
    check(found == root, f"checkpoint, root: the {size} entries have the root {found.hex()}, not {root.hex()}: another history was signed")
    tiles, blobs = check_tiles(directory, leaves), list(files_below(directory, "blobs"))
    for path in blobs:
        name = blake3(read(directory, path)).hex()
        check(path == f"blobs/{name[:2]}/{name}", f"{path}: it is not the blob of that BLAKE3")
    tell(f"{origin}: {size} entries, {tiles} tiles and bundles, {len(blobs)} blobs, root {root.hex()}\n"
         f"ledger {ledger.hex()}\ncosigned by {witnesses}")
    return origin, size, leaves

# ---- Files that are handed out: docs, formats/receipt and formats/state-tree. A format is its fields, each with the pattern of its lines ----
BYTES, ID, HASHES, NOTE = "(-|[A-Za-z0-9+/]+=*)", "([0-9a-f]{64})", "((?:[A-Za-z0-9+/]{43}=\n)*)", "((?:.+\n)+\n(?:\u2014 .+\n)+)"
PROOF = [("header", "c2sp.org/tlog-proof@v1\n"), ("extra", "(?:extra ([A-Za-z0-9+/]*=*)\n)?"), ("index", "index (.+)\n"),
         ("inclusion proof", HASHES + "\n"), ("checkpoint", NOTE)]
STATE = [("header", "chancery/state-proof@v([12])\n"), ("contract", f"contract {ID}\n"), ("key", f"key {BYTES}\n"),
         ("value", f"(?:value {BYTES}|absent(?:\nneighbour {ID} {ID})?)\n"), ("siblings", f"(?:siblings (-|[01]+)\n)?{HASHES}"),
         ("seal", f"seal {BYTES}\n\n")]
RECEIPT = [("header", "chancery/receipt@v1\n"), ("entry", f"entry {BYTES}\n"), ("module", f"(?:module {BYTES}\n)?"),
           ("trace", f"(?:trace {BYTES}\n)?"), ("writes", f"(?:writes {BYTES}\n)?"), ("an empty line", "\n")]
GROWN = [("header", "chancery/consistency-proof@v1\n"), ("consistency proof", HASHES + "\n"), ("older checkpoint", NOTE + "\n"),
         ("newer checkpoint", NOTE)]
EMPTY = b"SPARSE_MERKLE_PLACEHOLDER_HASH__"

def parse(text, where, fields):
    """What the fields' patterns catch, `None` where one is left out, and the text behind them."""
    found = []
    for name, pattern in fields:
        match = re.match(pattern, text)
        check(match, f"{where}, {name}: expected {pattern!r}, found {text[:60]!r}")
        found, text = [*found, *match.groups()], text[match.end():]
    return found, text

def data_of(field, where): return field and (b"" if field == "-" else unbase64(field, where))
def hashes_of(field, where): return [unbase64(line, where, 32) for line in field.splitlines()]

def tlog_proof(text, where, policy, entry):
    """Checks that a tlog-proof leads from the entry, or the entry of its index, to a checkpoint that the policy accepts."""
    (extra, index, path, note), text = parse(text, where, PROOF)
    unbase64(extra or "", f"{where}, extra")
    index, path = decimal(index, f"{where}, index"), hashes_of(path, f"{where}, inclusion proof")
    origin, size, root, witnesses = policy.open(note, f"{where}, checkpoint")
    entry = entry(index) if callable(entry) else entry
    says = index_of(entry, f"{where}, entry")
    check(says == index < size, f"{where}, index: the entry says that it is {says}, the proof {index}, the checkpoint covers {size}")
    found = root_by(leaf_hash(entry), index, size, path, f"{where}, inclusion proof")
    check(found == root, f"{where}, inclusion proof: entry, index and hashes do not lead to the checkpoint's root")
    return origin, f"inclusion: entry {index} of {size} of {origin}, cosigned by {witnesses}", text

def siblings_of(version, levels, hashes, where):
    """The siblings of a state proof. Version 1 has no line of levels, and writes every sibling as a hash; from 2 on an empty one is a 0."""
    if version == "1" and levels is None: return hashes
    counts = levels and levels.count("1") == len(hashes) and EMPTY not in hashes and version == "2"
    check(counts, f"{where}: expected digits, as many of them 1 as there are hashes, found {levels!r} and {len(hashes)} hashes")
    given = iter(hashes)
    return [next(given) if digit == "1" else EMPTY for digit in levels.strip("-")]

def state_proof(text, where, policy):
    (version, contract, key, value, *other, levels, siblings, seal), text = parse(text, where, STATE)
    siblings = siblings_of(version, levels, hashes_of(siblings, f"{where}, siblings"), f"{where}, siblings")
    contract, key, value = bytes.fromhex(contract), data_of(key, f"{where}, key"), data_of(value, f"{where}, value")
    path = blake3(contract + struct.pack("<I", len(key)) + key, "chancery 2026 state key v1")
    leaf = [bytes.fromhex(part) for part in other] if other[0] else [path, blake3(value)] if value is not None else None
    bits, others = (f"{int.from_bytes(p, 'big'):0256b}"[:len(siblings)] for p in (path, leaf[0] if leaf else path))
    stands = len(siblings) <= 256 and bits == others and not (other[0] and leaf[0] == path)
    check(stands, f"{where}, neighbour: it does not stand where the key's path ends")
    node = blake3(b"JMT::LeafNode" + leaf[0] + leaf[1]) if leaf else EMPTY
    for bit, sibling in reversed([*zip(bits, siblings)]):
        node = blake3(b"JMT::IntrnalNode" + (sibling + node if bit == "1" else node + sibling))
    seal = data_of(seal, f"{where}, seal")
    origin, said, text = tlog_proof(text, where, policy, seal)
    check(seal[50] == 2 and len(seal) == 103, f"{where}, seal: the entry is no seal")
    check(node == seal[59:91], f"{where}, state: contract, key, value and siblings do not lead to the seal's state root")
    held, height = "nothing" if value is None else dump(value), int.from_bytes(seal[51:59], "little")
    return origin, f"state: after block {height} the key {dump(key)} of {contract.hex()} held {held}; seal: {said}", text

def receipt(text, where, policy):
    (entry, *parts), text = parse(text, where, RECEIPT)
    entry, parts = data_of(entry, f"{where}, entry"), [data_of(part, where) for part in parts]
    origin, stands, text = tlog_proof(text, where, policy, entry)
    digests, what = call_of(entry, f"{where}, entry") if entry[50] in (1, 3) else ((None,) * 3, [f"the genesis of the ledger {blake3(entry).hex()}" if entry[50] == 0 else "no call"])
    named = [(name, part, digest) for name, part, digest in zip(("module", "trace", "writes"), parts, digests) if part is not None]
    for name, part, digest in named: check(blake3(part) == digest, f"{where}, {name}: it is not the one that the entry names")
    said = "\n".join([f"receipt: {what[0]}; {stands}; with {', '.join(name for name, *_ in named) or 'nothing else'}", *what[1:]])
    if parts[1] is not None: said = "\n".join([said, "  reasoning:", *steps_of(parts[1], f"{where}, trace")])
    while text:
        state_origin, state, text = state_proof(parse(text, where, [("state proof", "\n")])[1], where, policy)
        check(state_origin == origin, f"{where}, state proof: it is of the log {state_origin!r}, the entry of {origin!r}")
        said += "\n" + state
    return origin, said, text

def consistency_proof(text, where, policy, kept=None):
    (path, old, new), text = parse(text, where, GROWN)
    old, new = policy.open(old, f"{where}, older checkpoint", quorum=False), policy.open(new, f"{where}, newer checkpoint")
    two = old[0] != new[0] or old[1] == 0
    check(not two, f"{where}: the checkpoints are of two logs, {old[0]!r} and {new[0]!r}, or the older one is empty")
    mine = policy.open(*kept, quorum=False) if kept else old
    other = f"it covers {old[1]} entries of {old[0]!r}, the one that was kept {mine[1]} of {mine[0]!r}: ask for a proof that begins with yours"
    check(mine[:2] == old[:2], f"{where}, older checkpoint: {other}")
    check(mine[2] == old[2], f"{where}, older checkpoint: its root is {old[2].hex()}, that of the one that was kept {mine[2].hex()}: "
                             f"the log signed two histories of {old[1]} entries: these two checkpoints prove it")
    check(old[1] <= new[1], f"{where}, newer checkpoint: it covers {new[1]} entries, the older one {old[1]}: the log was rolled back")
    twice = old[1] == new[1] and old[2] != new[2]
    check(not twice, f"{where}, root: the log signed two histories of {old[1]} entries: these two checkpoints prove it")
    found = roots_by(old[1], new[1], hashes_of(path, f"{where}, hashes"), old[2], f"{where}, hashes")
    check(found == (old[2], new[2]), f"{where}, hashes: they do not lead from {old[1]} to {new[1]} entries: the log was forked, or the proof changed")
    said = "the one that was kept" if kept else "compare it with that of the checkpoint that you kept; --checkpoint does"
    return old[0], (f"consistency: the {old[1]} entries of the older checkpoint begin the {new[1]} of the newer, log {old[0]}\n"
                    f"  older root {old[2].hex()} ({said})\n  newer root {new[2].hex()}"), text

def kept_checkpoint(note, where, directory, policy):
    old, new = policy.open(note, where, quorum=False), check_export(directory, policy)
    check(old[0] == new[0], f"{where}, origin: {old[0]!r}, the export is of {new[0]!r}")
    check(old[1] <= new[1], f"{where}, size: it covers {old[1]} entries, the export {new[1]}: the log was rolled back")
    found = tree_root(new[2][:old[1]])
    check(found == old[2], f"{where}, root: {old[2].hex()} over {old[1]} entries, those of the export have {found.hex()}: "
                           "the log signed two histories, and this checkpoint with the export's proves it")
    return old[0], f"consistency: its {old[1]} entries begin the {new[1]} of the export", ""

KINDS = {"chancery/receipt": receipt, "chancery/state-proof": state_proof}

def check_file(path, directory, policy, kept):
    def exported(index):
        size = policy.open(text(directory, "checkpoint"), "checkpoint")[1]
        check(index < size, f"{path}, index: the export has {size} entries, not {index}")
        return entries_from(directory, index // 256 * 256, size)[0][index % 256]
    content = text("", path)
    kind = content.partition("@")[0]
    grown = kind == "chancery/consistency-proof"
    check(grown or not kept, f"{path}: not a consistency proof: only one of these is held against --checkpoint")
    if grown: _, said, rest = consistency_proof(content, path, policy, kept)
    elif kind == "c2sp.org/tlog-proof": _, said, rest = tlog_proof(content, path, policy, exported)
    elif kind in KINDS: _, said, rest = KINDS[kind](content, path, policy)
    else: _, said, rest = kept_checkpoint(content, path, directory, policy)
    check(not rest, f"{path}: something stands behind the end: {rest[:40]!r}")
    tell(f"{path}: {said}")

def main(arguments):
    actors, given = "--actors" in arguments, {"--policy": None, "--checkpoint": None}
    arguments = [argument for argument in arguments if argument != "--actors"]
    for name in given:
        if name in arguments[:-1]: given[name] = arguments.pop(arguments.index(name) + 1); arguments.remove(name)
    own, kept = given.values()
    if not arguments or any(argument.startswith("--") for argument in arguments): sys.exit(__doc__)
    try:
        directory, *files = arguments
        if not os.path.isdir(directory): sys.exit(f"{directory} is no directory: expected DIR before the files; without an export `. --policy P FILE...`")
        if kept and not files: sys.exit("--checkpoint KEPT is for consistency proofs; one that is held against the export itself is a FILE: `DIR KEPT`")
        policy = Policy(text("" if own else directory, own or "policy"), own or "policy")
        if not own: tell("believed by the policy in DIR; compare its key with one from elsewhere: " + ", ".join(map(spelt, policy.logs)))
        if actors or not files: check_export(directory, policy, actors)
        for path in files: check_file(path, directory, policy, kept and (text("", kept), kept))
        print("verified")
    except Untrue as untrue: sys.exit(shown(f"NOT VERIFIED: {untrue}"))
    except (ValueError, IndexError, KeyError, OverflowError, struct.error, RecursionError) as error: sys.exit(shown(f"NOT VERIFIED: malformed: {error!r}"))

if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")
    main(sys.argv[1:])

#!/usr/bin/env python3
"""Changes files that verify, byte by byte and by what is no part of their format, and expects verify.py to refuse each: `test.py DIR FILE...`"""
import contextlib, importlib.util, io, os, sys, tempfile

here = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("verify", os.path.join(here, "verify.py"))
verify = importlib.util.module_from_spec(spec)
spec.loader.exec_module(verify)

def verdict(directory, data, path):
    """Whether verify.py, run as a program on this file, ends with status 0."""
    with open(path, "wb") as file: file.write(data)
    with contextlib.redirect_stdout(io.StringIO()):
        try: verify.main([directory, path])
        except SystemExit as end: return end.code in (0, None)
    return True

# Behind the last signature of a checkpoint: a line of an unknown key is ignored, one that is no signature line makes it no note.
LINES = [("\u2014 stranger AAAAAAA=\n", True), ("\u2014 strange+r AAAAAAA=\n", False), ("\u2014 strange\u00a0r AAAAAAA=\n", False),
         ("\u2014 stranger AAAAAA==\n", False), ("\u2014 stranger AAAAAAA=\n" * 65, False)]

def cut_policies(directory):
    """Every beginning of the policy: whatever it says by then, it is refused, since its last line does not end, or the quorum is missing."""
    text = verify.text(directory, "policy")
    for end in range(len(text)):
        try: verify.Policy(text[:end], "policy")
        except verify.Untrue: continue
        yield f"the policy cut after {end} bytes: expected refused"

def main(directory, *files):
    wrong = [*cut_policies(directory)]
    passed = int(not wrong)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        for name in files:
            with open(name, "rb") as file: data = file.read()
            if len(data) > 4000: continue                    # the module in it is covered by its BLAKE3, byte by byte alike
            cases = [(data, True, "as it is"), (data + b"\n", False, "with a line feed behind"), (data[:-1], False, "without its last byte"), (b"", False, "empty")]
            for at in range(0, len(data), 17): cases.append((data[:at] + bytes([data[at] ^ 1]) + data[at + 1:], False, f"with byte {at} changed"))
            cases += [(data + line.encode(), expected, f"with the line {line[:30]!r}") for line, expected in LINES]
            header, _, rest = data.partition(b"\n")
            if header.startswith(b"chancery/consistency-proof"): cases.append((header + b"\n" + b"A" * 43 + b"=\n" + rest, False, "with a hash too many"))
            # That another key is absent may be as true; see docs, formats/receipt.
            if b"\nabsent\n" in data: cases = [case for case in cases if case[2].startswith(("as", "with a", "without", "empty"))]
            for changed, expected, what in cases:
                if verdict(directory, changed, path) == expected: passed += 1
                else: wrong.append(f"{name} {what}: expected {'verified' if expected else 'refused'}")
    for line in wrong: print(line)
    print(f"verify.py: {passed} passed, {len(wrong)} failed")
    sys.exit(bool(wrong))

main(*sys.argv[1:])

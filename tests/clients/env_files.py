"""Reads the files of `env_cases` with every parser, before and after our edit, and compares.

After the edit a parser must read the same variables as before, plus our variable with our value. A file that a parser
rejects before the edit (an unclosed quote in a shell, a blank in a name for Docker), or in which it does not see the line
that we replace, proves nothing: it is counted and skipped.
"""

import io
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dotenv

CLIENTS = Path(sys.argv[1])
MARK = "\ufeff"
logging.disable(logging.CRITICAL)  # python-dotenv's warnings about invalid lines

NODE = """
const { parse } = require(process.argv[1]);
const lines = require('readline').createInterface({ input: process.stdin });
lines.on('line', line => {
  const read = hex => parse(Buffer.from(hex, 'hex'));
  const [before, after] = JSON.parse(line);
  process.stdout.write(JSON.stringify([read(before), read(after)]) + '\\n');
});
"""

# Each file gets its own process with an empty environment. `env` represents any started program. The first argument is a
# command that checks a file beforehand.
SHELL = """
check="$1"; shift
for file do
  $check "$file" </dev/null 2>/dev/null || continue
  printf '%s\\n\\0' "$file"
  ( set -a; . "$file" >/dev/null; exec /usr/bin/env -0 ) </dev/null 2>/dev/null
done
"""


def node(version):
    def read(cases):
        pairs = "".join(json.dumps([case["before"], case["after"]]) + "\n" for case in cases)
        ran = subprocess.run(["node", "-e", NODE, CLIENTS / "node_modules" / f"dotenv-{version}"], input=pairs,
                             stdout=subprocess.PIPE, text=True, check=True)
        return [json.loads(line) for line in ran.stdout.split("\n")[:-1]]

    return read


def python(cases):
    def read(hexed):
        try:
            stream = io.StringIO(io.TextIOWrapper(io.BytesIO(bytes.fromhex(hexed)), "utf-8").read())
        except UnicodeDecodeError:
            return None
        return {name: value for name, value in dotenv.dotenv_values(stream=stream).items() if not name.startswith(MARK)}

    return [(read(case["before"]), read(case["after"])) for case in cases]


def docker(cases):
    """Parses by the rules of `docker run --env-file`, from docker/cli pkg/kvfile/kvfile.go (v28) and its manual.

    Lines are split as by bufio.ScanLines. A UTF-8 byte order mark before the first line and leading blanks are dropped.
    Empty lines and lines that begin with `#` are skipped. The name ends at the first `=`; an empty name, a name with a
    blank, or bytes that are not UTF-8 reject the file. The value is everything after the `=`, including quotes, blanks and
    `#`. A name without `=` is taken from the environment, which is empty here.
    """

    def read(hexed):
        found = {}
        for number, line in enumerate(bytes.fromhex(hexed).split(b"\n")):
            line = line.removesuffix(b"\r")
            try:
                line = line.decode()
            except UnicodeDecodeError:
                return None
            line = (line.removeprefix(MARK) if number == 0 else line).lstrip()
            if not line or line.startswith("#"):
                continue
            name, equals, value = line.partition("=")
            if not name or any(letter.isspace() for letter in name):
                return None
            if equals:
                found[name] = value
        return found

    return [(read(case["before"]), read(case["after"])) for case in cases]


def shell(name):
    def read(cases):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for number, case in enumerate(cases):
                for when in ("before", "after"):
                    path = os.path.join(folder, f"{number}.{when}")
                    Path(path).write_bytes(bytes.fromhex(case[when]))
                    paths.append(path)
            found = {}
            # At a syntax error bash continues with part of the file, unlike other shells, so it checks the file first.
            path = shutil.which(name)
            command = [path, "-c", SHELL, name, f"{path} -n" if name == "bash" else ":"]
            for at in range(0, len(paths), 500):
                ran = subprocess.run([*command, *paths[at:at + 500]], env={"PATH": "/nonexistent"}, cwd=folder,
                                     stdout=subprocess.PIPE, check=False)
                for entry in ran.stdout.split(b"\0"):
                    if entry.endswith(b"\n") and entry[:-1].decode("latin-1") in paths_of(paths, at):
                        now = found.setdefault(entry[:-1].decode("latin-1"), {})
                    elif entry:
                        key, _, value = entry.partition(b"=")
                        now[key.decode("latin-1")] = value.decode("latin-1")
        own = {"_", "PWD", "SHLVL", "OLDPWD"}
        dicts = [{key: value for key, value in found.get(path, {}).items() if key not in own} or None for path in paths]
        return list(zip(dicts[::2], dicts[1::2]))

    known = {}

    def paths_of(paths, at):
        if known.get("at") != (id(paths), at):
            known.update(at=(id(paths), at), paths=set(paths[at:at + 500]))
        return known["paths"]

    return read


def is_inside_open_quote(before, after, variable):
    """Returns whether the only change is in a value that contains our line, because of an open quote above it."""
    return all(after.get(name) == value or variable in (value or "") for name, value in before.items())


def compare(name, cases, reads, value_as_read):
    agreed = refused = unseen = 0
    for case, (before, after) in zip(cases, reads, strict=True):
        variable = case["variable"]
        if before is None:
            refused += 1
            continue
        expected = {**before, variable: value_as_read(case)}
        if after == expected:
            agreed += 1
        elif case["is_there"] and variable not in before and after is not None and is_inside_open_quote(before, after, variable):
            unseen += 1
        else:
            shown = {key: (expected.get(key), (after or {}).get(key)) for key in {*expected, *(after or {})}
                     if after is None or expected.get(key) != after.get(key)}
            sys.exit(f"{name} reads unexpected values.\n  expected and read: {shown}\n"
                     f"  before: {bytes.fromhex(case['before'])!r}\n  after:  {bytes.fromhex(case['after'])!r}")
    return agreed, refused, unseen


def assert_lossless(cases):
    """Compares bytes: the edit adds or replaces one range, and removal deletes only that range."""
    kept = 0
    for case in cases:
        before, after = bytes.fromhex(case["before"]), bytes.fromhex(case["after"])
        variable = case["variable"].encode()
        if case["withdrawn"] is None:
            continue
        end = bytes.fromhex(case["withdrawn"])
        if case["is_there"]:
            # One range is removed, including the earlier line; after a byte order mark a newline may remain.
            for moved in (MARK.encode() + b"\n", MARK.encode() + b"\r\n"):
                if after.startswith(moved) and not before.startswith(moved):
                    end = MARK.encode() + end.removeprefix(moved)
            head, tail = os.path.commonprefix([before, end]), os.path.commonprefix([before[::-1], end[::-1]])
            assert len(end) <= len(head) + len(tail), case
            assert before.count(variable) > end.count(variable), case
        else:
            assert after.startswith(before) and after[len(before):].strip().startswith(variable + b"="), case
            assert end.startswith(before) and end[len(before):] in (b"", b"\n", b"\n\n", b"\r\n"), case
        kept += 1
    return kept


def main():
    lines = [json.loads(line) for line in (CLIENTS / "cases.jsonl").read_text().split("\n")[:-1]]
    cases, refused = lines[:-1], lines[-1]["refused"]
    quoted = sum(f"'{case['value']}'".encode() in bytes.fromhex(case["after"]) for case in cases)
    print(f"{len(cases)} files written, {quoted} with a value in single quotes; {refused} edits refused")
    print(f"{'lossless':<20} {assert_lossless(cases):>7} files are unchanged, except for our line, after its removal")

    def plain(case):
        return case["value"]

    def docker_value(case):
        quoted = f"'{case['value']}'"
        is_quoted = f"{case['variable']}={quoted}".encode() in bytes.fromhex(case["after"])
        return quoted if is_quoted else case["value"]

    # A shell needs a process for each file, so it gets fewer files. A shell keeps the CR of a CRLF in the value, and a file
    # that turns off `allexport` exports nothing afterwards; both are skipped.
    def is_for_shells(case):
        after = bytes.fromhex(case["after"])
        return b"\r" not in after and b"set +o allexport" not in after

    for_shells = [case for case in cases if is_for_shells(case)][: max(1000, len(cases) // 20)]
    readers = [
        ("dotenv 16.6.1", node(16), cases, plain),
        ("dotenv 17.4.2", node(17), cases, plain),
        ("python-dotenv 1.2.4", python, cases, plain),
        ("docker --env-file", docker, cases, docker_value),
    ]
    shells = {os.path.realpath(shutil.which(name)): name for name in ("sh", "dash", "bash") if shutil.which(name)}
    readers += [(name, shell(name), for_shells, plain) for name in shells.values()]
    for name, read, subset, value_as_read in readers:
        start = time.monotonic()
        agreed, refused, unseen = compare(name, subset, read(subset), value_as_read)
        seconds = time.monotonic() - start
        print(f"{name:<20} {agreed:>7} read as expected; skipped: {refused} rejected before, {unseen} without the line"
              f"  ({seconds:.1f} s)", flush=True)
        assert agreed > len(subset) // 3, "too many files were skipped"


if __name__ == "__main__":
    main()

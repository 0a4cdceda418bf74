#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares docs/protocol.md with ops.def and messages.def: every operation and every
message has its row, with the numbers, flags and fields of the code, and no other row."""
import pathlib
import re
import sys

FLAGS = {
    "OP_UNAUTHENTICATED": "U",
    "OP_CHANGES": "C",
    "OP_PEER": "P",
    "OP_NO_RESEND": "N",
    "OP_ONCE": "O",
    "OP_REQUEST_PAYLOAD": "Q",
    "OP_REPLY_PAYLOAD": "R",
    "OP_ANY_TARGET": "A",
    "OP_ORDERED": "D",
}


def ops_of_code(text):
    for number, name, request, reply, flags in re.findall(
        r"^OP\((\d+), (\w+), (\w+), (\w+), ([^)]*)\)", text, re.M
    ):
        letters = {FLAGS[flag.strip()] for flag in flags.split("|") if flag.strip() != "0"}
        yield (number, name, request, reply, "".join(sorted(letters)))


def ops_of_docs(text):
    for number, name, request, reply, flags in re.findall(
        r"^\| (\d+) \| `([A-Z_]+)` \| `(\w+)` \| `(\w+)` \|([ A-Z]*)\|", text, re.M
    ):
        yield (number, name, request, reply, "".join(sorted(flags.split())))


def messages_of_code(text):
    for name, body in re.findall(r"^MSG_BEGIN\((\w+)\)(.*?)^MSG_END", text, re.M | re.S):
        fields = re.findall(r"^MSG_FIELD\((\w+), (\w+)\)", body, re.M)
        yield (name, " ".join(f"{kind} {field}" for kind, field in fields))


def messages_of_docs(text):
    start = text.index("| message | fields")
    table = text[start : text.index("\n\n", start)]
    for name, fields in re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.M):
        yield (name, " ".join(" ".join(f) for f in re.findall(r"([A-Z]\w*) `(\w+)`", fields)))


def compare(what, code, docs):
    code, docs = set(code), set(docs)
    for row in sorted(code - docs):
        print(f"{what}: docs/protocol.md has no row {row}")
    for row in sorted(docs - code):
        print(f"{what}: docs/protocol.md has a row that the code has not: {row}")
    if not code:
        print(f"{what}: none found in the code")
    return code == docs and bool(code)


def main():
    root = pathlib.Path(sys.argv[1])
    docs = (root / "docs/protocol.md").read_text(encoding="utf-8")
    ops = (root / "common/proto/ops.def").read_text(encoding="utf-8")
    messages = (root / "common/proto/messages.def").read_text(encoding="utf-8")
    is_same = compare("operations", ops_of_code(ops), ops_of_docs(docs))
    is_same = compare("messages", messages_of_code(messages), messages_of_docs(docs)) and is_same
    sys.exit(0 if is_same else 1)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that config.schema.json, the table of settings in C and docs/config.md agree.

usage: check_schema.py CONFIG_DUMP SCHEMA DOCS
"""
import json
import os
import re
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is not installed")
    sys.exit(77)

# Documents, and whether schema and reader must both accept them.
SAMPLES = [
    ({}, True),
    ({"enable": True}, True),
    ({"enable": "on", "mount": "/scratch", "store": "disk", "capacity": "10G"}, True),
    ({"capacity": 1073741824, "chunk_size": "512KiB", "shards": 2}, True),
    ({"capacity": "1.5T", "chunk_size": 65536}, True),
    ({"capacity": "auto", "shards": "auto", "interface": "", "report": ""}, True),
    ({"stage_in": ["/pfs/in:/in", "/pfs/*.dat:/in"], "stage_out": []}, True),
    ({"interface": "10.1.0.0/16"}, True),
    ({"interface": "fd00::/8", "connection_mode": "address"}, True),
    ({"request_timeout": "500ms", "log_level": "debug", "client_limit": 1}, True),
    ({"store": "/local/ssd", "report": "/home/u/report.json"}, True),
    ({"colour": "red"}, False),
    ({"enable": "yes"}, False),
    ({"enable": 1}, False),
    ({"mount": "benchfs"}, False),
    ({"mount": ""}, False),
    ({"mount": 7}, False),
    ({"store": "tape"}, False),
    ({"capacity": "12Q"}, False),
    ({"capacity": -1}, False),
    ({"capacity": 1.5}, False),
    ({"capacity": None}, False),
    ({"chunk_size": "auto"}, False),
    ({"stage_in": "/pfs/in:/in"}, False),
    ({"stage_in": ["/pfs/in"]}, False),
    ({"stage_in": ["pfs/in:/in"]}, False),
    ({"stage_out": [1]}, False),
    ({"shards": 0}, False),
    ({"shards": 65}, False),
    ({"client_limit": 0}, False),
    ({"client_limit": "many"}, False),
    ({"request_timeout": 30}, False),
    ({"request_timeout": "30"}, False),
    ({"connection_mode": "carrier-pigeon"}, False),
    ({"log_level": "loud"}, False),
    ([], False),
]

failures = []


def check(condition, text):
    if not condition:
        failures.append(text)


def check_settings(settings, schema):
    properties = schema["properties"]
    names = [setting["name"] for setting in settings]
    check(list(properties) == names, f"schema has {list(properties)}, C has {names}")
    check(schema.get("additionalProperties") is False, "schema allows unknown keys")
    for setting in settings:
        name = setting["name"]
        entry = properties.get(name, {})
        default = entry.get("default")
        text = {True: "on", False: "off"}.get(default, default) \
            if isinstance(default, bool) else default
        if setting["type"] == "list":
            check(default == [], f"{name}: default of a list is not []")
        else:
            check(str(text) == setting["default"],
                  f"{name}: default is {text!r} in the schema, "
                  f"{setting['default']!r} in C")
        check(entry.get("description", "").lower().rstrip(".")
              == setting["help"].lower(),
              f"{name}: description differs from the help in C")
        check_range(setting, entry)
        env = "BENCHFS" if name == "enable" else "BENCHFS_" + name.upper()
        check(setting["env"] == env, f"{name}: environment variable is not {env}")
        option = env.lower().replace("_", "-")
        check(setting["option"] in ("", option), f"{name}: option is not --{option}")


def check_range(setting, entry):
    name = setting["name"]
    if setting["choices"]:
        check(entry.get("enum") == setting["choices"], f"{name}: choices differ")
    for part in entry.get("anyOf", []):
        if part.get("type") == "integer":
            check(part.get("minimum") == setting["min"], f"{name}: minimum differs")
            check(part.get("maximum") == setting["max"], f"{name}: maximum differs")


def read_docs_table(path):
    rows = {}
    with open(path, encoding="utf-8") as docs:
        for line in docs:
            cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
            match = re.fullmatch(r"`([a-z_]+)`", cells[0])
            if match and len(cells) == 5:
                rows[match.group(1)] = cells[1:]
    return rows


def check_docs(settings, path):
    rows = read_docs_table(path)
    names = [setting["name"] for setting in settings]
    check(list(rows) == names, f"docs have {list(rows)}, C has {names}")
    for setting in settings:
        name = setting["name"]
        if name not in rows:
            continue
        value, default, where, _ = rows[name]
        argument = setting["argument"].replace("|", "\\|")
        check(value == f"`{argument}`", f"{name}: docs say value {value}")
        expected = f"`{setting['default']}`" if setting["default"] else "none"
        check(default == expected, f"{name}: docs say default {default}")
        if setting["option"]:
            expected = "option"
        elif setting["is_privileged"]:
            expected = "root"
        else:
            expected = "file"
        check(where == expected, f"{name}: docs say set by {where}, not {expected}")


def is_accepted_by_reader(dump, document, directory):
    path = os.path.join(directory, "sample.json")
    with open(path, "w", encoding="utf-8") as sample:
        json.dump(document, sample)
    run = subprocess.run([dump, path], capture_output=True, text=True, check=False)
    check(run.returncode in (0, 1), f"{document}: reader ended with {run.returncode}")
    return run


def check_samples(dump, validator):
    with tempfile.TemporaryDirectory(prefix="benchfs-unit.") as directory:
        for document, is_good in SAMPLES:
            check(validator.is_valid(document) == is_good,
                  f"{document}: schema should say {is_good}")
            run = is_accepted_by_reader(dump, document, directory)
            check((run.returncode == 0) == is_good,
                  f"{document}: reader should say {is_good}: {run.stderr}")
            if run.returncode == 0:
                errors = [e.message for e in validator.iter_errors(json.loads(run.stdout))]
                check(not errors, f"{document}: written back: {errors}")


def main():
    dump, schema_path, docs_path = sys.argv[1:]
    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    run = subprocess.run([dump], capture_output=True, text=True, check=True)
    settings = json.loads(run.stdout)
    check_settings(settings, schema)
    check_docs(settings, docs_path)
    check_samples(dump, jsonschema.Draft202012Validator(schema))
    for failure in failures:
        print("not ok:", failure)
    print(f"{len(settings)} settings, {len(SAMPLES)} documents, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks a JSON document, printed by PROGRAM --print, against SCHEMA."""
import json
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is not installed")
    sys.exit(77)

program, schema_path = sys.argv[1:]
output = subprocess.run([program, "--print"], check=True, capture_output=True).stdout
with open(schema_path, encoding="utf-8") as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.Draft202012Validator(schema).validate(json.loads(output))

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Staging: trees and files into the scratch and out of it, what errors look like, the
# report. On this machine alone, with `benchfs run`.
# shellcheck disable=SC2016
source "$(dirname "$0")/lib.sh"

PATH=${BENCHFS_BIN:-$test_root/build/release/bin}:$PATH
command -v benchfs >/dev/null || skip_all "benchfs is not built"
[[ -w /dev/fuse ]] || skip_all "no access to /dev/fuse"
cd "$test_dir" || exit 1

# Everything that is kept of a file: type, mode, time, size, link.
listing() { # DIR
    (cd "$1" && find . -mindepth 1 -type d -printf '%P %y %m %T@\n' -o \
        -printf '%P %y %m %T@ %s %l\n' | LC_ALL=C sort)
}
same() { diff <(listing "$1") <(listing "$2") && diff -r --no-dereference "$1" "$2"; }
with() { timeout 120 benchfs run -n 2 "$@"; }
left_overs() { find "$1" -name '*.benchfs-*'; }

# ---- a tree ----
mkdir -p in/sub/empty
cp -a /usr/include in/include
for i in {1..500}; do echo "$i" >"in/sub/$i"; done
head -c 200M /dev/urandom >in/large
truncate -s 100M in/hole
ln -s sub/1 in/link
ln -s nowhere in/dangling
chmod 700 in/sub
chmod 4755 in/large
touch -d '1999-12-31 23:59:59.123456789' in/sub in/sub/empty in/large
touch -h -d '1999-12-31 23:59:59.5' in/link

ok "in and out" with --stage-in "$PWD/in:/in" --stage-out "/in:$PWD/out" -- true
ok "is the same, times and all" same in out
is "$(left_overs out)" "" "no temporary files"
ok "holes stay holes" test "$(stat -c %b out/hole)" -lt 1000
ok "the mount sees what was staged in" with --stage-in "$PWD/in:/in" -- bash -c \
    'diff -r --no-dereference in "$BENCHFS_MOUNT/in"'
ok "what a program writes is staged out" with --stage-out "/res:$PWD/results" -- bash -c \
    'mkdir "$BENCHFS_MOUNT/res" && cp -a in/include "$BENCHFS_MOUNT/res/"'
ok "is the same" diff -r --no-dereference in/include results/include

# ---- single files and patterns ----
ok "files" with --stage-in "$PWD/in/sub/7:/d/seven" --stage-in "$PWD/in/sub/4?:/d/many" \
    --stage-out "/d:$PWD/files" --stage-out "/d/m*/*0:$PWD/zeros" -- true
is "$(cd files && find . -type f | LC_ALL=C sort | xargs)" \
    "$(printf './many/%s ' {40..49})./seven" "go where they should"
is "$(ls zeros)" 40 "a pattern of the scratch"

# ---- errors ----
output=$(with --stage-in "$PWD/none:/x" -- touch ran 2>&1)
is $? 1 "a source that is missing fails"
like "$output" "$PWD/none: No such file or directory" "and is named"
ok "before the program runs" test ! -e ran
output=$(with --stage-in "$PWD/in/link:/x" --stage-in "$PWD/no*ne:/y" -- true 2>&1)
like "$output" "$PWD/no\*ne: no file matches" "a pattern without a match"
mkdir -p clash/1
output=$(with --stage-in "$PWD/in/sub:/in" --stage-out "/in:$PWD/clash" -- true 2>&1)
is "$?" 1 "an error of the stage-out is the command's"
like "$output" "$PWD/clash/1: Is a directory" "and is named"
is "$(cat clash/2)" 2 "the others are there"
is "$(left_overs clash)" "" "and nothing else"
output=$(with --capacity 64MiB --stage-in "$PWD/in:/in" -- true 2>&1)
like "$output" "No space left on device" "a scratch that is too small"

# ---- the report ----
ok "with a report" env BENCHFS_REPORT="$PWD/report.json" benchfs run -n 2 \
    --stage-in "$PWD/in:/in" --stage-out "/in/sub:$PWD/sub" -- sleep 0.2
is "$(python3 -c '
import json
r = json.load(open("report.json"))
print(r["stage_in"]["files"], r["stage_out"]["files"], r["stage_out"]["errors"],
      0.2 <= r["run"]["seconds"] < 5, r["stage_in"]["seconds"] > 0)')" \
    "$(find in ! -type d | wc -l) 500 0 True True" "its numbers"
if python3 -c 'import jsonschema' 2>/dev/null; then
    ok "is as its schema says" python3 -c '
import json, jsonschema, sys
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))
' report.json "$test_root/schemas/report.schema.json"
else
    skip 1 "no python3-jsonschema"
fi

# ---- while a program runs ----
output=$(with -- bash -c 'benchfs stage-in "$PWD/in/include:/i" && benchfs status &&
    benchfs stage-out "/i:$PWD/i" && benchfs stage-out /nothing:"$PWD/i"' 2>&1)
is $? 1 "the commands' status"
like "$output" "state +running" "the state goes back to running"
like "$output" "/nothing: in the scratch: No such file" "an error of theirs"
ok "the commands' result" diff -r --no-dereference in/include i

done_testing

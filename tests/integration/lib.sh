# SPDX-License-Identifier: Apache-2.0
# What every integration test starts with: TAP output without a plan written by hand, waiting
# for conditions, a directory of the test's own, clusters that are down at the end.
# Use: source "$(dirname "$0")/lib.sh"; checks...; done_testing
# shellcheck shell=bash

set -u
test_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
test_name=$(basename "$0" .t)
tap_count=0 tap_failed=0 tap_finished=0
test_at_exit=()
# Not in /tmp: the nodes of a cluster have a /tmp of their own.
test_dir=$(mktemp -d "/var/tmp/benchfs-$test_name.XXXXXX") || exit 1
chmod 0755 "$test_dir"
# A cluster name that no other run has.
test_cluster="t${test_name%%-*}-$$"

# Runs COMMAND (one string) when the test ends, however it ends; the last added runs first.
at_exit() { test_at_exit+=("$1"); }

test_end() {
    local status=$? i
    trap - EXIT
    trap '' INT TERM HUP
    for ((i = ${#test_at_exit[@]} - 1; i >= 0; i--)); do eval "${test_at_exit[i]}"; done
    rm -rf --one-file-system "$test_dir"
    if ((!tap_finished)); then
        echo "Bail out! $test_name ended early, status $status"
        exit 1
    fi
    exit $((tap_failed > 0))
}
trap test_end EXIT
trap 'exit 130' INT TERM HUP

diag() { sed 's/^/# /'; }

tap_result() { # PASSED(0|1) DESCRIPTION
    tap_count=$((tap_count + 1))
    if (($1)); then
        echo "ok $tap_count - $2"
        return 0
    fi
    tap_failed=$((tap_failed + 1))
    echo "not ok $tap_count - $2"
    return 1
}

pass() { tap_result 1 "$1"; }
fail() { tap_result 0 "$1"; }

# ok DESCRIPTION CMD...: passes if CMD exits 0; what it printed is shown if not.
ok() {
    local description=$1 status=0
    shift
    "$@" >"$test_dir/.output" 2>&1 || status=$?
    if ((status == 0)); then
        pass "$description"
        return
    fi
    fail "$description"
    { echo "status $status: $*"; tail -n 40 "$test_dir/.output"; } | diag
    return 1
}

# exits STATUS DESCRIPTION CMD...: passes if CMD exits with just that status.
exits() {
    local want=$1 description=$2 status=0
    shift 2
    "$@" >"$test_dir/.output" 2>&1 || status=$?
    is "$status" "$want" "$description" || tail -n 40 "$test_dir/.output" | diag
}

is() { # GOT WANTED DESCRIPTION
    if [[ $1 == "$2" ]]; then
        pass "$3"
        return
    fi
    fail "$3"
    printf 'got:    %s\nwanted: %s\n' "$1" "$2" | diag
    return 1
}

like() { # GOT REGEX DESCRIPTION
    if [[ $1 =~ $2 ]]; then
        pass "$3"
        return
    fi
    fail "$3"
    printf 'got:            %s\nwanted a match: %s\n' "$1" "$2" | diag
    return 1
}

skip() { # COUNT REASON
    local i
    for ((i = 0; i < $1; i++)); do
        tap_count=$((tap_count + 1))
        echo "ok $tap_count # SKIP $2"
    done
}

skip_all() { # REASON
    echo "1..0 # SKIP $1"
    tap_finished=1
    exit 0
}

done_testing() {
    echo "1..$tap_count"
    tap_finished=1
    exit $((tap_failed > 0))
}

# wait_for SECONDS CMD...: until CMD succeeds; 1 if it does not within that time.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS <= deadline)) || return 1
        sleep 0.05
    done
}

require_root() { ((EUID == 0)) || skip_all "needs root"; }

# ---- clusters ---------------------------------------------------------------------------

cluster() { "$test_root/ci/cluster" "$@"; }

# cluster_up NODES [options]: boots the cluster $test_cluster, down at the end of the test.
cluster_up() {
    local count=$1
    shift
    at_exit "cluster down --name $test_cluster >/dev/null"
    cluster up -n "$count" --name "$test_cluster" "$@"
}

# As the ordinary user on the login node, as root there, or as root inside a node.
as_user() { cluster run --name "$test_cluster" --user benchuser -- "$@"; }
as_root() { cluster run --name "$test_cluster" -- "$@"; }
in_node() { cluster exec --name "$test_cluster" "$1" -- "${@:2}"; }

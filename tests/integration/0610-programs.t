#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Programs that people use, on one scratch from two nodes: what they write is whole, and the
# other node finds it. Chunks are small, so that files of a few kilobytes are on both nodes.
# shellcheck disable=SC2016,SC2034,SC2317
source "$(dirname "$0")/lib.sh"
require_root

build=${BENCHFS_BUILD:-$test_root/build/release}
[[ -e $build/lib/benchfs_spank.so ]] || skip_all "no plugin in $build"
source "$(dirname "$0")/nodes.sh"
nodes=2
job_env=(BENCHFS_CHUNK_SIZE=64KiB)
command_s=150

# ---- sqlite3 ------------------------------------------------------------------------------

cat >"$test_dir/sqlite.py" <<'PY'
# Each process adds rows, moves an amount between two accounts, and deletes some of its rows:
# the sum stays, and the number of rows is known.
import random, sqlite3, sys
name, who, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = sqlite3.connect(name, timeout=100, isolation_level=None)
pick = random.Random(who)
for i in range(n):
    db.execute("begin immediate")
    db.execute("insert into log values (?, ?, ?)", (who, i, who * pick.randrange(1, 200)))
    a, b = pick.sample(range(10), 2)
    db.execute("update account set amount = amount - 7 where id = ?", (a,))
    db.execute("update account set amount = amount + 7 where id = ?", (b,))
    if i % 5 == 4:
        db.execute("delete from log where who = ? and i = ?", (who, i - 2))
    db.execute("rollback" if i % 10 == 9 else "commit")
PY
sqlite_make() { # FILE JOURNAL
    on 1 "python3 -c '
import sqlite3
db = sqlite3.connect(\"$1\")
print(db.execute(\"pragma journal_mode=$2\").fetchone()[0])
db.execute(\"create table log (who text, i integer, text text, primary key (who, i))\")
db.execute(\"create table account (id integer primary key, amount integer)\")
with db: db.executemany(\"insert into account values (?, 100)\", [(i,) for i in range(10)])
'"
}
# Of 40 transactions 4 are taken back; of the other 36, 4 delete a row besides (those at 9, 19,
# 29, 39 are taken back with their deletion).
sqlite_check() { # FILE PROCESSES
    agree "python3 -c '
import sqlite3
db = sqlite3.connect(\"$1\")
print(db.execute(\"pragma integrity_check\").fetchone()[0],
      db.execute(\"select count(*) from log\").fetchone()[0],
      db.execute(\"select sum(amount) from account\").fetchone()[0])
'" | tee /dev/stderr | grep -qx "ok $((32 * $2)) 1000"
}
sqlite_run() { # FILE
    echo "for p in 1 2 3; do
        python3 $test_dir/sqlite.py $1 \$node-\$p 40 & pids=\"\$pids \$!\"
    done
    for pid in \$pids; do wait \$pid || exit 1; done"
}
sqlite_one_node() {
    sqlite_make one.db delete && on 1 "$(sqlite_run one.db)" && sqlite_check one.db 3
}
sqlite_both_nodes() { # fcntl locks between nodes
    sqlite_make two.db delete && everywhere "$(sqlite_run two.db)" && sqlite_check two.db 6
}
sqlite_wal() { # its index is a shared mapping: one node's processes only
    sqlite_make wal.db wal && on 2 "$(sqlite_run wal.db)" && sqlite_check wal.db 3
}

# ---- git ----------------------------------------------------------------------------------

git_make() {
    on 1 'git init -q -b main origin && cd origin && git config gc.auto 0 || exit 1
        for round in 1 2 3 4 5; do
            for d in a b c d e; do
                mkdir -p $d/$round
                for f in {1..12}; do seq $((round * f)) $((round * f * 40)) >$d/$round/$f; done
                seq $((round * 1000)) >$d/all
            done
            ln -sf all a/link; chmod +x b/all
            git add -A && git commit -q -m "round $round" && git tag r$round || exit 1
        done'
}
git_clone_gc() {
    everywhere 'git clone -q --no-local origin clone.$node && cd clone.$node &&
        git checkout -q -b own.$node r3 && seq 99 >own && git add own && git commit -q -m own &&
        git push -q origin own.$node && git gc -q --prune=now && git fsck --strict --full &&
        git checkout -q r1 && git checkout -q main && test -z "$(git status --porcelain)"' &&
        on 2 'cd origin && git gc -q --aggressive --prune=now && git fsck --strict --full &&
            git branch --list | wc -l | grep -qx 3 && git reset -q --hard && git worktree add -q ../tree own.n1' &&
        [[ $(agree 'cd origin && git log --all --format=%T | sort | sha256sum') == *-* ]] &&
        on 1 'diff -r --exclude=.git origin clone.n2 && diff -r --exclude=.git origin clone.n1 &&
            cd tree && test -z "$(git status --porcelain)" && git rev-parse HEAD^ r3^{commit} | uniq | wc -l | grep -qx 1'
}

# ---- make ---------------------------------------------------------------------------------

# A program of 160 sources; each node makes the objects of half of them, at the same time.
project_make() {
    on 1 'mkdir -p build/src build/inc && cd build || exit 1
        for i in {1..160}; do
            echo "int f$i(int);" >inc/f$i.h
            printf "#include \"f%d.h\"\n#include \"f%d.h\"\n%s\n" $i $((i % 160 + 1)) \
                "int f$i(int n) { return n <= 0 ? $i : f$((i % 160 + 1))(n - 1); }" >src/f$i.c
        done
        printf "%s\n" "#include <stdio.h>" "#include \"f1.h\"" \
            "int main(void) { return printf(\"%d\\n\", f1(1000)) < 0; }" >src/main.c
        cat >Makefile <<"MAKE"
CFLAGS = -O1 -g -Iinc -MMD
sources := $(sort $(wildcard src/*.c))
objects := $(sources:src/%.c=obj/%.o)
half := $(shell expr $(words $(objects)) / 2)
prog: $(objects); $(CC) -o $@ $^
obj/%.o: src/%.c | obj; $(CC) $(CFLAGS) -c -o $@ $<
obj: ; mkdir -p $@
n1: $(wordlist 1,$(half),$(objects))
n2: $(wordlist $(half),999,$(filter-out $(wordlist 1,$(half),$(objects)),$(objects)))
lib.a: $(objects); ar crs $@ $^
-include $(wildcard obj/*.d)
.PHONY: n1 n2
MAKE'
}
project_build() {
    everywhere 'cd build && make -s -j3 $node' &&
        on 2 'cd build && make -s -j3 prog lib.a && test "$(make prog)" = "make: '"'prog'"' is up to date." &&
            ./prog | grep -qx 41 && ar t lib.a | wc -l | grep -qx 161' &&
        on 1 'cd build && ./prog | grep -qx 41 && make -q prog && touch inc/f7.h && ! make -q prog &&
            make -j3 prog | grep -c "^cc.* -c " | grep -qx 2' &&
        [[ $(agree 'cd build && make -q prog && sha256sum prog lib.a') == *lib.a ]]
}

# ---- archives and copies ------------------------------------------------------------------

# linux/ of the system's headers with links, a hole, and modes of all kinds.
tree_copies() {
    on 1 'mkdir tree1 && tar -C /usr/include -cf - linux | tar -C tree1 -xf - && cd tree1 &&
        ln -s linux/stat.h link && ln linux/stat.h hard && truncate -s 1M hole && echo x >>hole &&
        head -c 5000000 /dev/urandom >large && chmod 0400 large && chmod 2750 linux/usb &&
        mkfifo fifo && touch -d @1000000000.123456789 large linux' &&
        on 2 'mkdir tree2 && tar -C tree1 -cSf - . | tar -C tree2 -xpf - &&
            diff -r --no-dereference tree1/linux /usr/include/linux &&
            diff <(cd tree1 && find . -printf "%p %m %n %l %s %Ts\n" | grep -v "^\./*linux.* 4096" | sort) \
                <(cd tree2 && find . -printf "%p %m %n %l %s %Ts\n" | grep -v "^\./*linux.* 4096" | sort)' &&
        on 1 'rsync -aH --checksum tree2/ tree3 && rm -r tree3/linux/usb && echo x >>tree3/hole &&
            touch -d @1 tree3/linux/stat.h && echo y >tree3/new' &&
        on 2 'test "$(rsync -aH --checksum --delete --itemize-changes tree1/ tree3 |
                grep -c "linux/usb/$\|fcst.* hole\|[.]f.*t.* hard\|deleting *new")" = 4 &&
            test -z "$(rsync -aH --checksum --delete --itemize-changes tree1/ tree3)"' &&
        [[ $(agree 'cd tree3 && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum') == *-* ]] &&
        everywhere 'cp -a tree1 tree.$node && diff -r --no-dereference -x fifo tree1 tree.$node && rm -r tree.$node'
}

dbench_both() {
    everywhere 'mkdir dbench.$node && dbench -q -t 5 --warmup=0 -D dbench.$node -c /usr/share/dbench/client.txt 2 | tail -n 2 &&
        rm -r dbench.$node'
}

ok "cluster of 2 nodes" cluster_up 2 --build "$build"
job_start
is "$(agree 'findmnt -n -o FSTYPE -T . | tail -n 1')" fuse.benchfs "every node has the mount" ||
    diag <"$test_dir/srun.$nodes"
ok "sqlite3: three processes on one node" sqlite_one_node
ok "sqlite3: three processes on each of two nodes" sqlite_both_nodes
ok "sqlite3: three processes on one node, write-ahead log" sqlite_wal
ok "git: a repository" git_make
ok "git: clone, push, gc, fsck and checkout on both nodes" git_clone_gc
ok "make: a project" project_make
ok "make: each node builds a half, then together" project_build
ok "tar | tar, rsync --checksum, cp -a and diff" tree_copies
ok "dbench on both nodes" dbench_both
ok "everything can be removed" on 2 'rm -rf ./* && test -z "$(ls -A)"'
ok "the job ends well" job_end || diag <"$test_dir/srun.$nodes"
ok "and leaves nothing" wait_for 10 is_clean || remains | diag
done_testing

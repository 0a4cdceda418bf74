#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Other people's tests of file systems, as an ordinary user on the scratch of a two-node job:
# Python's own tests of os, shutil, mmap and so on, stress-ng with --verify, fio with checksums
# in every block, also read by the node that has not written them.
# BENCHFS_TEST_LONG=1: all of Python's tests, ten times the operations, more of fio's data.
# shellcheck disable=SC2016,SC2034,SC2317
source "$(dirname "$0")/lib.sh"
require_root

build=${BENCHFS_BUILD:-$test_root/build/release}
[[ -e $build/lib/benchfs_spank.so ]] || skip_all "no plugin in $build"
source "$(dirname "$0")/nodes.sh"
nodes=2 times=1 fio_size=6000k python_args=(-i '*_many_open_files' -i 'test_sparse_file_*')
job_env=(BENCHFS_CHUNK_SIZE=64KiB)
command_s=150
if [[ -n ${BENCHFS_TEST_LONG:-} ]]; then
    times=10 fio_size=200000k python_args=(-i 'test_sparse_file_*') command_s=3000
fi

# ---- Python's tests -----------------------------------------------------------------------

# *_many_open_files: trees 100 levels deep, walked again and again; a minute.
# test_sparse_file_*: they look at st_blocks, see docs/semantics.md.
python_test() { # NODE TEST...
    post "$1" "mkdir -p py.$1 tmp.$1 && cd py.$1 && TMPDIR=\$BENCHFS_MOUNT/tmp.$1 python3 -m test \
        --timeout 100 ${python_args[*]@Q} ${*:2}"
}
python_both() {
    local failed=0
    python_test 1 test_os test_mmap test_fcntl test_largefile test_glob test_filecmp test_fileio \
        test_posix test_dbm_dumb
    python_test 2 test_shutil test_pathlib test_tempfile test_tarfile test_mailbox
    for node in 1 2; do
        collect "$node" || failed=1
        echo "$text"
        [[ $text == *'result: SUCCESS'* ]] || failed=1
    done
    return $failed
}

# ---- stress-ng ----------------------------------------------------------------------------

# What each does how often. Not here: chattr, inode-flags, fiemap, file-ioctl, verity, which
# only call ioctls that a FUSE server of an ordinary user is not asked for; handle (needs
# root); binderfs, bind-mount, fanotify and the like, which are of other file systems.
stress_1='access 6 chdir 3 chmod 30 chown 100 copy-file 50 dentry 512 dir 512 dirdeep 30
    dirmany 300 dup 50 fallocate 8 fcntl 300 filename 20 flock 300 fpunch 2 fsize 20 fstat 100'
stress_2='getdent 100 hdd 300 inotify 5 io 50 iomix 100 lease 100 link 1 locka 100 lockf 100
    lockofd 100 mknod 64 open 300 rename 300 symlink 1 sync-file 5 touch 200 utime 200 xattr 2
    seek 200 readahead 20 msync 100 msyncmany 20 aiol 100 revio 100 sendfile 50 mmap 4'
stress_script() {
    echo "mkdir -p stress.\$node; cd stress.\$node || exit 1
        set -- \$1; while [ \$# -gt 1 ]; do
            timeout 60 stress-ng -q --temp-path . --verify --\$1 2 --\$1-ops \$((\$2 * $times)) -t $((4 * times)) ||
                { echo \"\$1: status \$?\"; failed=1; }
            test -z \"\$(ls -A)\" || { echo \"\$1 leaves \$(ls)\"; failed=1; rm -rf ./*; }
            shift 2
        done; exit \$failed"
}
stress_both() {
    local failed=0
    post 1 "set -- '$stress_1'; $(stress_script)"
    post 2 "set -- '$stress_2'; $(stress_script)"
    for node in 1 2; do
        collect "$node" || failed=1
        echo "$text"
    done
    return $failed
}

# ---- fio ----------------------------------------------------------------------------------

# Every block has a checksum, its offset and its generation in it.
fio_options="--verify=crc32c --verify_fatal=1 --verify_state_save=0 --numjobs=2 --size=$fio_size
    --group_reporting --minimal --fallocate=none"
fio_engines='sync 0 psync 1 pvsync2 0 libaio 0 libaio 1 io_uring 0 io_uring 1 mmap 0 posixaio 0'
fio_mixed() { # both at once: random reads and writes of all sizes, each node its own files
    everywhere "mkdir fio.\$node; cd fio.\$node; set -- $fio_engines; while [ \$# -gt 1 ]; do
        fio --name=\$1\$2 --ioengine=\$1 --direct=\$2 --iodepth=8 --rw=randrw \
            --bssplit=4k/40:12k/20:64k/20:68k/10:256k/10 --verify_backlog=200 $(echo $fio_options) >out 2>&1 ||
            { cat out; exit 1; }
        shift 2; done"
}
fio_read() { # FILES READS: fio compares when it reads what is there
    echo "cd cross && fio --name=$1 --ioengine=psync --rw=$2 --bs=20k $(echo $fio_options)"
}
fio_crosswise() { # one node writes, the other checks
    on 1 "mkdir cross; cd cross; for engine in psync mmap libaio; do
        fio --name=\$engine --ioengine=\$engine --iodepth=8 --rw=randwrite --bs=20k --do_verify=0 \
            $(echo $fio_options) >out 2>&1 || { cat out; exit 1; }; done" &&
        on 2 "$(fio_read psync randread)" && on 2 "$(fio_read mmap read)" &&
        on 2 "$(fio_read libaio randread)" &&
        # a byte that is wrong is found: the check can fail
        on 1 'cd cross && printf x | dd of=psync.0.0 bs=1 seek=30000 conv=notrunc status=none' &&
        ! on 2 "$(fio_read psync read)"
}

ok "cluster of 2 nodes" cluster_up 2 --build "$build"
job_start
is "$(agree 'findmnt -n -o FSTYPE -T . | tail -n 1')" fuse.benchfs "every node has the mount" ||
    diag <"$test_dir/srun.$nodes"
ok "Python's tests" python_both
ok "stress-ng's stressors" stress_both
ok "fio: checksums of mixed random I/O, all engines" fio_mixed
ok "fio: what one node writes, the other verifies" fio_crosswise
ok "everything can be removed" on 2 'rm -rf ./* && test -z "$(ls -A)"'
ok "the job ends well" job_end || diag <"$test_dir/srun.$nodes"
ok "and leaves nothing" wait_for 10 is_clean || remains | diag
done_testing

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One service per job, the same scratch in every step on every node, gone with the job: srun,
# sbatch and salloc, with and without PMIx, steps that opt out, exit statuses.
source "$(dirname "$0")/lib.sh"
require_root

build=${BENCHFS_BUILD:-$test_root/build/release}
for file in lib/benchfs_spank.so bin/benchfsd bin/benchfs-agent bin/benchfs; do
    [[ -e $build/$file ]] || skip_all "no $file in $build"
done

remains() {
    local node
    for node in n1 n2; do
        in_node "$node" bash -c 'ls -A /run/benchfs /dev/shm/benchfs 2>/dev/null |
            grep -v ":\|^$"; grep benchfs.*fuse /proc/self/mountinfo
            ps ax -o args | grep "[b]enchfsd\|[b]enchfs-agent"'
    done
}
is_clean() { [[ -z $(remains) && -z $(as_root squeue -h) ]]; }

ok "cluster of 2 nodes" cluster_up 2 --build "$build"
install -d -o benchuser "$test_dir/out" "$test_dir/in" "$test_dir/mnt"

# Each writes a file, waits for the others', and reads the one of its neighbour.
cat >"$test_dir/share.sh" <<'SHARE'
#!/bin/bash
cd "$BENCHFS_MOUNT" || exit 1
echo "from $SLURM_PROCID" >"f.$SLURM_PROCID"
for _ in $(seq 200); do [[ $(ls | wc -l) -ge $SLURM_NTASKS ]] && break; sleep 0.05; done
cat "f.$(((SLURM_PROCID + 1) % SLURM_NTASKS))"
SHARE
chmod 0755 "$test_dir/share.sh"

want="from 0 from 1 from 2 from 3"
for mpi in pmix none; do
    is "$(as_user srun -N2 -n4 --mpi=$mpi --benchfs=on "$test_dir/share.sh" | sort | xargs)" \
        "$want" "tasks of two nodes share the scratch (--mpi=$mpi)"
    ok "nothing is left" wait_for 10 is_clean || remains | diag
done
exits 3 "the program's status is srun's" as_user srun -N2 --benchfs=on bash -c 'exit 3'
is "$(as_user srun -n1 --benchfs=on --benchfs-mount="$test_dir/mnt" \
    bash -c 'echo x >$BENCHFS_MOUNT/f; ls '"$test_dir/mnt")" f "a mount point of the user's"
like "$(as_user srun -n1 --benchfs=on --benchfs-mount=/etc true 2>&1)" \
    "--benchfs-mount=/etc: neither the default" "not over a directory of others"

# With --export=NONE, Slurm gives the steps of a script no PATH.
cat >"$test_dir/job.sh" <<'JOB'
#!/bin/bash
#SBATCH -N2 --benchfs=on
echo "batch" >"$BENCHFS_MOUNT/batch"
srun -N2 --ntasks-per-node=1 /bin/cat "$BENCHFS_MOUNT/batch" | xargs echo both:
srun -N1 -n1 /bin/bash -c 'echo step >$BENCHFS_MOUNT/step'
echo "script sees $(cat "$BENCHFS_MOUNT/step")"
srun -N1 -n1 --benchfs=off /bin/bash -c 'echo "off: ${BENCHFS_SOCKET-none} $(ls /benchfs | wc -l)"'
srun -N1 -n1 --benchfs=on --benchfs-capacity=3M /bin/true || echo "other values: $?"
exit 5
JOB
for export in ALL NONE; do
    exits 5 "sbatch --export=$export" as_user sbatch -W --export=$export \
        -o "$test_dir/out/job" "$test_dir/job.sh"
    text=$(cat "$test_dir/out/job")
    like "$text" "both: batch batch" "every node sees what the script wrote" || diag <<<"$text"
    like "$text" "script sees step" "the script sees what a step wrote"
    like "$text" "off: none 0" "a step that opts out sees nothing"
    like "$text" "--benchfs-capacity: the job's burst buffer has another value" \
        "other values are refused"
    like "$text" "other values: 1" "with a status"
    ok "nothing is left" wait_for 10 is_clean || remains | diag
done

text=$(as_user salloc -N2 bash -c '
    srun -N1 -n1 --benchfs=on bash -c "echo first >\$BENCHFS_MOUNT/f" 2>&1 | cat
    srun -N2 --ntasks-per-node=1 --benchfs=on cat /benchfs/f | xargs echo on:
    srun -N2 --ntasks-per-node=1 cat /benchfs/f | xargs echo joined:' 2>&1)
like "$text" "on: first first" "salloc: the second srun finds the service of the first"
like "$text" "joined: first first" "and so does one without the option"
ok "nothing is left" wait_for 10 is_clean || remains | diag

as_user bash -c "echo data >$test_dir/in/file"
is "$(as_user srun -N2 --ntasks-per-node=1 --benchfs=on \
    --benchfs-stage-in="$test_dir/in:/in" --benchfs-stage-out="/in:$test_dir/out/result" \
    cat /benchfs/in/file 2>/dev/null | xargs)" "data data" "staged in before the tasks"
is "$(cat "$test_dir/out/result/file")" data "staged out when srun is back"
text=$(as_user srun -N2 --benchfs=on --benchfs-stage-in="$test_dir/none:/in" \
    touch "$test_dir/out/ran" 2>&1)
is "$?" 1 "a source that does not exist: status"
like "$text" "$test_dir/none" "the message names it"
ok "and no task ran" test ! -e "$test_dir/out/ran"
exits 1 "a stage-out that fails shows in srun's status" as_user srun -N2 --benchfs=on \
    --benchfs-stage-out="/nothing:$test_dir/out/x" true
ok "nothing is left" wait_for 10 is_clean || remains | diag
done_testing

#!/bin/bash
# The recipes of docker/slurm on a Slurm of one node, on this machine: a job that is stopped and comes back, and a
# sweep as a job array. As root on Debian, inside the environment: ./run tests/slurm.sh
set -eu
cd "$(dirname "$0")/.."
command -v kinlim >/dev/null || { echo "tests/slurm.sh: there is no kinlim here; start it as ./run tests/slurm.sh" >&2 && exit 2; }
here=$PWD work=$(mktemp -d)
command -v slurmctld >/dev/null || {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge
} >/dev/null 2>&1

stop() {
    scontrol shutdown >/dev/null 2>&1 || true
    pkill slurmd || true
    pkill munged || true
    rm -rf "$work"
}
trap stop EXIT

mkdir -p /run/munge /var/log/munge /etc/slurm "$work/state" "$work/spool"
chown munge: /run/munge /var/log/munge
pgrep munged >/dev/null || runuser -u munge -- /usr/sbin/munged
cores=$(nproc --all) # without it, nproc heeds OMP_NUM_THREADS, which ./run sets to 1
cat >/etc/slurm/slurm.conf <<EOF
ClusterName=one
SlurmctldHost=$(hostname -s)
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldLogFile=$work/ctld.log
SlurmdLogFile=$work/d.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MinJobAge=600
OverTimeLimit=0
KillWait=20
NodeName=$(hostname -s) CPUs=$cores Boards=1 SocketsPerBoard=1 CoresPerSocket=$cores ThreadsPerCore=1 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
cat >/etc/slurm/cgroup.conf <<EOF
CgroupPlugin=cgroup/v1
CgroupAutomount=yes
EOF
slurmctld && slurmd && sleep 3
sinfo

finished() { # finished JOB: wait until it is done, and say in which state
    while squeue -h -j "$1" 2>/dev/null | grep -q .; do sleep 2; done
    scontrol show job "$1" 2>/dev/null | grep -oE 'JobState=\w+|Restarts=[0-9]+|ExitCode=[0-9:]+' | tr '\n' ' '
    echo
}

echo "== a job that comes back"
study=$here/examples/pinned-paper.toml
sed 's/^replicas = .*/replicas = 600000/' "$study" >"$work/study.toml"
# Two minutes, and the signal 60 to 90 s before their end, as Slurm looks every 30 s; half a million
# took 36 s on two fast cores. Slurm waits two minutes before a job that was queued again may begin.
job=$(cd "$work" && sbatch --parsable --time=2 --signal=USR1@60 --ntasks="$cores" --cpus-per-task=1 \
    --output=run.txt "$here/docker/slurm/run.sbatch" study.toml results/run)
finished "$job"
tail -n 3 "$work/run.txt"
grep -c "stopped by a signal" "$work/run.txt" || true

echo "== the same, never stopped"
kinlim run "$work/study.toml" -o "$work/whole" --threads "$cores" -q | tail -n 1
kinlim diff "$work/results/run" "$work/whole"

echo "== a sweep as a job array"
sed 's/^replicas = .*/replicas = 400/' "$study" >"$work/small.toml"
points=(model.balls 100 200)
array=$(cd "$work" && sbatch --parsable --array=0-1 --cpus-per-task=1 --output=array-%a.txt \
    "$here/docker/slurm/sweep.sbatch" small.toml results/sweep "${points[@]}")
join=$(cd "$work" && sbatch --parsable --dependency=afterok:"$array" --cpus-per-task=1 --output=join.txt \
    "$here/docker/slurm/sweep.sbatch" small.toml results/sweep "${points[@]}")
finished "$join"
tail -n 3 "$work/join.txt"

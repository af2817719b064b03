# Print a host's raw counters, one per line, ended by `END <lines>`. Changes nothing, needs no root, starts no daemon.
# Runs in dash, bash and busybox sh, with control groups v1 and v2. Input, one per line:
#   base PATH | docker PATH   a filesystem to measure     id HEX64   a container to measure     gpu   ask for GPUs
LC_ALL=C
export LC_ALL
set -f
exec 2>/dev/null
newline='
'
out=''
say() { out="$out$*$newline"; }

# Where containers' control groups are, as `PARENT/` or `PARENT/docker-`; what is found elsewhere is added in front.
shapes='docker/ system.slice/docker-'
find_group() { # find_group TREE ID: set `group` to the container's folder below TREE, or to nothing
  for shape in $shapes; do
    for group in "$1/$shape$2" "$1/$shape$2.scope"; do [ -d "$group" ] && return; done
  done
  set +f
  for group in "$1"/*/"$2" "$1"/*/docker-"$2".scope "$1"/*/*/"$2" "$1"/*/*/docker-"$2".scope; do
    if [ -d "$group" ]; then
      shape=${group#"$1/"}
      shapes="${shape%%"$2"*} $shapes"
      set -f
      return
    fi
  done
  set -f
  group=''
}

top=/sys/fs/cgroup
groups=''
want_gpu=''
base=''
docker=''
while IFS=' ' read -r kind value; do
  case $kind in
    base) case $value in /*) base=$value ;; esac ;;
    docker) docker=$value ;;
    gpu) want_gpu=1 ;;
    id)
      case $value in *[!0-9a-f]*) continue ;; esac
      [ "${#value}" -eq 64 ] || continue
      if [ -e $top/cgroup.controllers ]; then
        find_group $top "$value"
        [ -n "$group" ] && groups="$groups $group/cpu.stat $group/memory.current $group/memory.stat"
      else
        find_group $top/cpuacct "$value"
        [ -n "$group" ] && groups="$groups $group/cpuacct.usage"
        find_group $top/memory "$value"
        [ -n "$group" ] && groups="$groups $group/memory.usage_in_bytes $group/memory.stat"
      fi
      # What went over a container's own interfaces stands with any of its processes; a host's have docker0 among them.
      if [ -n "$group" ] && IFS= read -r pid <"$group/cgroup.procs"; then
        say "pid $value $pid"
        groups="$groups /proc/$pid/net/dev"
      fi
      ;;
  esac
done

# One process reads every counter; the patterns keep long lines that nobody needs out of the reply.
# shellcheck disable=SC2086  # the list of files is ours, and has no blanks
counters=$(grep -sHe '^cpu' -e '^[0-9]' -e '^[0-9a-f]*-[0-9a-f]*-' -e '^MemTotal:' -e '^MemAvailable:' -e '^MemFree:' -e '^Buffers:' \
  -e '^Cached:' -e '^SwapTotal:' -e '^SwapFree:' -e '^some' -e '^full' -e '^usage_usec' -e '^btime' -e '^ *eth' -e '^ *docker0:' \
  -e '^inactive_file ' -e '^total_inactive_file ' -e ' nfs' -e ' cifs ' -e ' fuse' -e ' ceph ' /proc/self/mounts \
  /proc/sys/kernel/random/boot_id /proc/uptime /proc/loadavg /proc/stat /proc/meminfo \
  /proc/pressure/cpu /proc/pressure/memory /proc/pressure/io $groups </dev/null)
out="$out$counters$newline"

# A dead network mount would hold whoever asks for its size; where there are any, nobody waits longer than 4 s.
can_bound=''
if command -v timeout >/dev/null; then can_bound='timeout -s KILL 4'; fi
bounded=''
case $counters in */proc/self/mounts:*) bounded=$can_bound ;; esac

# One process measures every filesystem.
set -- /
if [ -n "$base" ]; then
  while [ ! -e "$base" ] && [ -n "${base%/*}" ]; do base=${base%/*}; done
  [ -e "$base" ] || base=/
  say "at base $base"
  set -- "$@" "$base"
fi
if [ -n "$docker" ]; then
  say "at docker $docker"
  set -- "$@" "$docker"
fi
disks=$($bounded stat -f -c 'disk %S %b %a %c %d %n' "$@" </dev/null)
out="$out$disks$newline"

if [ -n "$want_gpu" ]; then
  if ! command -v nvidia-smi >/dev/null; then
    say 'cuda unknown'
  elif [ -z "$can_bound" ]; then
    say 'nogpu this host has no timeout command to bound nvidia-smi with'
  elif cards=$($can_bound nvidia-smi --format=csv,noheader,nounits \
    --query-gpu=index,memory.total,memory.used,utilization.gpu,driver_version,name </dev/null); then
    cuda=$($can_bound nvidia-smi </dev/null | sed -n 's/.*CUDA Version: *\([0-9.]*\).*/\1/p')
    say "cuda ${cuda:-unknown}"
    while IFS= read -r card; do
      [ -n "$card" ] && say "gpu $card"
    done <<CARDS
$cards
CARDS
  else
    say 'nogpu nvidia-smi failed or did not answer in 4 s'
  fi
fi

IFS=$newline
# shellcheck disable=SC2086  # splitting at newlines is how the lines are counted without another process
set -- $out
printf '%s\n' "$@" "END $#"

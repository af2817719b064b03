# Hold the lock of the base folder $1 for $2 (since $3) until the input ends, says something else than `beat`, or is
# silent for $4 seconds. First line out: `held` and the last holder's line, `busy SINCE HOLDER` or `refused CODE WHY`; then `ok` for each beat.
LC_ALL=C
export LC_ALL
umask 077
base=$1
holder=$2
since=$3
silence=$4
refuse() {
  printf 'refused %s %s\n' "$1" "$2"
  exit 0
}
# Refuse as $1 and $2 say, unless $3, what the system said, is that there is no room.
unmade() {
  case $3 in *'No space left'* | *'quota exceeded'*) refuse E_HOST_DISK 'the disk of the host is full' ;; esac
  refuse "$1" "$2"
}
for tool in flock timeout; do
  command -v "$tool" >/dev/null 2>&1 || refuse E_LOCK_TOOLS "the host has no $tool command"
done
if [ ! -e "$base" ] && [ ! -L "$base" ]; then
  said=$(mkdir -p -- "$base" 2>&1) || unmade E_BASE_DIR 'it is not there and cannot be made' "$said"
fi
cd -P -- "$base" 2>/dev/null || refuse E_BASE_DIR 'it cannot be entered'
there=$(pwd -P)
[ "$there" = "$base" ] || refuse E_BASE_DIR "it leads to $there through a symbolic link"
[ -O . ] || refuse E_BASE_DIR 'it belongs to another user'
case $(ls -ld .) in
  d????-??-*) ;;
  *) refuse E_BASE_DIR 'others may write into it' ;;
esac
[ -L .lock ] && refuse E_LOCK_FILE '.lock is a symbolic link'
[ -e .lock ] && [ ! -f .lock ] && refuse E_LOCK_FILE '.lock is not a file'
said=$( (: >>.lock) 2>&1) || unmade E_LOCK_FILE '.lock cannot be written' "$said"
exec 9<>.lock
# A look may try the lock for a moment; only who keeps it for longer has it.
flock -w 1 9
case $? in
  0) ;;
  1)
    IFS= read -r line <.lock
    printf 'busy %s\n' "$line"
    exit 0
    ;;
  *) refuse E_LOCK_FILE 'this filesystem does not lock' ;;
esac

# What a holder sends goes over the same connection as this lock. Unless it gave the lock back, end that connection
# before the lock is free: whatever a paused controller or a slow line still holds then never arrives.
cut_off() {
  [ -n "$SSH_CONNECTION" ] || return 0
  pid=$$
  for _ in 1 2 3 4; do
    pid=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$pid/status" 2>/dev/null)
    [ "${pid:-1}" -gt 1 ] || return 0
    case $(cat "/proc/$pid/comm" 2>/dev/null) in
      sshd*) kill -KILL "$pid" 2>/dev/null && return 0 ;;
    esac
  done
}

last=''
IFS= read -r last 2>/dev/null <.lock
# A full disk has no room for the holder's name, and must not keep anybody from removing what fills it.
(printf '%s %s\n' "$since" "$holder" >.lock) 2>/dev/null || :
trap 'cut_off; exit 1' PIPE
printf 'held %s\n' "$last"
# Whoever waits for a beat must not hold the lock when this script is killed.
while :; do
  timeout "$silence" sh -c 'IFS= read -r line || exit 3; case $line in beat) ;; release) exit 4 ;; *) exit 5 ;; esac' 9>&-
  case $? in
    0) echo ok ;;
    4)
      (echo released >>.lock) 2>/dev/null
      exit 0
      ;;
    *) break ;;
  esac
done
cut_off

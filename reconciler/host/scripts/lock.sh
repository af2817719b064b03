# Hold the lock of the base folder $1 for $2 (since $3) until the input ends, says something else than `beat`, or is
# silent for $4 seconds. First line out: `held EPOCH`, `busy SINCE HOLDER` or `refused CODE WHY`; then `ok` for each beat.
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
for tool in flock timeout; do
  command -v "$tool" >/dev/null 2>&1 || refuse E_LOCK_TOOLS "the host has no $tool command"
done
[ -e "$base" ] || [ -L "$base" ] || mkdir -p -- "$base" 2>/dev/null || refuse E_BASE_DIR 'it is not there and cannot be made'
cd -P -- "$base" 2>/dev/null || refuse E_BASE_DIR 'it cannot be entered'
there=$(pwd -P)
[ "$there" = "$base" ] || refuse E_BASE_DIR "it leads to $there through a symbolic link"
[ -O . ] || refuse E_BASE_DIR 'it belongs to another user'
case $(ls -ld .) in
  d????-??-*) ;;
  *) refuse E_BASE_DIR 'others may write into it' ;;
esac
for file in .lock .epoch; do
  [ -L "$file" ] && refuse E_LOCK_FILE "$file is a symbolic link"
  [ -e "$file" ] && [ ! -f "$file" ] && refuse E_LOCK_FILE "$file is not a file"
done
(: >>.lock) 2>/dev/null || refuse E_LOCK_FILE '.lock cannot be written'
exec 9<>.lock
flock -n 9
case $? in
  0) ;;
  1)
    IFS= read -r line <.lock
    printf 'busy %s\n' "$line"
    exit 0
    ;;
  *) refuse E_LOCK_FILE 'this filesystem does not lock' ;;
esac

# The epoch only grows, even where its file was lost or damaged: it is never behind the clock.
epoch=0
if [ -f .epoch ]; then IFS= read -r epoch <.epoch; fi
case $epoch in '' | *[!0-9]* | ????????????????*) epoch=0 ;; esac
epoch=$((epoch + 1))
now=$(date +%s)
if [ "$now" -gt "$epoch" ]; then epoch=$now; fi
(printf '%s\n' "$epoch" >.epoch.new && mv -f .epoch.new .epoch) 2>/dev/null || refuse E_LOCK_FILE '.epoch cannot be written'
(printf '%s %s\n' "$since" "$holder" >.lock) 2>/dev/null || refuse E_LOCK_FILE '.lock cannot be written'
printf 'held %s\n' "$epoch"
# Whoever waits for a beat must not hold the lock when this script is killed.
while timeout "$silence" sh -c 'IFS= read -r line && [ "$line" = beat ]' 9>&-; do echo ok; done

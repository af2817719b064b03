# Print who we are on this host, what stands below its base folder, and what stands at the asked paths. Changes nothing.
# Input, one per line: `base PATH`, `markers`, `root PATH`, `path PATH`, `hash PATH`. Output ends with `END <lines>`.
# A process costs a host more than all else here, so what the shell can do by itself it does.
LC_ALL=C
export LC_ALL
set -f
newline='
'
out=''
say() { out="$out$1$newline"; }
form='seen %f %u %g %s %Y %d:%i %n'
# Say of each path what stands there, that it is `absent`, or that it is `closed`: nobody may look, so nobody knows.
# One process asks about all of them, and further ones only where some are closed. What it complains of is said as well.
see() {
  found=''
  [ "$#" -gt 0 ] || return 0
  found=$(stat -c "$form" -- "$@" 2>&1) && return
  missing=''
  for path; do
    [ -e "$path" ] || [ -L "$path" ] || missing="$missing$path$newline"
  done
  gone=0
  IFS=$newline
  for line in $found; do
    case $line in
      'seen '*) ;;
      *': No such file or directory' | *': Not a directory') gone=$((gone + 1)) ;;
      *) gone=-1 && break ;;
    esac
  done
  # shellcheck disable=SC2086  # splitting at newlines is the point; patterns are off
  set -- $missing
  IFS=' '
  if [ "$gone" -ne "$#" ]; then
    found=$found$newline$(see_each "$@")
  elif [ "$gone" -gt 0 ]; then
    found=$found$newline$(printf 'absent %s\n' "$@")
  fi
}
see_each() {
  for path; do
    said=$(stat -c "$form" -- "$path" 2>&1)
    case $said in
      'seen '*) printf '%s\n' "$said" ;;
      *': No such file or directory' | *': Not a directory') printf 'absent %s\n' "$path" ;;
      *) printf 'closed %s\n' "$path" ;;
    esac
  done
}
# Say of a folder what stands directly in it, hidden names left out: `root STATE PATH`, then a line for each entry. Then
# follows `used /proc/PID/WHAT -> PATH` for each process that uses what is in it.
list() {
  listed=''
  if ! [ -e "$1" ] && ! [ -L "$1" ]; then
    case $(stat "$1" 2>&1) in
      *': No such file or directory' | *': Not a directory') say "root absent $1" ;;
      *) say "root unreadable $1" ;;
    esac
    return
  fi
  if [ -L "$1" ] || ! [ -d "$1" ] || ! [ -r "$1" ] || ! [ -x "$1" ]; then
    say "root unreadable $1"
    return
  fi
  root=$1
  set +f
  set -- "$root"/*
  set -f
  odd=''
  for path; do
    case $path in *"$newline"*) odd=yes && break ;; esac
  done
  # A name with a line break in it could pass for a line of ours.
  if [ "$#" -gt 5000 ] || [ -n "$odd" ]; then
    say "root unreadable $root"
    return
  fi
  say "root listed $root"
  listed=$root
  # What went since it was listed is no entry any more, nor is the pattern of an empty folder.
  found=$(stat -c 'entry %f %u %Y %d:%i %n' -- "$@" 2>/dev/null)
  [ -z "$found" ] || say "$found"
}
# Say who holds the lock, or held it last. Whoever gave it back has said so in the second line; where nobody has, it is
# tried, shared and for a moment: who wants to have it waits for longer than that. Free by then, it was left.
see_lock() {
  # Where it cannot be read, some shells would say below that somebody holds it.
  [ -r "$base/.lock" ] || {
    say 'lock free '
    return
  }
  holder=''
  after=''
  {
    IFS= read -r holder
    IFS= read -r after
  } 2>/dev/null <"$base/.lock"
  state=free
  if [ "$after" != released ]; then
    flock -n -s 9 9<"$base/.lock" 2>/dev/null
    case $? in
      1) state=held ;;
      *) [ -z "$holder" ] || state=left ;;
    esac
  fi
  say "lock $state $holder"
}
first_line() {
  line=''
  IFS= read -r line 2>/dev/null <"$1" || [ -n "$line" ]
}

base=''
markers=''
roots=''
paths=''
hashed=''
while IFS= read -r line; do
  case $line in
    'base '*) base=${line#base } ;;
    markers) markers=yes ;;
    'root '*) roots="$roots${line#root }$newline" ;;
    'path '*) paths="$paths${line#path }$newline" ;;
    'hash '*) hashed="$hashed${line#hash }$newline" ;;
  esac
done

say "clock $(date +%s)"
gid=''
while IFS=' 	' read -r word _ effective _; do
  case $word in
    Uid:) uid=$effective ;;
    Gid:) gid=$effective && break ;;
  esac
done 2>/dev/null </proc/self/status
[ -n "$gid" ] || { uid=$(id -u) && gid=$(id -g); }
say "user $uid $gid"
if cd -P "$HOME" 2>/dev/null; then home=$PWD; else home=$HOME; fi
say "home $home"
# shellcheck disable=SC2016  # the text itself
case $base in '${host.home}'*) base=$home${base#'${host.home}'} ;; esac
say "base $base"
first_line /etc/machine-id && say "machine $line"
first_line /proc/sys/kernel/random/boot_id && say "boot $line"
first_line /proc/stat && say "$line"

if [ -e "$base" ] || [ -L "$base" ]; then
  if cd -P "$base" 2>/dev/null && [ -r "$base" ]; then
    if [ "$PWD" != "$base" ]; then
      say "fault $base is a symbolic link, or below one: it means $PWD"
    elif ! [ -O "$base" ]; then
      say "fault $base belongs to another user (uid $(stat -c '%u' "$base" 2>/dev/null))"
    fi
  else
    say "fault $base is not a folder that we can read"
  fi
  if [ -f "$base/.lock" ] && ! [ -L "$base/.lock" ]; then see_lock; fi
  if [ -L "$base/.host-id" ]; then
    say "fault $base/.host-id is a symbolic link"
  elif [ -e "$base/.host-id" ]; then
    if first_line "$base/.host-id"; then say "host-id $line"; else say "fault $base/.host-id cannot be read"; fi
  fi
else
  said=$(stat -c '%u' "$base" 2>&1)
  case $said in
    *': No such file or directory') ;;
    *) say "fault $base cannot be looked at: ${said##*: }" ;;
  esac
fi

folders=''
hex='[0-9a-f]'
hex=$hex$hex$hex$hex$hex$hex$hex$hex
if [ -n "$markers" ]; then
  set +f
  for folder in "$base"/$hex; do
    # By name: a pattern does not match what stands in a folder that is closed to us.
    [ "$folder" = "$base/$hex" ] || folders="$folders$folder$newline$folder/.reconciler.json$newline"
  done
  set -f
fi
IFS=$newline
# shellcheck disable=SC2086  # splitting at newlines is the point; patterns are off
set -- $folders $paths
IFS=' '
see "$@"
say "$found"
if [ -n "$folders" ]; then
  IFS=$newline
  for line in $found; do
    # Plain files only (8… is their kind in hex), and none that is larger than a marker can be.
    case $line in
      'seen 8'*" $base/"$hex/.reconciler.json)
        IFS=' '
        # shellcheck disable=SC2086  # splitting at blanks is the point
        set -- $line
        name=$base/${line#*" $base/"}
        [ "$5" -le 65536 ] && first_line "$name" && say "marker $name $line"
        ;;
    esac
  done
  IFS=' '
fi

IFS=$newline
# shellcheck disable=SC2086  # splitting at newlines is the point; patterns are off
set -- $roots
IFS=' '
for root; do
  # shellcheck disable=SC2016  # the text itself
  case $root in '${host.baseDir}') root=$base ;; esac
  list "$root"
  [ -z "$listed" ] || found=$(users_of "$listed/" | sed 's/^/used /')
  [ -z "$listed" ] || [ -z "$found" ] || say "$found"
done

IFS=$newline
# shellcheck disable=SC2086  # splitting at newlines is the point; patterns are off
set -- $hashed
IFS=' '
if [ "$#" -gt 0 ]; then
  see "$@"
  say "$found"
  # One process hashes them all. It writes names with a backslash in another way, so those go in by themselves.
  whole=''
  IFS=$newline
  for line in $found; do
    IFS=' '
    # Plain files only, and none that is larger than a file of ours can be.
    case $line in 'seen 8'*) ;; *) continue ;; esac
    # shellcheck disable=SC2086  # splitting at blanks is the point
    set -- $line
    [ "$5" -gt 16777216 ] && continue
    name=${line#"$1 $2 $3 $4 $5 $6 $7 "}
    case $name in
      *\\*) sum=$(sha256sum 2>/dev/null <"$name") && say "${sum%% *}  $name" ;;
      *) whole="$whole$name$newline" ;;
    esac
  done
  IFS=$newline
  # shellcheck disable=SC2086  # splitting at newlines is the point; patterns are off
  set -- $whole
  IFS=' '
  [ "$#" -eq 0 ] || say "$(sha256sum -- "$@" 2>/dev/null)"
fi

IFS=$newline
# shellcheck disable=SC2086  # splitting at newlines is how the lines are counted without another process
set -- $out
printf '%s\n' "$@" "END $#"

# Print who we are on this host, what stands below its base folder, and what stands at the asked paths. Changes nothing.
# Input, one per line: `base PATH`, `markers`, `path PATH`, `hash PATH`. Output ends with `END <lines>`.
LC_ALL=C
export LC_ALL
set -f
newline='
'
out=''
say() { out="$out$1$newline"; }
form='seen %f %u %g %s %Y %d:%i %n'
# Say of each path what stands there, that it is `absent`, or that it is `closed`: nobody may look, so nobody knows.
# One process asks about all of them, and a second one only where some are closed.
see() {
  [ "$#" -gt 0 ] || return 0
  { said=$(stat -c "$form" -- "$@" 2>&1 1>&3 3>&-); } 3>&1
  [ -n "$said" ] || return 0
  missing=''
  for path; do
    [ -e "$path" ] || [ -L "$path" ] || missing="$missing$path$newline"
  done
  gone=0
  IFS=$newline
  for line in $said; do
    case $line in
      *': No such file or directory' | *': Not a directory') gone=$((gone + 1)) ;;
      *) gone=-1 && break ;;
    esac
  done
  # shellcheck disable=SC2086  # splitting at newlines is the point; patterns are off
  set -- $missing
  IFS=' '
  if [ "$gone" -ne "$#" ]; then
    see_each "$@"
  elif [ "$gone" -gt 0 ]; then
    printf 'absent %s\n' "$@"
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
first_line() {
  line=''
  IFS= read -r line 2>/dev/null <"$1" || [ -n "$line" ]
}

base=''
markers=''
paths=''
hashed=''
while IFS= read -r line; do
  case $line in
    'base '*) base=${line#base } ;;
    markers) markers=yes ;;
    'path '*) paths="$paths${line#path }$newline" ;;
    'hash '*) hashed="$hashed${line#hash }$newline" ;;
  esac
done

say "clock $(date +%s)"
say "user $(id -u) $(id -g)"
home=$(cd -P "$HOME" 2>/dev/null && pwd -P) || home=$HOME
say "home $home"
# shellcheck disable=SC2016  # the text itself
case $base in '${host.home}'*) base=$home${base#'${host.home}'} ;; esac
say "base $base"
first_line /etc/machine-id && say "machine $line"
first_line /proc/sys/kernel/random/boot_id && say "boot $line"

if said=$(stat -c '%u' "$base" 2>&1); then
  if real=$(cd -P "$base" 2>/dev/null && pwd -P) && [ -r "$base" ]; then
    if [ "$real" != "$base" ]; then
      say "fault $base is a symbolic link, or below one: it means $real"
    elif [ "$said" != "$(id -u)" ]; then
      say "fault $base belongs to another user (uid $said)"
    fi
  else
    say "fault $base is not a folder that we can read"
  fi
  if [ -L "$base/.host-id" ]; then
    say "fault $base/.host-id is a symbolic link"
  elif [ -e "$base/.host-id" ]; then
    if first_line "$base/.host-id"; then say "host-id $line"; else say "fault $base/.host-id cannot be read"; fi
  fi
  if [ -n "$markers" ]; then
    hex='[0-9a-f]'
    hex=$hex$hex$hex$hex$hex$hex$hex$hex
    set +f
    set -- "$base"/$hex
    set -f
    if [ -e "$1" ] || [ -L "$1" ]; then
      say "$(see "$@")"
      # By name: a pattern does not match what stands in a folder that is closed to us.
      markers=''
      for folder; do markers="$markers$folder/.reconciler.json$newline"; done
      IFS=$newline
      # shellcheck disable=SC2086  # splitting at newlines is the point; patterns are off
      set -- $markers
      IFS=' '
      found=$(see "$@")
      say "$found"
      while IFS=' ' read -r _ mode _ _ size _ _ name; do
        # Plain files only (8… is their kind in hex), and none that is larger than a marker can be.
        case $mode in 8*) [ "$size" -le 65536 ] && first_line "$name" && say "marker $name $line" ;; esac
      done <<FOUND
$found
FOUND
    fi
  fi
else
  case $said in
    *': No such file or directory') ;;
    *) say "fault $base cannot be looked at: ${said##*: }" ;;
  esac
fi

IFS=$newline
# shellcheck disable=SC2086  # splitting at newlines is the point; patterns are off
set -- $paths
IFS=' '
say "$(see "$@")"
IFS=$newline
# shellcheck disable=SC2086  # same
set -- $hashed
IFS=' '
if [ "$#" -gt 0 ]; then
  found=$(see "$@")
  set --
  while IFS=' ' read -r _ mode _ _ size _ _ name; do
    # Plain files only, and none that is larger than a file of ours can be.
    case $mode in 8*) [ "$size" -gt 16777216 ] || set -- "$@" "$name" ;; esac
  done <<FOUND
$found
FOUND
  # One process hashes them all. It writes names with a backslash in another way, so those go in by themselves.
  whole=''
  for name in "$@"; do
    case $name in
      *\\*) sum=$(sha256sum 2>/dev/null <"$name") && say "sum ${sum%% *}  $name" ;;
      *) whole="$whole$name$newline" ;;
    esac
  done
  IFS=$newline
  # shellcheck disable=SC2086  # splitting at newlines is the point; patterns are off
  set -- $whole
  IFS=' '
  [ "$#" -eq 0 ] || say "$(sha256sum -- "$@" 2>/dev/null | sed 's/^/sum /')"
fi

IFS=$newline
# shellcheck disable=SC2086  # splitting at newlines is how the lines are counted without another process
set -- $out
printf '%s\n' "$@" "END $#"

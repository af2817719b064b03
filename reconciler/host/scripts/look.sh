# Print who we are on this host, what stands below its base folder, and what stands at the asked paths. Changes nothing.
# Input, one per line: `base PATH`, `markers`, `path PATH`, `hash PATH`. Output ends with `END <lines>`.
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

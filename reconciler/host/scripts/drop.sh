# Remove $3 from the folder $2 below the root $1, if its device and inode are $4 (`-`: if it is a plain file).
# Where other users' folders are in it, it is refused; or, where $5 is `part`, all but those are removed.
# $6 says what is expected of the root: `own` is ours alone, `given` is anybody's, `legacy` is ours or root's. A marker
# with the uid $7 must be in it (`-`: need not). Only of a legacy folder: nothing in it was modified within the last $8
# minutes, nobody uses it, and it is only put aside as $9 (`-`: removed).
[ -e "$1" ] || [ -L "$1" ] || missing "$1" "$1"
root=$1
case $6 in
  given) enter_root "$root" given ;;
  *)
    cd -P / && cd -P "$root" 2>/dev/null || refuse E_BASE_DIR "$root is not a folder that we can enter"
    at=$(pwd -P)
    [ "$at" = "$root" ] || refuse E_BASE_DIR "$root is a symbolic link, or below one: it means $at"
    [ "$6" = legacy ] || [ -f ./.host-id ] || refuse E_BASE_DIR "$root has no .host-id: it is another folder than before"
    [ -O . ] || [ "$6 $(stat -c '%u' .)" = 'legacy 0' ] || refuse E_BASE_DIR "$root belongs to another user"
    ;;
esac
# What an interrupted removal left behind. Nobody looks into it, so an hour's margin is only politeness. Where others
# have things, too, its name says whose it is; where all are others', nothing is removed that was not named.
trash_name=.reconciler-trash
[ "$6" != own ] || trash_name=.trash
[ "$6" = legacy ] || find . -maxdepth 1 -type d -user "$(id -u)" -name "$trash_name-??????" -mmin +60 \
  -exec rm -rf {} + 2>/dev/null
descend "$2" must
[ -L "./$3" ] && refuse E_PATH_LINK "$at/$3 is a symbolic link"
[ -e "./$3" ] || missing "./$3" "$at/$3"
found=$(stat -c '%d:%i' "./$3" 2>&1) || missing "./$3" "$at/$3"
if [ "$4" = - ]; then
  [ -f "./$3" ] || refuse E_PATH_KIND "$at/$3 is not a plain file, and only such a one is removed by its path alone"
fi
[ "$4" = - ] || [ "$found" = "$4" ] || refuse E_PATH_CHANGED "$at/$3 is another one than before"
if [ "$7" != - ]; then
  # Without it, this would not be known to be ours.
  [ -f "./$3/.reconciler.json" ] && [ ! -L "./$3/.reconciler.json" ] && [ -O "./$3/.reconciler.json" ] ||
    refuse E_PATH_CHANGED "$at/$3 has no marker of ours any more"
  case $(head -c 65536 "./$3/.reconciler.json" | tr -d ' \t\n') in
    *"\"uid\":\"$7\""*) ;;
    *) refuse E_PATH_CHANGED "the marker in $at/$3 is another's now" ;;
  esac
fi
[ "${found%%:*}" = "$(stat -c '%d' "$root")" ] || refuse E_PATH_MOUNT "$at/$3 lies on another disk than $root"
# The kernel writes blanks and backslashes of mount points in octal.
in_octal() {
  case $1 in *[\ \\]*) printf '%s' "$1" | sed 's/\\/\\134/g; s/ /\\040/g' ;; *) printf '%s' "$1" ;; esac
}
whole=$(in_octal "$at/$3")
top=$(in_octal "$root")
while read -r _ _ _ _ mounted _; do
  case $mounted in "$whole" | "$whole"/*) refuse E_PATH_MOUNT "something is mounted at $mounted" ;; esac
  # mv would copy across a mount on the way, and then remove the original.
  case $mounted in "$top"/*)
    case $whole in "$mounted"/*) refuse E_PATH_MOUNT "something is mounted at $mounted, on the way there" ;; esac
    ;;
  esac
done </proc/self/mountinfo
if [ "$(id -u)" != 0 ]; then
  # What is not ours itself cannot be moved away.
  depth=''
  [ "$5" != part ] || depth='-maxdepth 0'
  # shellcheck disable=SC2086  # two words or none
  other=$(find "./$3" $depth -xdev -type d ! -user "$(id -u)" 2>/dev/null | head -n 1)
  [ -z "$other" ] || refuse E_PATH_OWNER "$at/${other#./} belongs to another user, so it cannot be emptied"
fi

if [ "$6" = legacy ]; then
  [ -d "./$3" ] || refuse E_PATH_KIND "$at/$3 is not a folder"
  [ -O "./$3" ] || refuse E_PATH_OWNER "$at/$3 belongs to another user"
  if [ "$8" -gt 0 ]; then
    young=$(find "./$3" -xdev -mmin "-$8" 2>&1 | head -n 1)
    case $young in find:*) refuse E_HOST_PERMISSION "$at/$3 cannot be looked into: ${young#find: }" ;; esac
    [ -z "$young" ] || refuse E_PATH_YOUNG "$at/${young#./} was modified within the last $8 minutes"
  fi
  used=$(users_of "$at/$3" | while read -r line; do
    case ${line#* -> } in
      "$at/$3" | "'$at/$3'" | "$at/$3/"* | "'$at/$3/"* | "$at/$3 (deleted)") printf '%s' "${line%% -> *}" && break ;;
    esac
  done)
  [ -z "$used" ] || refuse E_IN_USE "$at/$3 is in use: $used"
fi
if [ "$9" != - ]; then
  [ ! -e "./$9" ] && [ ! -L "./$9" ] || refuse E_PATH_CHANGED "$at/$9 is there already"
  said=$(mv -T "./$3" "./$9" 2>&1) || failed "$said"
  [ ! -L "./$9" ] && [ "$(stat -c '%d:%i' "./$9")" = "$found" ] ||
    refuse E_PATH_CHANGED "$at/$3 was exchanged at the last moment; what stood there is kept as $at/$9"
  answer aside
fi
trash=$(mktemp -d "$root/$trash_name-XXXXXX" 2>&1) || failed "$trash"
if ! said=$(mv -T "./$3" "$trash/x" 2>&1); then
  rmdir "$trash"
  failed "$said"
fi
cd -P "$trash" 2>/dev/null && [ "$(pwd -P)" = "$trash" ] || refuse E_PATH_LINK "$trash was exchanged"
if [ -L ./x ] || [ "$(stat -c '%d:%i' ./x)" != "$found" ]; then
  cd -P "$root" && mv -T "$trash" "$root/.kept-${trash##*-}"
  refuse E_PATH_CHANGED "$at/$3 was exchanged at the last moment; what stood there is kept as $root/.kept-${trash##*-}"
fi
# busybox has no such option; the mounts were looked for above.
bounded=''
rm -f --one-file-system ./none 2>/dev/null && bounded=--one-file-system
# shellcheck disable=SC2086  # one word or none
said=$(rm -rf $bounded -- ./x 2>&1)
if [ -e ./x ]; then
  [ "$5" = part ] || failed "$said"
  # Under another name, so that nobody tries again and again what takes another user's rights.
  kept=$root/.kept-${trash##*-}
  cd -P "$root" && said=$(mv -T "$trash" "$kept" 2>&1) || failed "$said"
  answer "kept $kept"
fi
cd -P "$root" && rmdir "$trash"
answer dropped

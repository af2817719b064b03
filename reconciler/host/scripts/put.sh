# Put $5 bytes into the file $3 in the folder $2 below the root $1 (`own` or `given`: $6), mode $4: standard input, or
# the line $8 where there is one. $7 says what to do where a folder is missing: `make` it, or `need` it.
enter_root "$1" "$6"
# PIPE: who hears that a line was cut can be told nothing any more, and must still clean up.
trap 'exit 1' HUP INT PIPE TERM
fresh=''
case $7$2 in
  make*/*) ;;
  make?*) [ -e "./$2" ] || [ -L "./$2" ] || fresh=yes ;;
esac
if [ "$fresh" ]; then
  # A folder comes to be with its marker in it, in one step: without one nobody could tell whose it is.
  set +f
  for stale in ./.new-*; do
    [ ! -e "$stale" ] || find . -maxdepth 1 -name '.new-*' -mmin +60 -exec rm -rf {} + 2>/dev/null
    break
  done
  set -f
  fresh=$(mktemp -d ./.new-XXXXXX 2>&1) || failed "$fresh"
  trap 'cd -P "$root" && rm -rf "$fresh"' EXIT
  root=$at
  made=yes
  cd -P "$fresh" 2>/dev/null && [ "$(pwd -P)" = "$at/${fresh#./}" ] || refuse E_PATH_LINK "$at/$fresh was exchanged"
  at=$at/${fresh#./}
else
  descend "$2" "$7"
fi
[ -L "./$3" ] && refuse E_PATH_LINK "$at/$3 is a symbolic link"
if [ -e "./$3" ]; then
  [ -f "./$3" ] || refuse E_PATH_KIND "$at/$3 is not a plain file"
fi
if [ "$fresh" ]; then
  # Nobody else knows of this folder, and it comes into sight as a whole.
  new=./$3
else
  new=$(mktemp ./.new-XXXXXX 2>&1) || failed "$new"
  trap 'rm -f "$new"' EXIT
fi
if [ "$#" -gt 7 ]; then
  said=$(printf '%s\n' "$8" | dd of="$new" bs=65536 conv=fsync 2>&1) || failed "$said"
else
  said=$(dd of="$new" bs=65536 conv=fsync 2>&1) || failed "$said"
fi
# shellcheck disable=SC2046  # two words
set -- "$1" "$2" "$3" "$4" "$5" $(stat -c '%s %a' "$new" 2>/dev/null)
[ "${6:-}" = "$5" ] || refuse E_HOST_CUT "not all of the content arrived"
if [ -z "$fresh" ] && [ "$(stat -c '%a' "./$3" 2>/dev/null)" = "$4" ] && cmp -s "$new" "./$3" 2>/dev/null; then
  answer same
fi
if [ "${7:-}" != "$4" ]; then
  said=$(chmod "$4" "$new" 2>&1) || failed "$said"
fi
if [ "$fresh" ]; then
  cd -P "$root" || refuse E_HOST_FILES "$root was exchanged"
  said=$(mv -T "$fresh" "./$2" 2>&1) || failed "$said"
else
  # -T: a folder that appears here meanwhile must not swallow the file.
  said=$(mv -f -T "$new" "./$3" 2>&1) || failed "$said"
fi
# What it would clean up has its name by now.
trap - EXIT
answer made

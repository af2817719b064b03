# Put standard input, $5 bytes, into the file $3 in the folder $2 below the root $1 (`own` or `given`: $6), mode $4.
# $7 says what to do where a folder is missing: `make` it, or `need` it.
enter_root "$1" "$6"
descend "$2" "$7"
[ -L "./$3" ] && refuse E_PATH_LINK "$at/$3 is a symbolic link"
if [ -e "./$3" ]; then
  [ -f "./$3" ] || refuse E_PATH_KIND "$at/$3 is not a plain file"
fi
new=$(mktemp ./.new-XXXXXX 2>&1) || failed "$new"
trap 'rm -f "$new"' EXIT
# PIPE: who hears that a line was cut can be told nothing any more, and must still clean up.
trap 'exit 1' HUP INT PIPE TERM
said=$(dd of="$new" bs=65536 conv=fsync 2>&1) || failed "$said"
[ "$(wc -c <"$new")" -eq "$5" ] || refuse E_HOST_CUT "not all of the content arrived"
if [ "$(stat -c '%a' "./$3" 2>/dev/null)" = "$4" ] && cmp -s "$new" "./$3" 2>/dev/null; then
  answer same
fi
said=$(chmod "$4" "$new" 2>&1) || failed "$said"
# -T: a folder that appears here meanwhile must not swallow the file.
said=$(mv -f -T "$new" "./$3" 2>&1) || failed "$said"
answer made

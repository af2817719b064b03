# Make a fresh folder for the tree $4 beside it, in the folder $2 below the root $1 (`own` or `given`: $3), and tell
# what can fill it; where $5 is `none`, only remove the one that is there.
enter_root "$1" "$3"
descend "$2" need
fresh=./.new-$4
[ -L "$fresh" ] && refuse E_PATH_LINK "$at/${fresh#./} is a symbolic link"
said=$(rm -rf "$fresh" "$fresh.list" 2>&1) || failed "$said"
[ "$5" != none ] || answer cleared
said=$(mkdir -m 700 "$fresh" 2>&1) || failed "$said"
tools=''
for tool in rsync tar; do
  command -v "$tool" >/dev/null 2>&1 && tools="$tools $tool"
done
answer "fresh$tools"

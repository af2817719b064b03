# Print what the compose file $6 of the tree in the folder $2 below the root $1 (`own` or `given`: $3) was resolved to.
enter_root "$1" "$3"
descend "$2" need
kept=${at%/*}/.tree-model.json
[ -L "$kept" ] && refuse E_PATH_LINK "$kept is a symbolic link"
[ -f "$kept" ] || refuse E_TREE_MISSING "no compose file was judged here"
{
  IFS= read -r file
  [ "$file" = "$6" ] || refuse E_TREE_MISSING "not this compose file was judged here, but $file"
  echo 'done kept'
  cat
  echo END
} <"$kept"

# Resolve the compose file $6, and print what it comes to as JSON. That is kept beside the tree, where no container sees
# it, below the name of the file.
kept=${at%/*}/.tree-model.json
[ -L "$kept" ] && refuse E_PATH_LINK "$kept is a symbolic link"
if resolved=$(compose -f "./$6" config --format json 2>/dev/null); then
  printf '%s\n%s\n' "$6" "$resolved" 2>/dev/null >"$kept.new" || refuse E_HOST_DISK "the disk of the host is full"
  mv -f "$kept.new" "$kept" || refuse E_HOST_FILES "$kept cannot be replaced"
  printf 'done resolved\n%s\nEND\n' "$resolved"
  exit 0
fi
# After these words compose goes on with what may be a value out of a service's environment.
refuse E_COMPOSE_FILE "$(compose -f "./$6" config --quiet 2>&1 | tr '\n' ' ' |
  sed -e 's/ in variable name.*/ in a name of a variable/' -e 's/ quoted value.*/ quoted value/' \
    -e 's/\(invalid interpolation format for [^ ]*\).*/\1 write $$ for a dollar sign/' | tail -c 600)"

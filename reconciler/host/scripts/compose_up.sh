# Bring up what standard input says, $6 bytes of JSON, and keep that beside the tree for who calls compose by hand.
kept=${at%/*}/.tree-compose.json
[ -L "$kept" ] && refuse E_PATH_LINK "$kept is a symbolic link"
said=$(head -c "$6" 2>&1 >"$kept.new") || failed "$said"
[ "$(wc -c <"$kept.new")" -eq "$6" ] || refuse E_HOST_CUT "not all of the content arrived"
mv -f "$kept.new" "$kept" || refuse E_HOST_FILES "$kept cannot be replaced"
# All variables were resolved when it was judged; a container may have written an .env since.
said=$(compose --env-file /dev/null -f "$kept" up --detach --no-build --pull never --no-color 2>&1) && answer up
refuse E_COMPOSE_UP "$(printf '%s' "$said" | tr '\n' ' ' | tail -c 600)"

# See that the fresh folder of the tree $4, in the folder $2 below the root $1 (`own` or `given`: $3), holds what $5
# digests, and let everybody read it: containers may run as anybody.
enter_root "$1" "$3"
descend "$2/.new-$4" need
said=$(find . -type d -exec chmod 755 {} + 2>&1) || failed "$said"
said=$(find . -type f -perm -u+x -exec chmod 755 {} + 2>&1) || failed "$said"
said=$(find . -type f ! -perm -u+x -exec chmod 644 {} + 2>&1) || failed "$said"
[ "$(digest_tree)" = "$5" ] || refuse E_TREE_CHANGED "what arrived is not what was planned"
# What it brings, so that later only that is removed.
find . ! -type d | sed 's|^\./||' | sort >"../.new-$4.list" || refuse E_HOST_DISK "the disk of the host is full"
answer staged

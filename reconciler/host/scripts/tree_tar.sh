# Fill the fresh folder of the tree $4, in the folder $2 below the root $1 (`own` or `given`: $3), from a tar stream of
# $5 bytes. A line that was cut looks like its end; what arrived is digested afterwards.
enter_root "$1" "$3"
descend "$2/.new-$4" need
said=$(head -c "$5" | tar -x -o -f - 2>&1) || failed "$said"
answer filled

# Fill the fresh folder of the tree $4, in the folder $2 below the root $1 (`own` or `given`: $3): what follows are the
# words with which rsync calls its other end.
enter_root "$1" "$3"
descend "$2/.new-$4" need
shift 4
exec rsync "$@"

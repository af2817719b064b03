# Digest the tree in which we stand: each file's content, who may be run, where links lead, what else there is.
digest_tree() {
  {
    find . -type f -exec sha256sum {} +
    find . -type f -perm -u+x -exec printf 'x  %s\n' {} +
    find . -type l -exec sh -c 'for link do printf "l  %s \\\\ %s\n" "$link" "$(readlink "$link")"; done' sh {} +
    find . ! -type f ! -type l ! -type d -exec printf '?  %s\n' {} +
  } | sort | sha256sum | cut -d ' ' -f 1
}

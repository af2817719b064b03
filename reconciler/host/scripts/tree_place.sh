# Put what is in the fresh folder of the tree $4, in the folder $2 below the root $1 (`own` or `given`: $3), into its
# place, if $5 digests it; where $5 is `-`, take the tree away. Only what a tree brought is ever removed: what containers
# made beside it is theirs.
enter_root "$1" "$3"
descend "$2" need
up=$at
fresh=.new-$4
list=.tree-$4
for one in "./$4" "./$fresh" "./$list" "./$fresh.list"; do
  [ -L "$one" ] && refuse E_PATH_LINK "$up/${one#./} is a symbolic link"
done
for one in "./$4" "./$fresh"; do
  [ ! -e "$one" ] || [ -d "$one" ] || refuse E_PATH_KIND "$up/${one#./} is not a folder"
done

back() {
  at=$up
  cd -P "$up" 2>/dev/null && [ "$(pwd -P)" = "$up" ] || refuse E_PATH_LINK "$up was exchanged"
}
# What this made for its own use goes with it, also where another that should be locked out got in its way.
tidy() {
  rm -f "./$list.both" "./$list.gone" "./$list.said"
}
# Remove the files of the tree $2 that the list $1 names, and what folders are left empty by that. What is not as we
# left it, as behind a link, is not ours.
remove_listed() {
  while IFS= read -r path; do
    (
      descend "$2" need
      top=$at
      descend "${path%"${path##*/}"}" must
      rm -f "./${path##*/}"
      while [ "$at" != "$top" ]; do
        empty=${at##*/}
        at=${at%/*}
        cd -P .. && [ "$(pwd -P)" = "$at" ] && rmdir "./$empty" || break
      done
    ) >/dev/null 2>&1
  done <"$1"
}

if [ "$5" = - ]; then
  [ -e "./$4" ] || [ -e "./$fresh" ] || [ -e "./$list" ] || answer gone
  if [ -d "./$4" ] && [ -e "./$list" ]; then
    remove_listed "./$list" "$4"
    rmdir "./$4" 2>/dev/null
  fi
  said=$(rm -rf "./$fresh" "./$fresh.list" "./$list" "./$list.digest" 2>&1) || failed "$said"
  answer removed
fi
if [ ! -e "./$fresh" ]; then
  # It was placed before, and the answer was lost.
  [ -d "./$4" ] && [ "$(cat "./$list.digest" 2>/dev/null)" = "$5" ] && answer same
  refuse E_PATH_MISSING "$up/$4 was not staged"
fi
[ -f "./$fresh.list" ] || refuse E_PATH_MISSING "$up/$4 was not staged whole"
descend "$fresh" need
[ "$(digest_tree)" = "$5" ] || refuse E_TREE_CHANGED "what is staged is not what was planned"
folders=$(find . -type d | sort)
back
rm -f "./$list.digest"
# From here on both are known as ours, so that a cut forgets neither.
[ -e "./$list" ] || : >"./$list"
said=$(sort -u "./$list" "./$fresh.list" 2>&1 >"./$list.both") || { tidy; failed "$said"; }
said=$(mv -f "./$list.both" "./$list" 2>&1) || { tidy; failed "$said"; }
if [ ! -e "./$4" ]; then
  said=$(mkdir -m 755 "./$4" 2>&1) || failed "$said"
fi
printf '%s\n' "$folders" | while IFS= read -r folder; do
  made=''
  descend "$4" need
  descend "${folder#.}" make
  [ -z "$made" ] || chmod 755 .
  # A folder in the place of a file is refused; a link is replaced, and never followed.
  said=$(find "$up/$fresh/$folder" -mindepth 1 -maxdepth 1 ! -type d -exec sh -c 'mv -f "$@" ./' sh {} + 2>&1) &&
    [ -z "$said" ] || failed "$said"
  back
done >"./$list.said" || { tidy; refuse E_HOST_DISK "the disk of the host is full"; }
if [ -s "./$list.said" ]; then
  cat "./$list.said"
  tidy
  exit 0
fi
grep -v -x -F -f "./$fresh.list" "./$list" >"./$list.gone" || [ "$?" -eq 1 ] ||
  { tidy; refuse E_HOST_DISK "the disk of the host is full"; }
remove_listed "./$list.gone" "$4"
tidy
said=$(mv -f "./$fresh.list" "./$list" 2>&1) || failed "$said"
said=$(find "./$fresh" -depth -type d -exec rmdir {} + 2>&1) || failed "$said"
printf '%s' "$5" >"./$list.digest" || refuse E_HOST_DISK "the disk of the host is full"
answer placed

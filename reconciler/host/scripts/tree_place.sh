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
  rm -f "./$list.both" "./$list.gone" "./$list.first" "./$list.said"
}
# A tree may have thousands of folders: what follows makes no process for one but that which changes it. `cd -P` itself
# tells in PWD where it led.

# Stand in the top of the tree $1 again.
at_top() {
  back
  descend "$1" need
  top=$at
}
# Step into $1, which is no link; 2 says that it was exchanged for one just then, and nobody knows where we stand.
step() {
  [ ! -L "./$1" ] && [ -d "./$1" ] && cd -P "./$1" 2>/dev/null || return 1
  at=$at/$1
  [ "$PWD" = "$at" ] || return 2
  return 0
}
# Step out of the folder we stand in, which is removed when it is left empty and $1 says `clean`.
climb() {
  left=''
  [ "$1" != clean ] || holds_something || left=${at##*/}
  at=${at%/*}
  cd -P .. 2>/dev/null && [ "$PWD" = "$at" ] || return 2
  [ -z "$left" ] || rmdir "./$left" 2>/dev/null
  return 0
}
holds_something() {
  set +f
  set -- ./* ./.[!.]* ./..?*
  set -f
  for one do
    [ ! -e "$one" ] && [ ! -L "$one" ] || return 0
  done
  return 1
}
# Go from where we stand to the folder $1 of the tree $2, `/a/b` or nothing for its top; $3 is for climb. 1 says that we
# stand before what cannot be entered, the first of $rest; 2 that it was exchanged just then, and we stand in the top.
reach() {
  while :; do
    case $top$1/ in "$at"/*) break ;; esac
    climb "$3" || at_top "$2"
  done
  rest=$top$1
  rest=${rest#"$at"}
  rest=${rest#/}
  while [ -n "$rest" ]; do
    step "${rest%%/*}"
    case $? in
      1) return 1 ;;
      2) at_top "$2"; return 2 ;;
    esac
    case $rest in */*) rest=${rest#*/} ;; *) rest='' ;; esac
  done
}
# Remove the files of the tree $2 that the list $1 names, and what folders are left empty by that. What is not as we
# left it, as behind a link, is not ours.
remove_listed() (
  # Those of one folder come one after the other: `/folder//name`.
  listed=$(sed -e 's|^|/|' -e 's|\(.*\)/|\1//|' "$1" | sort)
  tree=$2
  at_top "$tree"
  folder=''
  set --
  IFS='
'
  for line in $listed; do
    unset IFS
    if [ "${line%//*}" != "$folder" ] || [ "$#" -ge 100 ]; then
      remove "$tree" "$folder" "$@"
      set --
      folder=${line%//*}
    fi
    set -- "$@" "./${line##*//}"
  done
  remove "$tree" "$folder" "$@"
  reach '' "$tree" clean
) >/dev/null 2>&1
remove() {
  reach "$2" "$1" clean || return 0
  shift 2
  [ "$#" -eq 0 ] || rm -f "$@"
}
# Tell whether the path $1 that is gone is in the way of what comes: of a folder in its place, or of what takes the place
# of a folder above it.
is_in_the_way() {
  here=$up/$fresh/$1
  [ -L "$here" ] || [ ! -d "$here" ] || return 0
  while :; do
    case ${here#"$up/$fresh/"} in */*) here=${here%/*} ;; *) return 1 ;; esac
    [ -L "$here" ] || [ -e "$here" ] || continue
    [ ! -L "$here" ] && [ -d "$here" ] && return 1
    return 0
  done
}
# Put what the folder $1 has into the folder we stand in. Of its folders only those that are not here yet go as they
# are; links are replaced, and never followed, and a folder in the place of a file is refused.
bring() {
  from=$1
  set --
  set +f
  for one in "$from"/* "$from"/.[!.]* "$from"/..?*; do
    set -f
    if [ -d "$one" ] && [ ! -L "$one" ]; then
      [ ! -e "./${one##*/}" ] && [ ! -L "./${one##*/}" ] || continue
    else
      [ -e "$one" ] || [ -L "$one" ] || continue
      [ -L "./${one##*/}" ] || [ ! -d "./${one##*/}" ] ||
        refuse E_PATH_KIND "$at/${one##*/} is a folder, and the tree has a file there"
    fi
    [ "$#" -lt 100 ] || {
      move "$@"
      set --
    }
    set -- "$@" "$one"
  done
  set -f
  [ "$#" -eq 0 ] || move "$@"
}
move() {
  said=$(mv -f "$@" ./ 2>&1) && [ -z "$said" ] || failed "$said"
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
  refuse E_TREE_MISSING "$up/$4 was not staged"
fi
[ -f "./$fresh.list" ] || refuse E_TREE_MISSING "$up/$4 was not staged whole"
descend "$fresh" need
[ "$(digest_tree)" = "$5" ] || refuse E_TREE_CHANGED "what is staged is not what was planned"
folders=$(find . -type d | sort)
back
rm -f "./$list.digest"
[ ! -e "./$list" ] || [ -f "./$list" ] || refuse E_PATH_KIND "$up/$list is not a file"
# From here on both are known as ours, so that a cut forgets neither.
[ -e "./$list" ] || : >"./$list"
said=$(sort -u "./$list" "./$fresh.list" 2>&1 >"./$list.both") || { tidy; failed "$said"; }
said=$(mv -f "./$list.both" "./$list" 2>&1) || { tidy; failed "$said"; }
# What is in the new list is there twice, so that what is there once is gone.
said=$(sort "./$list" "./$fresh.list" "./$fresh.list" 2>&1 >"./$list.both") || { tidy; failed "$said"; }
uniq -u "./$list.both" >"./$list.gone" || { tidy; refuse E_HOST_DISK "the disk of the host is full"; }
if [ ! -e "./$4" ]; then
  said=$(mkdir -m 755 "./$4" 2>&1) || { tidy; failed "$said"; }
fi
while IFS= read -r path; do
  ! is_in_the_way "$path" || printf '%s\n' "$path"
done <"./$list.gone" >"./$list.first" || { tidy; refuse E_HOST_DISK "the disk of the host is full"; }
remove_listed "./$list.first" "$4"
(
  at_top "$4"
  IFS='
'
  for folder in $folders; do
    unset IFS
    folder=${folder#.}
    # It went with the one that it is in.
    [ -d "$up/$fresh$folder" ] || continue
    while :; do
      reach "$folder" "$4" keep
      case $? in
        0) break ;;
        2) refuse E_PATH_LINK "$up/$4$folder was exchanged" ;;
      esac
      made=''
      descend "${rest%%/*}" make
      [ -z "$made" ] || chmod 755 .
    done
    bring "$up/$fresh$folder"
  done
) >"./$list.said" || { tidy; refuse E_HOST_DISK "the disk of the host is full"; }
if [ -s "./$list.said" ]; then
  cat "./$list.said"
  tidy
  exit 0
fi
remove_listed "./$list.gone" "$4"
tidy
said=$(mv -f "./$fresh.list" "./$list" 2>&1) || failed "$said"
said=$(find "./$fresh" -depth -type d -exec rmdir {} + 2>&1) || failed "$said"
printf '%s' "$5" >"./$list.digest" || refuse E_HOST_DISK "the disk of the host is full"
answer placed

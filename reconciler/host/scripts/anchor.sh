# Shared beginning of the scripts that change files. Every answer is one line, closed by END:
#   done WORD           no CODE WORDS
# They walk down from a root step by step, through no link, and act only on names in the folder they stand in.
LC_ALL=C
export LC_ALL
umask 077
set -f

answer() {
  printf 'done %s\nEND\n' "$1"
  exit 0
}
refuse() {
  printf 'no %s %s\nEND\n' "$1" "$2"
  exit 0
}
# Say why a command failed, from what it wrote.
failed() {
  case $1 in
    *'No space left'* | *'quota exceeded'* | *'Wrote only '*) refuse E_HOST_DISK "the disk of the host is full" ;;
    *'Permission denied'* | *'not permitted'* | *'Read-only'*) refuse E_HOST_PERMISSION "${1##*: }" ;;
    '') refuse E_HOST_FILES 'a tool of the host ended without a word, as one does that a signal ends' ;;
    *) refuse E_HOST_FILES "${1##*: }" ;;
  esac
}

# Say of $1, which is not to be seen, that it is gone; where nobody may look, nobody knows. People know it as $2.
missing() {
  case $(stat "$1" 2>&1) in
    *': No such file or directory' | *': Not a directory') answer gone ;;
    *) refuse E_HOST_PERMISSION "$2 cannot be looked at" ;;
  esac
}

at=''
made=''
# Walk down the folders of $1. What is missing, `make` makes, `need` refuses, and `must` calls gone.
descend() {
  rest=$1
  while [ -n "$rest" ]; do
    part=${rest%%/*}
    case $rest in */*) rest=${rest#*/} ;; *) rest='' ;; esac
    [ -n "$part" ] || continue
    [ -L "./$part" ] && refuse E_PATH_LINK "$at/$part is a symbolic link"
    if [ ! -e "./$part" ]; then
      [ "$2" != must ] || missing "./$part" "$at/$part"
      [ "$2" = make ] || refuse E_PATH_MISSING "$at/$part is not there"
      said=$(mkdir "./$part" 2>&1) || [ -d "./$part" ] || failed "$said"
      made=yes
    fi
    [ -d "./$part" ] || refuse E_PATH_KIND "$at/$part is not a folder"
    above=$at
    at=$at/$part
    cd -P "./$part" 2>/dev/null || refuse E_HOST_PERMISSION "$at is closed to us"
    [ "$(pwd -P)" = "$at" ] || refuse E_PATH_LINK "$at is not where it says: it was exchanged, or $above is a link"
  done
}

# A process costs a host more than all else here, so those that a usual case can do without are left to the others.

# Refuse a root whose mode is $2, in a folder whose mode is $1, unless only we can change either.
doubt_modes() {
  [ "$#" -eq 2 ] || refuse E_BASE_DIR "$at cannot be looked at"
  case $1 in *[2367]) refuse E_BASE_DIR "${at%/*}, in which it lies, can be written by everybody" ;; esac
  [ -O . ] || refuse E_BASE_DIR "$at belongs to another user"
  case $2 in *[2367]? | *[2367]) refuse E_BASE_DIR "$at can be written by others" ;; esac
}

# Stand in the root $1. An `own` root is made where it is missing, must be ours alone, and gets the host's id.
enter_root() {
  if [ "$2" != own ]; then
    cd -P / || refuse E_BASE_DIR "there is no /"
    cd -P "$1" 2>/dev/null || refuse E_PATH_MISSING "$1 is not there, or closed to us"
    at=$(pwd -P)
    [ "$at" = "$1" ] || refuse E_PATH_LINK "$1 is a symbolic link, or below one: it means $at"
    return
  fi
  # Where it is there, one step leads to it; whatever is wrong on the way, the steps from / find out and say.
  if cd -P "$1" 2>/dev/null && [ "$(pwd -P)" = "$1" ]; then
    at=$1
  else
    at=''
    cd -P / || refuse E_BASE_DIR "there is no /"
    descend "${1%/*}" make
    case $(stat -c '%a' .) in *[2367]) refuse E_BASE_DIR "$at, in which it lies, can be written by everybody" ;; esac
    descend "${1##*/}" make
    made=''
  fi
  # shellcheck disable=SC2046  # two words
  doubt_modes $(stat -c '%a' .. .)
  if [ ! -e ./.host-id ] && [ ! -L ./.host-id ]; then
    new=$(mktemp ./.new-XXXXXX 2>&1) || failed "$new"
    said=$(tr -d - 2>&1 </proc/sys/kernel/random/uuid >"$new") || failed "$said"
    # A hard link is made whole or not at all, and never over another one's.
    said=$(ln "$new" ./.host-id 2>&1) || [ -e ./.host-id ] || failed "$said"
    rm -f "$new"
  fi
}

# Say who we are on this host, which tools it lacks, and how the base folder $1 stands. Changes nothing.
LC_ALL=C
export LC_ALL
home=$(cd 2>/dev/null && pwd -P)
# shellcheck disable=SC2016  # the placeholder is meant literally
case $1 in
  '${host.home}'*) base=$home${1#'${host.home}'} ;;
  /*) base=$1 ;;
  *) base=/$1 ;;
esac
echo "user $(id -un 2>/dev/null || id -u)"
echo "clock $(date +%s)"
missing=''
for tool in dd date find flock grep head id mkdir mktemp mv readlink rm sed sha256sum sort stat tar timeout xargs; do
  command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
echo "missing$missing"
parent=$base
while [ ! -e "$parent" ] && [ -n "${parent%/*}" ]; do parent=${parent%/*}; done
[ -e "$parent" ] || parent=/
real=$(cd -P -- "$parent" 2>/dev/null && pwd -P)
if [ -L "$base" ]; then
  state=link
elif [ -e "$base" ] && [ ! -d "$base" ]; then
  state=file
elif [ "$real" != "$parent" ]; then
  state=link
elif [ "$parent" != "$base" ]; then
  if [ -w "$parent" ]; then state=absent; else state=closed; fi
elif [ ! -O "$base" ]; then
  state=foreign
else
  case $(ls -ld -- "$base") in
    d????-??-*) state=ours ;;
    *) state=open ;;
  esac
fi
echo "base $state $base"
echo "parent $parent"
echo END

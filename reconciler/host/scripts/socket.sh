# Say what stands at the path $1 and who may use it, one `word value` a line. Changes nothing.
LC_ALL=C
export LC_ALL
path=$1
echo "user $(id -un 2>/dev/null || id -u)"
echo "groups $(id -Gn 2>/dev/null)"
if [ -S "$path" ]; then
  echo 'kind socket'
elif [ -e "$path" ]; then
  echo 'kind other'
else
  echo 'kind absent'
fi
if [ -r "$path" ] && [ -w "$path" ]; then echo 'open yes'; else echo 'open no'; fi
# A daemon shows up with the path that it was told, so the same folder under its other name counts too.
real=$(readlink -f -- "$path" 2>/dev/null)
if [ -r /proc/net/unix ]; then
  listening=no
  while read -r _ _ _ flags _ _ _ name; do
    case $name in
      "$path" | "$real" | "/var$real") [ "$flags" = 00010000 ] && listening=yes ;;
    esac
  done </proc/net/unix
  echo "listening $listening"
fi
echo "END"

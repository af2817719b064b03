# Stay open and run one script after another. A request is: MARKER; optionally `define NAME`, the script's lines,
# MARKER; then `call NAME COUNT`, COUNT arguments, the data's lines, MARKER. A reply is the script's output, a newline,
# MARKER, a blank and the exit status.
newline='
'
while IFS= read -r marker; do
  IFS=' ' read -r verb name count || exit 0
  if [ "$verb" = define ]; then
    text=''
    while IFS= read -r line || exit 0; do
      [ "$line" = "$marker" ] && break
      text="$text$line$newline"
    done
    eval "$name() {
$text
}"
    IFS=' ' read -r verb name count || exit 0
  fi
  set --
  while [ "$count" -gt 0 ]; do
    IFS= read -r line || exit 0
    set -- "$@" "$line"
    count=$((count - 1))
  done
  text=''
  while IFS= read -r line || exit 0; do
    [ "$line" = "$marker" ] && break
    text="$text$line$newline"
  done
  if [ -z "$text" ]; then
    ("$name" "$@") 2>/dev/null </dev/null
  else
    ("$name" "$@") 2>/dev/null <<DATA
${text%"$newline"}
DATA
  fi
  printf '\n%s %s\n' "$marker" "$?"
done

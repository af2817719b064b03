# Shared beginning of the scripts that call the host's own compose, for the project $5 with the engine at the socket $4,
# in the folder $2 below the root $1 (`own` or `given`: $3).
enter_root "$1" "$3"
descend "$2" need
command -v docker >/dev/null 2>&1 || refuse E_COMPOSE_MISSING "the SSH user finds no docker command"
# Nothing of the account's own environment may change what a file means, and no file has compose fetch another one.
compose() {
  env -i PATH="$PATH" HOME="$HOME" DOCKER_HOST="unix://$socket" COMPOSE_ANSI=never \
    COMPOSE_EXPERIMENTAL_GIT_REMOTE=false COMPOSE_EXPERIMENTAL_OCI_REMOTE=false \
    docker compose --project-directory . --project-name "$project" "$@"
}
socket=$4
project=$5
case $(compose version --short 2>/dev/null) in
  2.* | v2.* | [3-9]* | v[3-9]* | [1-9][0-9]*) ;;
  *)
    command -v docker-compose >/dev/null 2>&1 && refuse E_COMPOSE_OLD "only compose v1 (docker-compose) is there"
    refuse E_COMPOSE_MISSING "docker has no compose plugin for the SSH user"
    ;;
esac

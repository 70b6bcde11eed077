#!/usr/bin/env bash
# Makes all secrets that deploy/compose.prod.yaml reads, one file each, in deploy/secrets. What is there stays, but for
# what is made of other files: to change a password, remove its file and run this again.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=${SECRETS_DIR:-$here/secrets}
mkdir -p "$folder"
# Whoever may enter the folder may read them: the processes in the containers are no user of this machine.
chmod 700 "$folder"

keep() { # NAME COMMAND…: what the command prints, unless there is a file of that name
    local name=$1
    shift
    [ -s "$folder/$name" ] || put "$name" "$@"
}

put() { # NAME COMMAND…
    local name=$1 new
    shift
    new=$("$@")
    rm -f "$folder/$name"
    printf '%s\n' "$new" >"$folder/$name"
    chmod 444 "$folder/$name"
}

take() { # NAME: the secret
    cat "$folder/$1"
}

for user in postgres owner api scheduler sender; do
    keep "${user}_password" openssl rand -hex 24
done
keep api_key openssl rand -hex 24
keep sealing_keys openssl rand -base64 32

for user in owner api scheduler sender; do
    put "${user}_database_url" printf 'postgresql://tocsin_%s:%s@postgres/tocsin' "$user" "$(take "${user}_password")"
done
for user in api scheduler sender; do
    put "${user}_rabbitmq_url" printf 'amqp://tocsin-%s:%s@rabbitmq/' "$user" "$(take "${user}_password")"
done

put rabbitmq_definitions env -u MANAGEMENT_URL \
    API_PASSWORD_FILE="$folder/api_password" \
    SCHEDULER_PASSWORD_FILE="$folder/scheduler_password" \
    SENDER_PASSWORD_FILE="$folder/sender_password" \
    python3 "$here/rabbitmq/users.py"

#!/usr/bin/env bash
# Makes PostgreSQL's users for Tocsin: tocsin_owner, who owns the database and migrates it, and one for each service.
# What the services may do is granted by `tocsin-api migrate`, run as tocsin_owner after this.
#
# Run it with psql's own variables (PGHOST, PGDATABASE …), as a superuser or, from PostgreSQL 15 on, as one who owns
# the database and may create roles. In the folder /docker-entrypoint-initdb.d of PostgreSQL's image it runs by itself
# where the data is new. It may be run again at any time, for instance to change passwords. These come from the
# environment or, with _FILE, from files: OWNER_PASSWORD, API_PASSWORD, SCHEDULER_PASSWORD, SENDER_PASSWORD.
set -euo pipefail

# What the image calls them.
[ -z "${POSTGRES_USER:-}" ] || export PGUSER=$POSTGRES_USER
[ -z "${POSTGRES_DB:-}" ] || export PGDATABASE=$POSTGRES_DB

take() { # NAME: the password from the environment, else from its file
    local file=$1_FILE
    if [ -n "${!file:-}" ]; then
        printf -v "$1" %s "$(<"${!file}")"
    fi
    : "${!1:?set $1 or $1_FILE}"
    export "${1?}"
}

for name in OWNER API SCHEDULER SENDER; do
    take "${name}_PASSWORD"
done

# psql reads the passwords from its environment: what is on a command line all users of the machine can see.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 <<'SQL'
\getenv owner_password OWNER_PASSWORD
\getenv api_password API_PASSWORD
\getenv scheduler_password SCHEDULER_PASSWORD
\getenv sender_password SENDER_PASSWORD

BEGIN;
SET LOCAL client_min_messages = warning;

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['tocsin_owner', 'tocsin_api', 'tocsin_scheduler', 'tocsin_sender']) AS name
WHERE to_regrole(name) IS NULL \gexec

ALTER ROLE tocsin_owner PASSWORD :'owner_password';
ALTER ROLE tocsin_api PASSWORD :'api_password';
ALTER ROLE tocsin_scheduler PASSWORD :'scheduler_password';
ALTER ROLE tocsin_sender PASSWORD :'sender_password';

-- Nobody else connects, and nobody makes temporary tables.
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO tocsin_api, tocsin_scheduler, tocsin_sender;

GRANT tocsin_owner TO CURRENT_USER;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER SCHEMA public OWNER TO tocsin_owner;
ALTER DATABASE :"DBNAME" OWNER TO tocsin_owner;

-- What was migrated before, as another user, is the owner's from now on.
SELECT format('ALTER %s %s OWNER TO tocsin_owner', kind, name)
FROM (
    SELECT 'TABLE', oid::regclass::text, relowner FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    UNION ALL
    SELECT 'FUNCTION', oid::regprocedure::text, proowner FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = pg_proc.oid AND d.deptype = 'e') -- of an extension
) AS owned (kind, name, owner)
WHERE owner <> 'tocsin_owner'::regrole \gexec

COMMIT;
SQL

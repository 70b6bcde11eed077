"""API keys that administrators give out."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add their table; only a key's digest is kept."""
    op.execute("""
        CREATE TABLE api_keys (
            id uuid PRIMARY KEY,
            name text NOT NULL,
            key_hash bytea NOT NULL CONSTRAINT api_keys_key_hash UNIQUE,
            hint text NOT NULL,
            scopes text[] NOT NULL CONSTRAINT scopes_known CHECK (
                cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'write', 'admin']
            ),
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            expires_at timestamptz,
            last_used_at timestamptz
        )
    """)


def downgrade() -> None:
    """Take it away."""
    op.execute("DROP TABLE api_keys")

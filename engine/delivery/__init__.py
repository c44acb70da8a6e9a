"""Browser clients: login, paper, autosave, submit. Knows Redis, never PostgreSQL or answers."""

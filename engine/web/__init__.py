"""The pages and how they are served; no build step."""

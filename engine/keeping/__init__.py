"""Those who keep what an exam was, and erase it when its time has come: archive, its audit, purge."""

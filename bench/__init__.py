"""What the engine costs, measured beside the floor it stands on: `./run bench`. `README.md` tells how to read it."""

"""How many candidates an installation carries: its knee, what gives first there, and a bill of machines from it."""

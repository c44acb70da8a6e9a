"""An open-loop load driver in pure Python: saves are due at instants, whether answers come or not."""

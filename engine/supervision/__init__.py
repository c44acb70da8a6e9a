"""Supervision: starts, watches, restarts and stops the processes of one machine; knows nothing of exams.

`embedded` finds the server binaries and writes their command lines, `supervisor` keeps processes alive,
`up` makes an engine of them, `demo` shows it.
"""

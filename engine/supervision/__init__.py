"""Supervision: starts, watches, restarts and stops the processes of one machine; knows nothing of exams.

`binaries` finds the servers, `embedded` writes their command lines, `data_folder` keeps what they write apart,
`supervisor` keeps processes alive, `up` makes an engine of them, `demo` shows it.
"""

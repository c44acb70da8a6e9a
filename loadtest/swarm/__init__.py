"""Candidates in Locust: everything that our page does, at human rates, up to thousands of them in one process.

What is measured is the engine, so what the machines of candidates do by themselves is left out where it would burden
the generator instead: a paper is opened once for each digest and key (5,000 decryptions happen on 5,000 machines),
nothing is drawn, nothing is kept on a disk.

What differs from `engine/web`, and why it does not matter to an engine: one clock for all candidates of a process,
which stand on one machine with one quartz; the answers of a candidate are one after the other as in `loadtest.journal`,
where the page sends only the newest of an item that was changed twice within one round trip; a call that is slow but
answered does not count as trouble on the line.

Everything here runs under gevent. No asyncio client is ever imported, and no code of the engine.
"""

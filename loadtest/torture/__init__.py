"""The torture campaign: exams are sat while everything around them is broken, and an independent program settles up.

`field` is the engine under test, `crowd` the candidates with their ledgers, `faults` what is done to the engine and
when, `season` the exam batches that follow one another, `evidence` what the engine holds afterwards, `checker` the
judge, `sabotage` and `prove` the proof that the judge sees, `campaign` all of it in order.
"""

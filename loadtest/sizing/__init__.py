"""Sizing: a tier's load on an engine, judged phase by phase, with a verdict that a sceptic can repeat.

Who does what: the conductor (here) brings the engine and the line, pushes the exam, writes the plan and samples what
no candidate sees; generators play the candidates in processes of their own (`loadtest/swarm` in Locust,
`loadtest/openloop` on a schedule of intended instants); the judge reads what they leave behind.

What a generator is to the conductor:

    python -m loadtest.swarm|loadtest.openloop --plan FILE --index I --of N --out DIR

It plays its share of the plan, says once a second on stdout how it is going (one JSON object a line: `now_ms`,
`entered`, `writing`, `saves`, `acknowledged`, `errors`, `cpu`), and ends by itself when its last candidate is done,
leaving `DIR/NAME-I.json` (measure.Report) and `DIR/NAME-I.ledger` (ledger_file), NAME being `swarm` or `openloop`.
"""

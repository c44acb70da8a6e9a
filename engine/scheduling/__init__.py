"""The scheduling system: papers, batches, rosters and arming come in here."""

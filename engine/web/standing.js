// How far an answer has come, read from its slot in the journal. Never more than is known. Pure.
//   none      nothing was ever answered        held      typed, not on this machine's disk yet
//   invalid   typed, but it cannot be sent     refused   the engine will not take it as it stands
//   local     on this machine's disk           saved     on the engine's disk
//   recorded  in PostgreSQL

const UNDELIVERED = new Set(['held', 'local', 'refused', 'invalid']);

export function standing(slot) {
  if (!slot) return 'none';
  const { held, fault, entry, known, recorded } = slot;
  if (held || (entry && !entry.kept)) return 'held';
  if (fault) return 'invalid';
  if (entry) return entry.refused ? 'refused' : entry.saved ? 'saved' : 'local';
  if (!known) return 'none';
  return recorded >= known ? 'recorded' : 'saved';
}

/** Whether the engine lacks the newest that was typed. */
export function isUndelivered(slot) {
  return UNDELIVERED.has(standing(slot));
}

/** How many slots stand where. */
export function countStandings(slots) {
  const counts = { none: 0, held: 0, invalid: 0, refused: 0, local: 0, saved: 0, recorded: 0 };
  for (const slot of slots) counts[standing(slot)] += 1;
  return counts;
}

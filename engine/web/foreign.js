// Telling an answer that another machine gave from this machine's own. Pure.

/** Whether the engine's answer came from another machine, after `entry` was typed or without knowledge of it. */
export function isForeign(entry, seq, value) {
  if (seq <= entry.base) return false;
  const theirs = print(JSON.stringify(value));
  if (seq === entry.seq) return theirs !== print(entry.json);
  return !entry.own.some(([own_seq, own_print]) => own_seq === seq && own_print === theirs);
}

// A short print of a JSON value (FNV-1a over 2 x 32 bits): tells two answers apart, guards nothing.
export function print(json) {
  const text = JSON.stringify(JSON.parse(json));
  let [a, b] = [0x811c9dc5, text.length];
  for (let index = 0; index < text.length; index += 1) {
    a = Math.imul(a ^ text.charCodeAt(index), 0x01000193);
    b = Math.imul(b ^ text.charCodeAt(index), 0x85ebca6b);
  }
  return `${text.length}:${(a >>> 0).toString(36)}:${(b >>> 0).toString(36)}`;
}

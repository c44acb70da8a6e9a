// The paper key at the start: the channel brings it by itself; a moment later, jittered, it is asked for. A key that this
// machine has opened the paper with before is taken from its pass (pass.js), with or without the server.

import { call, pause, retryDelay } from './api.js';
import { joinChannel } from './channel.js';
import { keptKeys } from './pass.js';

const ASK_SPREAD_MS = 400; // without a channel: a room's machines do not all ask in the same instant
const PUSH_MS = 700; // with one: the push has had its time, so it is asked for as well
const PUSH_SPREAD_MS = 1_300;
const EARLY_MS = 200; // the engine's clock says that it is not time yet

/**
 * {paper_key, seed}, base64url; null when `signal` aborts. Throws when the token no longer counts. `left_ms()` is the
 * time to the start, `onStart(starts_ms)` hears of another start, `onTrouble(fault)` of a call that failed.
 */
export async function releasedKeys(token, { left_ms, onStart, onTrouble }, signal) {
  const kept = await keptKeys(token);
  if (kept) return kept;
  const found = new AbortController();
  const either = AbortSignal.any([signal, found.signal]);
  const channel = joinChannel(token, either);
  const pushed = new Promise((resolve) => {
    if (channel.keys) resolve(channel.keys);
    channel.addEventListener('paper_key', () => resolve(channel.keys), { signal: either });
    signal.addEventListener('abort', () => resolve(null));
  });
  try {
    return await Promise.race([pushed, askedFor(token, channel, { left_ms, onStart, onTrouble }, either)]);
  } finally {
    found.abort();
  }
}

async function askedFor(token, channel, { left_ms, onStart, onTrouble }, signal) {
  for (let failures = 0; !signal.aborted; ) {
    await pause(Math.max(0, left_ms()), signal);
    // Only now it is known whether there is a channel: a whole hall that asks all the same would hold up the pushes.
    if (!failures && left_ms() <= 0) await pause(patience_ms(channel), signal);
    if (signal.aborted || left_ms() > 0) continue;
    try {
      return await call('GET', '/v1/sitting/paper-key', { token });
    } catch (fault) {
      if (fault.status === 425) {
        if (fault.body.starts_ms) onStart(fault.body.starts_ms);
        await pause(EARLY_MS, signal);
        continue;
      }
      if (fault.status === 401 || fault.code === 'sitting.superseded') throw fault;
      onTrouble(fault);
      await pause(retryDelay(failures, fault), signal);
      failures += 1;
    }
  }
  return null;
}

const patience_ms = (channel) => (channel.open ? PUSH_MS + Math.random() * PUSH_SPREAD_MS : Math.random() * ASK_SPREAD_MS);

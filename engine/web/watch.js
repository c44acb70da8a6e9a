// Asks the engine how the sitting stands every few seconds: time granted, takeover from elsewhere, what was recorded.

import { call, pause, retryDelay } from './api.js';
import * as clock from './clock.js';

/** Calls `onView(view)` about every `every_ms()`, jittered; `onRefused(problem)` once, when the token no longer counts. */
export function startWatch(token, every_ms, { onView, onRefused }) {
  const stopping = new AbortController();
  let nudge = new AbortController();
  let replanned = false;

  async function run() {
    for (let failures = 0; !stopping.signal.aborted; ) {
      await pause(failures ? retryDelay(failures) : every_ms() * (0.75 + Math.random() / 2), nudge.signal);
      nudge = new AbortController();
      if (stopping.signal.aborted) return;
      if (replanned) {
        replanned = false;
        continue;
      }
      try {
        const view = await call('GET', '/v1/sitting', { token });
        failures = 0;
        if (!stopping.signal.aborted) onView(view);
      } catch (fault) {
        failures += 1;
        const over = fault.status === 401 || fault.code === 'sitting.superseded';
        if (!over || stopping.signal.aborted) continue;
        stopping.abort();
        onRefused(fault);
      }
    }
  }

  const stopTicking = clock.everyTick(() => clock.wasInterrupted() && nudge.abort());
  run();
  return {
    /** `every_ms` has changed: count from here. */
    replan() {
      replanned = true;
      nudge.abort();
    },
    stop() {
      stopTicking();
      stopping.abort();
      nudge.abort();
    },
  };
}

// The candidate left the exam's window, and came back: told to the engine as events for the proctor, not punished here.
// Nobody waits for it, nothing is lost of the exam when it cannot be told.

import { call, untilAnswered } from './api.js';
import * as clock from './clock.js';

const EVENTS_MAX = 50; // of one call; what is beyond is not worth a line's bytes

/** Watches the window until `signal` aborts. */
export function recordLeaving(token, signal) {
  let waiting = [];
  let telling = false;
  let away = false;

  function look() {
    const gone = document.hidden || !document.hasFocus();
    if (gone === away) return;
    away = gone;
    waiting.push({ kind: away ? 'left' : 'returned', at_ms: Math.round(clock.now()) });
    tell();
  }

  async function tell() {
    if (telling) return;
    telling = true;
    while (waiting.length && !signal.aborted) {
      const events = waiting.slice(-EVENTS_MAX);
      waiting = [];
      // Refused for good: a sitting that is over, or an engine that keeps no events.
      await untilAnswered(() => call('POST', '/v1/sitting/events', { token, json: { events } }), signal).catch(() => {});
    }
    telling = false;
  }

  const soon = () => setTimeout(look, 50); // the focus moves between two elements of the page, too
  for (const name of ['blur', 'focus']) addEventListener(name, soon, { signal });
  document.addEventListener('visibilitychange', soon, { signal });
}

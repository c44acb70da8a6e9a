// Notes when the candidate turns to another window and comes back, and reports it. Nobody is stopped or warned for it: what
// it means is for the proctor to judge. Answers never wait for this: it has a call of its own that changes no light of the
// page, and what cannot be sent stays here, in this tab, until it can.

import { pause, retryDelay } from './api.js';
import * as clock from './clock.js';

const KEPT = 'liankao.leaving';
const KEPT_MAX = 100; // beyond it the oldest go: as many as one call may carry
const SETTLED_MS = 1_000; // a message of the system's that takes the focus for a moment is no leaving
const GATHER_MS = 3_000; // what happens together is sent together
const CALL_MS_MAX = 10_000;

/** Until `signal` aborts; while `isWriting()` is false nothing is noted. */
export function watchLeaving(token, isWriting, signal) {
  let left_ms = null; // since when the window is not looked at
  let noted = false;
  let sending = false;
  let kept = remembered(token);

  function look() {
    const away = document.hidden || !document.hasFocus();
    if (!away) {
      if (noted) note('window_returned', { away_ms: Math.round(clock.now() - left_ms) });
      left_ms = null;
      noted = false;
    } else if (left_ms === null) {
      const began_ms = (left_ms = clock.now());
      setTimeout(() => {
        if (left_ms !== began_ms || !isWriting() || signal.aborted) return;
        noted = true;
        note('window_left', {}, began_ms);
      }, SETTLED_MS);
    }
  }

  function note(kind, more, at_ms = clock.now()) {
    keep([...kept, { id: crypto.randomUUID(), kind, at_ms: Math.round(at_ms), ...more }].slice(-KEPT_MAX));
    send();
  }

  function keep(events) {
    kept = events;
    try {
      sessionStorage.setItem(KEPT, JSON.stringify({ token, events }));
    } catch {
      // A full storage: they are still sent from here.
    }
  }

  async function send() {
    if (sending) return;
    sending = true;
    for (let failures = 0; kept.length && !signal.aborted; ) {
      await pause(failures ? retryDelay(failures) : GATHER_MS, signal);
      const sent = kept;
      const status = await post({ events: sent });
      if (status === 401 || status === 409) break; // this login counts no more
      const again = status === 0 || status === 429 || status >= 500;
      failures = again ? failures + 1 : 0;
      if (!again) keep(kept.filter((event) => !sent.includes(event)));
    }
    sending = false;
  }

  /** The status, 0 when nothing answered. */
  async function post(call) {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
    const options = { method: 'POST', headers, body: JSON.stringify(call), credentials: 'omit', signal: AbortSignal.timeout(CALL_MS_MAX) };
    return fetch('/v1/sitting/events', options).then((response) => response.status, () => 0);
  }

  for (const type of ['blur', 'focus']) addEventListener(type, look, { signal });
  document.addEventListener('visibilitychange', look, { signal });
  look();
  send();
}

/** What this very login had not sent before a reload. */
function remembered(token) {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEPT));
    return found.token === token ? found.events : [];
  } catch {
    return [];
  }
}

// How the sitting stands: time granted, takeover from elsewhere, what was recorded. The channel tells it; while there is
// none the engine is asked every few seconds.

import { call, pause, retryDelay } from './api.js';
import { joinChannel } from './channel.js';
import * as clock from './clock.js';
import { dropPassOf, keepView } from './pass.js';

const AFTER_CUT_MS = 1_000; // a cut channel may mean a takeover, an ended line, or a worker that moved: find out

/**
 * `onView(view)` is called with what is known: from the channel {server_ms, starts_ms, ends_ms, remaining_ms, state,
 * generation, committed} as far as told, without it the whole sitting about every `every_ms()`, jittered.
 * `onRefused(problem)` is called once, when the token no longer counts. `looks()` is true while the answers that another
 * tab gives must be seen here, too: then the engine is asked although the channel is open.
 */
export function startWatch(token, every_ms, { onView, onRefused, onNotice = () => {}, looks = () => false }) {
  const stopping = new AbortController();
  const { signal } = stopping;
  const channel = joinChannel(token, signal);
  let told = channel.time ? viewOf(channel.time) : {};
  let nudge = new AbortController();
  let replanned = false;
  let soon = false;
  let kept_ends_ms = null;

  async function run() {
    for (let failures = 0; !signal.aborted; ) {
      const planned_ms = soon ? Math.random() * AFTER_CUT_MS : every_ms() * (0.75 + Math.random() / 2);
      await pause(failures ? retryDelay(failures) : planned_ms, nudge.signal);
      if (nudge.signal.aborted) nudge = new AbortController();
      if (signal.aborted) return;
      if (replanned) {
        replanned = false;
        continue;
      }
      const asked = soon;
      soon = false;
      if (channel.open && !asked && !looks()) continue;
      failures = (await ask()) ? 0 : failures + 1;
    }
  }

  async function ask() {
    try {
      const view = await call('GET', '/v1/sitting', { token });
      if (!signal.aborted) tell(view);
      return true;
    } catch (fault) {
      if (fault.status === 401 || fault.code === 'sitting.superseded') refuse(fault);
      return false;
    }
  }

  function refuse(fault) {
    if (signal.aborted) return;
    stop();
    dropPassOf(token);
    onRefused(fault);
  }

  function hear({ detail }) {
    told = { ...told, ...viewOf(detail) };
    if (looks()) askSoon();
    else tell(told);
  }

  function tell(view) {
    const { ends_ms } = view;
    if (ends_ms !== kept_ends_ms) keepView(token, { ends_ms });
    kept_ends_ms = ends_ms;
    onView(view);
  }

  function replan() {
    replanned = true;
    nudge.abort();
  }

  function askSoon() {
    soon = true;
    replan();
  }

  for (const type of ['time', 'committed', 'closed']) channel.addEventListener(type, hear, { signal });
  for (const type of ['down', 'doubt']) channel.addEventListener(type, askSoon, { signal });
  channel.addEventListener('refused', ({ detail }) => refuse(detail), { signal });
  channel.addEventListener('notice', ({ detail }) => onNotice(detail), { signal });
  const stopTicking = clock.everyTick(() => clock.wasInterrupted() && (channel.probe(), askSoon()));
  run();

  function stop() {
    stopTicking();
    stopping.abort();
    nudge.abort();
  }

  return {
    /** `every_ms` has changed: count from here. */
    replan,
    stop,
  };
}

const viewOf = ({ type, ...view }) => view;

// Sends what the journal holds, forever: over the channel while it is open, else over HTTP, one call at a time. What is
// typed meanwhile goes together with the next call; over the channel that one does not wait for the last answer longer
// than NEXT_MS. No failure ends it and none reaches the one who types; only the engine's "closed" and "superseded" stop it.

import { call, pause, retryDelay } from './api.js';
import { joinChannel } from './channel.js';

const NEXT_MS = 700; // with an answer overdue: a change is on the wire within a second
const FLIGHTS_MAX = 8; // frames under way
const UNHEARD_MS = 4_000; // the channel tells what of its own saves was recorded within a second; of others it need not
const UNHEARD_MS_MAX = 60_000;
const NOT_AS_IT_STANDS = new Set([400, 413, 422]); // one bad change refuses its whole call: find it, let the others pass
// `sitting.order`: the engine has lost the pledge, and takes nothing before it is made again.
const OVER = new Set(['autosave.closed', 'sitting.superseded', 'sitting.order']);

/** Starts sending. `onRefused(problem)` is told when saving is over for this token (409 or 401). */
export function startAutosave(journal, token, onRefused) {
  const stopping = new AbortController();
  const { signal } = stopping;
  const channel = joinChannel(token, signal);
  const flights = new Set();
  const sending = new Set(); // seqs under way
  const alone = new Set(); // seqs to be sent one by one
  let resting = 0; // flights that wait before they give their changes back
  let failures = 0;
  let sent_ms = -Infinity;
  let stopped = false;
  let wake = () => {};
  let unheard_since_ms = null; // something saved waits to be recorded, and the channel has not told more
  let unheard_ms = UNHEARD_MS;

  async function run() {
    while (!signal.aborted) {
      const chunk = mayGo() ? nextChunk() : [];
      if (chunk.length) launch(chunk);
      else await woken();
    }
    await Promise.all(flights);
  }

  function mayGo() {
    if (flights.size === 0) return true;
    return channel.open && !resting && flights.size < FLIGHTS_MAX && performance.now() - sent_ms >= NEXT_MS;
  }

  function nextChunk() {
    const unsent = journal.unsent().filter((entry) => !sending.has(entry.seq));
    const first_alone = unsent.findIndex((entry) => alone.has(entry.seq));
    if (first_alone === -1) return unsent;
    return first_alone === 0 ? unsent.slice(0, 1) : unsent.slice(0, first_alone);
  }

  function launch(chunk) {
    for (const { seq } of chunk) sending.add(seq);
    sent_ms = performance.now();
    const flight = send(chunk).finally(() => {
      for (const { seq } of chunk) sending.delete(seq);
      flights.delete(flight);
      wake();
    });
    flights.add(flight);
  }

  async function send(chunk) {
    const changes = chunk.map(({ item, seq, json }) => `{"item":${JSON.stringify(item)},"seq":${seq},"value":${json}}`);
    const text = `[${changes.join(',')}]`;
    try {
      const posted = () => call('POST', '/v1/sitting/responses', { token, text: `{"changes":${text}}` });
      const reply = await (channel.open ? channel.save(text) : posted());
      failures = 0;
      journal.acknowledge(chunk, reply);
    } catch (fault) {
      await recover(fault, chunk);
    }
  }

  async function recover(fault, chunk) {
    if (NOT_AS_IT_STANDS.has(fault.status)) {
      if (chunk.length === 1) journal.refuse(chunk[0], fault.detail);
      else for (const entry of chunk) alone.add(entry.seq);
      return;
    }
    const over = fault.status === 401 || OVER.has(fault.code);
    if (over) {
      if (!signal.aborted && !stopped) onRefused(fault);
      stopping.abort();
      return;
    }
    resting += 1;
    await pause(retryDelay(failures, fault), signal);
    resting -= 1;
    failures += 1;
  }

  /** Something was written, answered or opened, or a moment has passed with an answer outstanding. */
  function woken() {
    return new Promise((resolve) => {
      const timer = flights.size ? setTimeout(resolve, NEXT_MS / 2) : null;
      wake = () => (clearTimeout(timer), resolve());
    });
  }

  /** What was saved over HTTP just before the channel opened is not told over the channel: ask. */
  async function ask() {
    const now_ms = performance.now();
    if (!journal.settling || !channel.open) unheard_since_ms = null;
    else if (unheard_since_ms === null) unheard_since_ms = now_ms;
    else if (now_ms - unheard_since_ms > unheard_ms) {
      unheard_since_ms = now_ms;
      unheard_ms = Math.min(UNHEARD_MS_MAX, unheard_ms * (1 + Math.random()));
      const view = await call('GET', '/v1/sitting', { token }).catch(() => null);
      if (view) progress(view, true);
    }
  }

  function progress({ generation, committed }, asked = false) {
    if (!asked) [unheard_since_ms, unheard_ms] = [null, UNHEARD_MS];
    journal.progress(generation, committed);
  }

  const asking = setInterval(ask, 1_000);
  signal.addEventListener('abort', () => clearInterval(asking));
  journal.addEventListener('ready', () => wake(), { signal });
  channel.addEventListener('open', () => wake(), { signal });
  channel.addEventListener('committed', ({ detail }) => progress(detail), { signal });
  signal.addEventListener('abort', () => wake());
  const running = run();
  return {
    /** Resolves once nothing is on this machine only, or sending is over. */
    async drained() {
      const waiting = () => journal.counts().local + journal.counts().held;
      while (waiting() && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 50));
    },
    /** Stops after the calls that are under way. */
    stop() {
      stopped = true;
      stopping.abort();
      return running;
    },
  };
}

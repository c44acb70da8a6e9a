// Sends what the journal holds, one call at a time, forever: what is typed meanwhile goes with the next call. No failure
// ends it and none reaches the one who types; only the engine's "closed" and "superseded" stop it.

import { call, pause, retryDelay } from './api.js';

const NOT_AS_IT_STANDS = new Set([400, 413, 422]); // one bad change refuses its whole call: find it, let the others pass
// `sitting.order`: the engine has lost the pledge, and takes nothing before it is made again.
const OVER = new Set(['autosave.closed', 'sitting.superseded', 'sitting.order']);

/** Starts sending. `onRefused(problem)` is told when saving is over for this token (409 or 401). */
export function startAutosave(journal, token, onRefused) {
  const stopping = new AbortController();
  const alone = new Set(); // seqs to be sent one by one
  let failures = 0;
  let stopped = false;

  async function run() {
    while (!stopping.signal.aborted) {
      const chunk = nextChunk();
      if (chunk.length === 0) await journalReady();
      else await send(chunk);
    }
  }

  function nextChunk() {
    const unsent = journal.unsent();
    const first_alone = unsent.findIndex((entry) => alone.has(entry.seq));
    if (first_alone === -1) return unsent;
    return first_alone === 0 ? unsent.slice(0, 1) : unsent.slice(0, first_alone);
  }

  async function send(chunk) {
    const changes = chunk.map(({ item, seq, json }) => `{"item":${JSON.stringify(item)},"seq":${seq},"value":${json}}`);
    const text = `{"changes":[${changes.join(',')}]}`;
    try {
      const reply = await call('POST', '/v1/sitting/responses', { token, text });
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
      stopping.abort();
      if (!stopped) onRefused(fault);
      return;
    }
    await pause(retryDelay(failures, fault), stopping.signal);
    failures += 1;
  }

  function journalReady() {
    return new Promise((resolve) => {
      const done = () => {
        journal.removeEventListener('ready', done);
        stopping.signal.removeEventListener('abort', done);
        resolve();
      };
      journal.addEventListener('ready', done);
      stopping.signal.addEventListener('abort', done);
    });
  }

  const running = run();
  return {
    /** Resolves once nothing is on this machine only, or sending is over. */
    async drained() {
      const waiting = () => journal.counts().local + journal.counts().held;
      while (waiting() && !stopping.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 50));
    },
    /** Stops after the call that is under way. */
    stop() {
      stopped = true;
      stopping.abort();
      return running;
    },
  };
}

// The engine over HTTP. A call ends in one of three ways: a reply, a Problem (the engine answered and refused) or
// Unreachable (nobody knows whether it arrived; every call of this page is safe to repeat).

import * as clock from './clock.js';

const CALL_MS_MAX = 8_000; // longer than any healthy reply
export const UPLOAD_MS_PER_BYTE = 1.25; // a room's line gives each machine about 10 kbit/s
export const SLOW_MS = 2_500; // a call open for longer shows as trouble on the line
const RETRY_BASE_MS = 500;
const RETRY_MS_MAX = 8_000;

/** The engine's answer to a call it did not do: RFC 9457, `code` is stable. */
export class Problem extends Error {
  constructor(status, body, retry_after_ms) {
    super(body.detail ?? body.title ?? `HTTP ${status}`);
    Object.assign(this, { status, body, code: body.code ?? `http.${status}`, detail: body.detail ?? '', retry_after_ms });
    this.transient = status >= 500 || status === 429 || status === 408;
  }
}

/** No answer: the line, the server or a proxy between is away. */
export class Unreachable extends Error {
  transient = true;
}

/** Whether the engine answers: `up` flips on the first call that says otherwise; listeners hear `change`. */
export const link = Object.assign(new EventTarget(), { up: true });

/** What a call, or the channel, has just shown about the line. */
export function linkIs(up) {
  if (link.up === up) return;
  link.up = up;
  link.dispatchEvent(new Event('change'));
}

/** One call. `json` is an object, `text` an already written JSON body, `blob` any other; `binary` gives the reply's bytes. */
export async function call(method, path, { token, json, text, blob, binary = false, cache = 'no-store', call_ms_max } = {}) {
  const body = blob ?? text ?? (json === undefined ? undefined : JSON.stringify(json));
  const limit_ms = call_ms_max ?? CALL_MS_MAX + (blob?.size ?? body?.length ?? 0) * UPLOAD_MS_PER_BYTE;
  const headers = { ...(body && { 'content-type': blob?.type ?? 'application/json' }), ...(token && { authorization: `Bearer ${token}` }) };
  const slow = binary || blob ? 0 : setTimeout(() => linkIs(false), SLOW_MS);
  const sent = performance.now();
  try {
    const options = { method, headers, body, cache, credentials: 'omit', signal: AbortSignal.timeout(limit_ms) };
    const response = await fetch(path, options);
    const received = performance.now();
    if (response.ok && binary) {
      // Perhaps out of this machine's own cache: it tells nothing about the line.
      return new Uint8Array(await response.arrayBuffer());
    }
    const reply = await read(response);
    if (typeof reply.server_ms === 'number') clock.sync(reply.server_ms, sent, received);
    if (!response.ok) throw new Problem(response.status, reply, retryAfter(response));
    linkIs(true);
    return reply;
  } catch (fault) {
    const refused = fault instanceof Problem;
    linkIs(refused && fault.status < 500);
    if (refused || fault instanceof Unreachable) throw fault;
    throw new Unreachable(fault.message, { cause: fault });
  } finally {
    clearTimeout(slow);
  }
}

async function read(response) {
  try {
    return await response.json();
  } catch (fault) {
    // A proxy's HTML under a status of its own is still a refusal; under 200 it is nobody we know.
    if (!response.ok) return {};
    throw new Unreachable('the reply is not JSON', { cause: fault });
  }
}

function retryAfter(response) {
  const seconds = Number(response.headers.get('retry-after'));
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}

/** Full jitter: anywhere between nothing and a bound that doubles, but never before the engine's Retry-After. */
export function retryDelay(failures, fault) {
  const bound_ms = Math.min(RETRY_MS_MAX, RETRY_BASE_MS * 2 ** Math.min(failures, 10));
  return (fault?.retry_after_ms ?? 0) + 100 + Math.random() * bound_ms;
}

/** Waits; shorter when the browser says that the network is back, or `signal` aborts. Never rejects. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener('online', back);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const back = () => setTimeout(done, Math.random() * 500);
    const timer = setTimeout(done, ms);
    addEventListener('online', back);
    signal?.addEventListener('abort', done);
    if (signal?.aborted) done();
  });
}

/** Repeats `attempt` until it is answered; throws only what the engine refused for good, or when `signal` aborts. */
export async function untilAnswered(attempt, signal) {
  for (let failures = 0; ; failures += 1) {
    try {
      return await attempt();
    } catch (fault) {
      if (!fault.transient) throw fault;
      await pause(retryDelay(failures, fault), signal);
      if (signal?.aborted) throw fault;
    }
  }
}
